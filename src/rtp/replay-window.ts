import { sequenceDelta } from './sequence.ts';

/** A power of two. RFC 3711 §3.3.2 asks for 64 at least. */
const WINDOW_PACKETS = 128;
const WINDOW_MASK = WINDOW_PACKETS - 1;

/**
 * The packet indices of one SSRC that were taken already: nothing is taken twice, and nothing that is older than
 * 128 packets. RFC 3711 §3.3.1, §3.3.2. Only what was authenticated may be `accept`ed.
 */
export class ReplayWindow {
  #highest: number;
  readonly #taken = new Uint8Array(WINDOW_PACKETS);

  /** @param highest the index before the first that is expected; −1 when index 0 may come */
  constructor(highest: number) {
    this.#highest = highest;
  }

  get highest(): number {
    return this.#highest;
  }

  /** The index that a 16-bit sequence number most likely means: the nearest one to the highest so far. */
  estimate(sequenceNumber: number): number {
    return this.#highest + sequenceDelta(sequenceNumber, this.#highest & 0xffff);
  }

  isFresh(index: number): boolean {
    if (index > this.#highest) return true;
    return this.#highest - index < WINDOW_PACKETS && this.#taken[index & WINDOW_MASK] === 0;
  }

  accept(index: number): void {
    if (index > this.#highest) {
      const first = Math.max(this.#highest + 1, index - WINDOW_PACKETS);
      for (let passed = first; passed < index; passed++) this.#taken[passed & WINDOW_MASK] = 0;
      this.#highest = index;
    }
    this.#taken[index & WINDOW_MASK] = 1;
  }
}
