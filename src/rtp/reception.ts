import { timestampDelta } from './sequence.ts';

const TICKS_PER_MS = 8;
/** Two transits further apart than this were not made so by a network: the sender's timestamps leapt. */
const TRANSIT_LEAP_MS = 2_000;

/**
 * What a receiver report says about one source: packets expected, lost, and interarrival jitter.
 * RFC 3550 §6.4.1, §A.3, §A.8. Begin a new one when the source changes.
 */
export class ReceptionStatistics {
  #firstSequence: number | undefined;
  #highestSequence = 0;
  #received = 0;
  #transitTicks: number | undefined;
  #jitterTicks = 0;

  /** Counts one packet, duplicates and late ones included (§A.3). */
  count(extendedSequence: number): void {
    this.#firstSequence ??= extendedSequence;
    if (this.#received === 0 || extendedSequence > this.#highestSequence) {
      this.#highestSequence = extendedSequence;
    }
    this.#received++;
  }

  /**
   * Takes one packet's arrival into the jitter (§A.8). Only for packets whose timestamp is the instant of their
   * first sample: a telephone-event repeats one timestamp and would count as jitter.
   */
  arrive(timestamp: number, arrivalMs: number): void {
    // The difference of two transits fits 32 bits although the transits themselves mean nothing: subtracting
    // as int32 is what keeps the wrap of the timestamp out of the jitter.
    const transitTicks = timestampDelta(Math.round(arrivalMs * TICKS_PER_MS), timestamp);
    if (this.#transitTicks !== undefined) {
      const differenceTicks = Math.abs(timestampDelta(transitTicks, this.#transitTicks));
      if (differenceTicks < TRANSIT_LEAP_MS * TICKS_PER_MS) {
        this.#jitterTicks += (differenceTicks - this.#jitterTicks) / 16;
      }
    }
    this.#transitTicks = transitTicks;
  }

  get extendedHighestSequence(): number {
    return this.#highestSequence;
  }

  get expectedPackets(): number {
    return this.#firstSequence === undefined ? 0 : this.#highestSequence - this.#firstSequence + 1;
  }

  /** Expected less received, as §A.3 has it: duplicates make it smaller, even negative. */
  get cumulativeLostPackets(): number {
    return this.expectedPackets - this.#received;
  }

  get jitterMs(): number {
    return this.#jitterTicks / TICKS_PER_MS;
  }
}
