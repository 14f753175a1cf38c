import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { GapHold } from '../../src/rtp/gap-hold.ts';

describe('GapHold', () => {
  it('begins with 80 ms and is four jitters once they are more, at once', () => {
    const hold = new GapHold();
    hold.adapt(10, 0);
    expect(hold.holdMs).toBe(80);
    hold.adapt(30, 20);
    expect(hold.holdMs).toBe(120);
  });

  it('is 20 ms longer than a packet needed that came too late, at once', () => {
    const hold = new GapHold();
    hold.late(130);
    expect(hold.holdMs).toBe(150);
    hold.late(70);
    expect(hold.holdMs).toBe(150);
  });

  it('shrinks by 4 ms a second, and not under 60 ms', () => {
    const hold = new GapHold();
    hold.late(140);
    hold.adapt(0, 0);
    hold.adapt(0, 10_000);
    expect(hold.holdMs).toBeCloseTo(120);
    hold.adapt(0, 1_000_000);
    expect(hold.holdMs).toBe(60);
  });

  it('does not shrink under what the jitter asks for', () => {
    const hold = new GapHold();
    hold.late(200);
    hold.adapt(25, 0);
    hold.adapt(25, 1_000_000);
    expect(hold.holdMs).toBe(100);
  });

  it('stays within its bounds, whatever comes', () => {
    const step = fc.tuple(fc.boolean(), fc.double({ min: 0, max: 1e6, noNaN: true }), fc.nat(100_000));
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const hold = new GapHold();
        let nowMs = 0;
        for (const [isLate, ms, waitMs] of steps) {
          nowMs += waitMs;
          if (isLate) hold.late(ms);
          else hold.adapt(ms, nowMs);
          expect(hold.holdMs).toBeGreaterThanOrEqual(60);
          expect(hold.holdMs).toBeLessThanOrEqual(240);
        }
      }),
    );
  });
});
