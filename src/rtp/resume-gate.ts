import { timestampDelta } from './sequence.ts';
import { SAMPLES_PER_MS } from './timeline.ts';

/** How long the gate waits for packets to catch up before it takes the pause for the sender's own. */
const WAIT_MS = 60;
/** So much more audio than time has passed, and the packets were only late. */
const CAUGHT_UP_MS = 150;

/**
 * `late`: the packets had been sent in time and were held up on the way. `stale`: the sender paused, and its
 * timestamps stood still meanwhile.
 */
export type ResumeVerdict = 'wait' | 'late' | 'stale';

/**
 * After a pause that was filled with silence, the next packet's timestamp may go on as if there had been no
 * pause. Two things look like that in the first packet: a network that stalled and now delivers in a burst what
 * was sent in time, whose stretch is already filled; and a sender that mutes without advancing its timestamp,
 * whose audio is new. They differ in pace: the burst comes much faster than it plays.
 */
export class ResumeGate {
  #waiting = false;
  #timestamp = 0;
  #sinceMs = 0;

  get isWaiting(): boolean {
    return this.#waiting;
  }

  open(timestamp: number, nowMs: number): void {
    this.#waiting = true;
    this.#timestamp = timestamp;
    this.#sinceMs = nowMs;
  }

  close(): void {
    this.#waiting = false;
  }

  /** Looks at one more packet; the caller acts on any verdict but `wait`, and closes the gate. */
  judge(timestamp: number, nowMs: number): ResumeVerdict {
    const deliveredMs = timestampDelta(timestamp, this.#timestamp) / SAMPLES_PER_MS;
    const passedMs = nowMs - this.#sinceMs;
    if (deliveredMs - passedMs >= CAUGHT_UP_MS) return 'late';
    return this.poll(nowMs);
  }

  poll(nowMs: number): 'wait' | 'stale' {
    return nowMs - this.#sinceMs < WAIT_MS ? 'wait' : 'stale';
  }
}
