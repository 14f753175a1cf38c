/**
 * What turns audio into sentences inside the sandbox. `captions` is the one there is; `sherpa` (real recognition on
 * this machine) fits behind the same seam.
 */
export interface SandboxRecogniser {
  readonly name: 'captions' | 'sherpa';
  /** One sentence for people: what it does and does not do. Shown wherever the sandbox's output is. */
  readonly description: string;
  open(options: RecognitionOptions): Recognition;
}

/** One task's audio. Synchronous: answers with what the fed audio completed. */
export interface Recognition {
  /** @param pcm signed 16-bit little-endian, mono; chunk borders may fall anywhere, even inside a sample */
  feed(pcm: Buffer): RecognitionEvent[];
  /** No audio follows: gives what is still open. */
  flush(): RecognitionEvent[];
  /** Audio taken so far. */
  readonly audioMs: number;
  /** Where speech was last heard; 0 before the first. */
  readonly lastSpeechMs: number;
}

export interface RecognitionOptions {
  readonly sampleRateHz: number;
  /** A sentence ends after so much silence. */
  readonly sentenceSilenceMs: number;
}

/** Times are whole milliseconds since the task's first sample. */
export type RecognitionEvent =
  | {
      readonly kind: 'partial';
      readonly beginMs: number;
      readonly text: string;
      readonly words: readonly RecognitionWord[];
    }
  | {
      readonly kind: 'final';
      readonly beginMs: number;
      readonly endMs: number;
      readonly text: string;
      readonly words: readonly RecognitionWord[];
    };

export interface RecognitionWord {
  readonly beginMs: number;
  readonly endMs: number;
  readonly text: string;
  readonly punctuation: string;
}
