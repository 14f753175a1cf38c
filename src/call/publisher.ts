import type { FinalSentence } from '../transcript/sentence.ts';
import type { CallEvent, CallRecord } from './record.ts';

/** The durable way out of a call, as the call sees it. `src/queue` stands behind it. */
export interface Publisher {
  /** Accepts at once; the jobs of one leg arrive in the order in which they were accepted. */
  publishSentence(sentence: FinalSentence): void;
  publishCall(call: CallRecord): void;
  publishEvent(event: CallEvent): void;
}
