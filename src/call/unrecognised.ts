import type { CallRecord } from './record.ts';

/** A call that has ended and of which the recogniser did not take all audio. */
export interface UnrecognisedCall {
  /** As it was published last. */
  readonly record: CallRecord;
  /** How many events it had. */
  readonly lastEventNo: number;
  readonly legs: readonly UnrecognisedLeg[];
}

/** A leg whose end has no sentences; what lies before it has. */
export interface UnrecognisedLeg {
  readonly legNo: number;
  /** Sentences that it has. */
  readonly sentenceCount: number;
  /** Where their audio ends, on the leg's clock. */
  readonly fromSample: number;
}

/** Keeps the audio of such legs, which stands in the call's directory, for a later attempt. Never rejects. */
export type KeepUnrecognised = (call: UnrecognisedCall) => Promise<void>;
