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
   * the buffer. Never blocks. Beyond the backlog bound the session fails with `ASR_BACKLOG_FULL`.
   */
  push(pcm: Buffer): void;
  /**
   * No audio follows. Resolves when the recogniser has given its last words and the session is closed, or its
   * deadline has passed; never rejects (the iteration carries the error).
   */
  finish(): Promise<void>;
  /** Messages of the recogniser that could not be read, so far; each was dropped. */
  readonly malformedMessages: number;
  /** Ends at once; the iteration rejects with `reason`. */
  abort(reason: Error): void;
}

/** Opens one session; a root binds it to a recogniser, a model and its credentials. */
export type OpenAsrSession = (options: AsrSessionOptions) => AsrSession;

export interface AsrSessionOptions {
  readonly model: string;
  readonly vocabularyId: string | undefined;
}

/** Times are milliseconds of audio since the session's first sample. */
export type AsrEvent =
  | { readonly kind: 'started'; readonly taskId: string }
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
