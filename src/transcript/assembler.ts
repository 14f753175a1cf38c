import type { AsrEvent } from '../asr/session.ts';
import type { CallId, LegId } from '../ids.ts';
import type { FinalSentence, TranscriptEvent } from './sentence.ts';

export interface AssemblerOptions {
  readonly callId: CallId;
  readonly legId: LegId;
  readonly tenant: string;
  /** Names of the webhook endpoints that are told; undefined: all of the tenant. */
  readonly webhooks: readonly string[] | undefined;
  /** Whether sentences have their words with times, default yes; their text they have. */
  readonly keepsWords?: boolean | undefined;
  readonly legNo: number;
  /** Wall time of the leg's first sample. */
  readonly startedAt: Date;
  /** Final sentences that the leg has already, from a process before this one. Default: none. */
  readonly sentenceCount?: number;
  /** How much of a stretch of the leg's audio was lost on the way, in milliseconds. */
  readonly concealedMs: (beginMs: number, endMs: number) => number;
  /**
   * What is to be added to a time on the leg's clock for the time that passed on ours: the sender's samples may come
   * a little too fast or too slow.
   */
  readonly correctionMs: (legMs: number) => number;
}

/**
 * Turns a leg's recognition events into numbered sentences on the leg's clock and on the wall clock. Sessions tell
 * their times on the leg's clock already, whatever tasks they needed.
 */
export class TranscriptAssembler {
  readonly #options: AssemblerOptions;
  #sentenceCount: number;

  constructor(options: AssemblerOptions) {
    this.#options = options;
    this.#sentenceCount = options.sentenceCount ?? 0;
  }

  /** How many final sentences the leg has so far; their numbers are 1 to this. */
  get sentenceCount(): number {
    return this.#sentenceCount;
  }

  /** @returns undefined where the event says nothing that a reader could read, such as a sentence without text */
  accept(event: AsrEvent): TranscriptEvent | undefined {
    if ((event.kind !== 'partial' && event.kind !== 'final') || event.text === '') return undefined;
    const { callId, legId, legNo } = this.#options;
    const sentenceNo = this.#sentenceCount + 1;
    if (event.kind === 'partial') {
      return {
        kind: 'partial',
        sentence: { callId, legId, legNo, sentenceNo, beginMs: event.beginMs, text: event.text },
      };
    }
    this.#sentenceCount = sentenceNo;
    return { kind: 'final', sentence: this.#toSentence(event, sentenceNo) };
  }

  #toSentence(event: Extract<AsrEvent, { kind: 'final' }>, sentenceNo: number): FinalSentence {
    const { callId, legId, tenant, webhooks, legNo, concealedMs } = this.#options;
    return {
      callId,
      legId,
      tenant,
      webhooks,
      legNo,
      sentenceNo,
      beginMs: event.beginMs,
      endMs: event.endMs,
      beginAt: this.#wallTime(event.beginMs),
      endAt: this.#wallTime(event.endMs),
      text: event.text,
      words: (this.#options.keepsWords === false ? [] : event.words).map((word) => ({
        text: word.text,
        begin_ms: word.beginMs,
        end_ms: word.endMs,
        punctuation: word.punctuation,
      })),
      emoTag: event.emotion?.tag,
      emoConfidence: event.emotion?.confidence,
      asrTaskId: event.taskId,
      concealedMs: concealedMs(event.beginMs, event.endMs),
    };
  }

  #wallTime(legMs: number): Date {
    const { startedAt, correctionMs } = this.#options;
    return new Date(startedAt.getTime() + legMs + Math.round(correctionMs(legMs)));
  }
}
