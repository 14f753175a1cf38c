/** A stream of numbers in [0, 1): the same for the same seed, on every machine. */
export type SeededRandom = () => number;

/** Mulberry32 (public domain): 32 bits of state, good enough to choose what goes wrong. */
export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
