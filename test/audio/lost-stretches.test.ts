import fc from 'fast-check';
import { expect, it } from 'vitest';

import { LostStretches } from '../../src/audio/lost-stretches.ts';

it('counts the lost samples of any stretch, as a list of samples would', () => {
  const stretches = fc.array(fc.tuple(fc.nat(50), fc.nat(50)), { maxLength: 30 });
  fc.assert(
    fc.property(stretches, fc.nat(3_000), fc.nat(3_000), (given, a, b) => {
      const lost = new LostStretches();
      const samples: boolean[] = [];
      let at = 0;
      for (const [gap, length] of given) {
        at += gap;
        if (length > 0) lost.add(at, length);
        samples.length = at;
        for (let i = 0; i < length; i++) samples[at + i] = true;
        at += length;
      }
      const [begin, end] = [Math.min(a, b), Math.max(a, b)];
      expect(lost.within(begin, end)).toBe(samples.slice(begin, end).filter(Boolean).length);
    }),
  );
});

it('forgets the oldest beyond 1,024 stretches', () => {
  const lost = new LostStretches();
  for (let i = 0; i < 1_025; i++) lost.add(100 * i, 10);
  expect(lost.within(0, 100)).toBe(0);
  expect(lost.within(100, 200_000)).toBe(10_240);
});
