import type { FinalSentence } from '../transcript/sentence.ts';
import type { CallEvent, CallRecord } from './record.ts';

/** The durable way out of a call, as the call sees it. `src/queue` stands behind it. */
export interface Publisher {
  /** Accepts at once; the jobs of one leg arrive in the order in which they were accepted. */
  publishSentence(sentence: FinalSentence): void;
  publishCall(call: CallRecord): void;
  publishEvent(event: CallEvent): void;
  /**
   * Resolves when everything accepted before is on this machine's disk, whence it reaches the rows whatever dies:
   * a call of which nothing else comes may be forgotten then. `memory`: the disk refuses (full, broken), and what
   * was accepted would not survive the end of this process. Never rejects.
   */
  written(): Promise<'written' | 'memory'>;
}
