import type { RecognitionTerms, SentenceEvent } from './session.ts';

/** What the owner of a task is told; after `onEnd` nothing. Nothing is told before the task was handed out. */
export interface AsrTaskListener {
  /** At most once: the recogniser takes audio. */
  onStarted(): void;
  /** The recogniser said anything at all, a sign of life without a result among it. */
  onHeard(): void;
  /** Times are milliseconds of the task's own audio. */
  onSentence(event: SentenceEvent): void;
  /** Once. @param error undefined when the recogniser has given its last words, as it was asked to */
  onEnd(error: Error | undefined): void;
}

/** One task of a recogniser: it begins, takes audio, and is over; nothing in it begins anew. */
export interface AsrTask {
  readonly taskId: string;
  /** Messages that could not be read; each was dropped. */
  readonly malformedMessages: number;
  /**
   * Takes audio of any length, after `onStarted`; keeps the reference until the bytes are sent.
   *
   * @returns false when much audio waits: better push no more before {@link drained}
   */
  push(pcm: Buffer): boolean;
  /** Resolves, never rejects, when a push is welcome again or the task is over. */
  drained(): Promise<void>;
  /** No audio follows; `onEnd` comes with the last words, or after the task's own deadline. */
  finish(): void;
  /** Ends at once; `onEnd` tells `reason`, unless it was told something before. */
  abort(reason: Error): void;
}

/** Starts one task; a root binds it to a recogniser and its credentials. Never throws. */
export type StartAsrTask = (options: RecognitionTerms, listener: AsrTaskListener) => AsrTask;
