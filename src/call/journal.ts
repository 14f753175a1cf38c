import type { CallId } from '../ids.ts';
import type { DialogPlace } from '../sip/dialog-place.ts';
import type { CallRecord } from './record.ts';

/**
 * What a call leaves behind on disk while it lasts, so that another process can finish it. `src/recovery` stands
 * behind it. Accepts at once and never throws; what is accepted stands in the order in which it came.
 */
export interface CallJournal {
  /** The record as it was published. */
  record(record: CallRecord): void;
  dialog(place: DialogPlace): void;
  dialogGone(sipCallId: string): void;
  /** A final sentence that is on disk in the outbox. */
  sentence(legNo: number, sentenceNo: number, endMs: number): void;
  event(eventNo: number): void;
  /** The call is over, and little follows. */
  ended(): void;
  /** Nothing more is told; what was stays on disk. Never rejects. */
  release(): Promise<void>;
  /** Nothing of the call is needed any more. Resolves when its directory is gone; never rejects. */
  remove(): Promise<void>;
}

export type OpenCallJournal = (callId: CallId) => CallJournal;
