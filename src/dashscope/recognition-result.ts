import type { SentenceResult, WordResult } from './server-messages.ts';

/** One sentence, as far as it is heard; {@link SentenceResult} says what each field is. */
export type Sentence = SentenceResult;
/** One word of a sentence with its times. */
export type Word = WordResult;

/** What a task has cost so far. */
export interface RecognitionUsage {
  /** Billed seconds since the task's begin: cumulative, not to be added up. */
  readonly duration: number;
}

/** One result of a running recognition: a sentence that may still change, or a final one. */
export class RecognitionResult {
  readonly #requestId: string;
  readonly #sentence: Sentence;

  constructor(requestId: string, sentence: Sentence) {
    this.#requestId = requestId;
    this.#sentence = sentence;
  }

  /** Replaces what was given of this sentence before. */
  getSentence(): Sentence {
    return this.#sentence;
  }

  /** The task's id, which the vendor's support asks for. */
  getRequestId(): string {
    return this.#requestId;
  }

  /** True for a final: the sentence does not change any more. */
  isSentenceEnd(): boolean {
    return this.#sentence.final;
  }

  /** Undefined where the result says nothing of it; finals do. */
  getUsage(): RecognitionUsage | undefined {
    const { usageSeconds } = this.#sentence;
    return usageSeconds === undefined ? undefined : { duration: usageSeconds };
  }

  /** @returns whether the sentence ended; for those who come from the vendor's SDKs */
  static isSentenceEnd(sentence: Sentence): boolean {
    return sentence.final;
  }
}

/** What a recorded file gave: its final sentences, in order. */
export class FileResult {
  readonly #requestId: string;
  readonly #sentences: readonly Sentence[];

  constructor(requestId: string, sentences: readonly Sentence[]) {
    this.#requestId = requestId;
    this.#sentences = sentences;
  }

  getSentence(): readonly Sentence[] {
    return this.#sentences;
  }

  getRequestId(): string {
    return this.#requestId;
  }

  /** Of the whole file; undefined where the service did not say. */
  getUsage(): RecognitionUsage | undefined {
    const duration = this.#sentences.findLast((each) => each.usageSeconds !== undefined)?.usageSeconds;
    return duration === undefined ? undefined : { duration };
  }

  /** All sentences, one a line. */
  getText(): string {
    return this.#sentences.map((sentence) => sentence.text).join('\n');
  }
}
