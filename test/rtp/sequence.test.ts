import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { sequenceDelta, SequenceUnwrapper, timestampDelta } from '../../src/rtp/sequence.ts';

describe('sequenceDelta', () => {
  it.each([
    [0, 0, 0],
    [1, 0, 1],
    [0, 1, -1],
    [0, 65_535, 1],
    [65_535, 0, -1],
    [5, 65_530, 11],
    [32_767, 0, 32_767],
    [32_768, 0, -32_768],
  ])('says that %i lies %3$i ahead of %i', (a, b, ahead) => {
    expect(sequenceDelta(a, b)).toBe(ahead);
  });
});

describe('timestampDelta', () => {
  it.each([
    [0, 0xffff_ffff, 1],
    [0xffff_ffff, 0, -1],
    [100, 0xffff_ff9c, 200],
    [0x7fff_ffff, 0, 0x7fff_ffff],
    [0x8000_0000, 0, -0x8000_0000],
  ])('says how far %i lies ahead of %i across the wrap', (a, b, ahead) => {
    expect(timestampDelta(a, b)).toBe(ahead);
  });
});

describe('SequenceUnwrapper', () => {
  it('gives back any walk with steps under 2^15 from its wrapped numbers', () => {
    const walk = fc.array(fc.integer({ min: -32_767, max: 32_767 }), { maxLength: 200 });
    fc.assert(
      fc.property(fc.nat(65_535), walk, (first, steps) => {
        const unwrapper = new SequenceUnwrapper(first);
        let position = first;
        for (const step of steps) {
          position += step;
          expect(unwrapper.unwrap(position & 0xffff)).toBe(position);
        }
      }),
    );
  });
});
