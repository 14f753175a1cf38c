/** A stream of numbers in [0, 1) that a seed alone decides: the same on every machine. */
export type SeededRandom = () => number;

/**
 * Mulberry32 (Tommy Ettinger, public domain), so that a plan of losses or faults can be told in advance and
 * repeated: 32 bits of state, good enough to scatter faults, not for secrets.
 */
export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
