import { EventEmitter } from 'node:events';

import type { CallEvent, CallRecord } from '../call/record.ts';
import type { TranscriptEvent } from '../transcript/sentence.ts';

/** What happens in the calls of this process, as it happens. Listeners must be quick and must not throw. */
export interface LiveEvents {
  transcript: [TranscriptEvent];
  /** A call as it stands after each change. */
  call: [CallRecord];
  /** A key, a hold, a gap …, of a call that was answered. */
  event: [CallEvent];
}

/** The fast way out of a call: it may be listened to by none or many, and loses what nobody listens to. */
export type LiveHub = EventEmitter<LiveEvents>;

export const createLiveHub = (): LiveHub => new EventEmitter<LiveEvents>();
