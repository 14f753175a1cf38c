import type { LegAudioSource } from './audio-source.ts';

/**
 * The seam between the telephone road and any recogniser. One session is one leg's recognition from its first
 * sample to its last word; what connects, reconnects or replays behind it is not seen here.
 *
 *     push(chunk) ──▶ session ──▶ for await (event of session) … then the end, or the error
 */
export interface AsrSession extends AsyncIterable<AsrEvent> {
  /**
   * Hands over the next 100 ms of audio: signed 16-bit little-endian PCM, 8,000 Hz, mono, 1,600 bytes (the last
   * chunk may be shorter). The session keeps the reference until the bytes are sent; the caller must not reuse
   * the buffer. Never blocks, and nothing is lost by it where a session has a source: what the recogniser does not
   * take now is read there again.
   */
  push(pcm: Buffer): void;
  /**
   * No sentence goes on from what was pushed into what follows, however short the silence between; whatever task it
   * takes.
   */
  endSentence(): void;
  /**
   * No audio follows. Resolves when everything was recognised, or given up at a stated bound, and the session is closed;
   * never rejects (the iteration carries the error).
   */
  finish(): Promise<void>;
  /** Messages of the recogniser that could not be read, so far; each was dropped. */
  readonly malformedMessages: number;
  /** Ends at once; the iteration rejects with `reason`. */
  abort(reason: Error): void;
}

/** Opens one session; a root binds it to a recogniser, a model and its credentials. */
export type OpenAsrSession = (options: AsrSessionOptions) => AsrSession;

/** What a recogniser is asked for. */
export interface RecognitionTerms {
  readonly model: string;
  readonly vocabularyId: string | undefined;
  /** Hot words of the v1 models. */
  readonly phraseId?: string | undefined;
  /** Parameters beside those of telephone speech, by their names in the vendor's protocol. */
  readonly parameters?: Readonly<Record<string, unknown>> | undefined;
}

export interface AsrSessionOptions extends RecognitionTerms {
  /**
   * Where the leg's audio can be read again. It must have each chunk before that is pushed. Default: the session keeps
   * the newest audio itself.
   */
  readonly source?: LegAudioSource | undefined;
}

/** Times are milliseconds of audio since the leg's first sample. */
export type AsrEvent =
  | { readonly kind: 'started'; readonly taskId: string }
  | SentenceEvent
  /** A task took over from one that was lost. */
  | {
      readonly kind: 'reconnected';
      readonly taskId: string;
      /** How many attempts it took, 1 or more. */
      readonly attempt: number;
      /** What ended the task before. */
      readonly code: string;
      /** How long nothing was recognised. */
      readonly gapMs: number;
      /** How much audio is sent again. */
      readonly replayedMs: number;
    }
  /** For so long there was no recogniser that the leg goes on without; what it lacks is recognised later. */
  | { readonly kind: 'postponed'; readonly fromMs: number; readonly code: string }
  /** Audio `[fromSample, toSample)` of the leg that this session has given up. */
  | {
      readonly kind: 'unrecognised';
      readonly fromSample: number;
      readonly toSample: number;
      readonly code: string;
    };

/** What is heard of one sentence. */
export type SentenceEvent =
  | { readonly kind: 'partial'; readonly taskId: string; readonly beginMs: number; readonly text: string }
  | {
      readonly kind: 'final';
      readonly taskId: string;
      readonly beginMs: number;
      readonly endMs: number;
      readonly text: string;
      readonly words: readonly AsrWord[];
      readonly emotion: AsrEmotion | undefined;
    };

export interface AsrWord {
  readonly beginMs: number;
  readonly endMs: number;
  readonly text: string;
  /** What follows the word; an empty string where nothing does. */
  readonly punctuation: string;
}

export interface AsrEmotion {
  readonly tag: string;
  /** 0 to 1. */
  readonly confidence: number | undefined;
}
