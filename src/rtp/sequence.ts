/**
 * Serial number arithmetic: the only place that knows that RTP counters wrap. RFC 1982, RFC 3550 §A.1.
 */

/** How far `a` lies ahead of `b` as 16-bit serial numbers: −32,768 to 32,767; negative when it lies behind. */
export function sequenceDelta(a: number, b: number): number {
  return ((a - b) << 16) >> 16;
}

/** How far `a` lies ahead of `b` as 32-bit serial numbers: −2³¹ to 2³¹ − 1. */
export function timestampDelta(a: number, b: number): number {
  return (a - b) | 0;
}

/** Turns 16-bit sequence numbers into a line without wraps. Steps must stay under 2¹⁵, forwards or back. */
export class SequenceUnwrapper {
  #last: number;

  /** @param first the sequence number that stands for itself on the line */
  constructor(first: number) {
    this.#last = first;
  }

  unwrap(sequenceNumber: number): number {
    this.#last += sequenceDelta(sequenceNumber, this.#last);
    return this.#last;
  }
}
