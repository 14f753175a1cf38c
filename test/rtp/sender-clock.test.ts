import { describe, expect, it } from 'vitest';

import { DRIFT_MAX_PPM, SenderClock } from '../../src/rtp/sender-clock.ts';
import { seededRandom } from '../../src/seeded-random.ts';

interface Leg {
  readonly driftPpm: number;
  readonly minutes: number;
  readonly jitterMs?: number;
  /** What the sender's wall clock shows at a moment; undefined: it has none. */
  readonly ntpOf?: (elapsedMs: number) => number | undefined;
  readonly seed?: number;
}

/** A leg with a report every five seconds, and the clock that read them. */
function listen({ driftPpm, minutes, jitterMs = 0, ntpOf = (ms) => ms, seed = 1 }: Leg): SenderClock {
  const clock = new SenderClock();
  const random = seededRandom(seed);
  for (let sentMs = 2_500; sentMs < minutes * 60_000; sentMs += 5_000) {
    clock.take({
      elapsedMs: sentMs + random() * jitterMs,
      sample: Math.round(sentMs * 8 * (1 + driftPpm / 1e6)),
      ntpMs: ntpOf(sentMs),
    });
  }
  return clock;
}

describe('SenderClock', () => {
  it('corrects nothing before a report came', () => {
    expect(new SenderClock().correctionMs(3_600_000)).toBeCloseTo(0, 9);
  });

  it.each([100, -100, 300, -20])(
    'finds a clock that is %i ppm off, and times right to 25 ms after it',
    (driftPpm) => {
      for (const [minutes, jitterMs] of [
        [2, 5],
        [10, 30],
        [60, 80],
      ] as const) {
        const clock = listen({ driftPpm, minutes, jitterMs, seed: minutes });
        const legMs = minutes * 60_000 * (1 + driftPpm / 1e6);
        expect(Math.abs(legMs + clock.correctionMs(legMs) - minutes * 60_000)).toBeLessThan(25);
      }
      expect(listen({ driftPpm, minutes: 60, jitterMs: 30 }).driftPpm).toBeCloseTo(driftPpm, -1);
    },
  );

  it('needs no wall clock of the sender, and none that is right', () => {
    const clocks = [
      listen({ driftPpm: 200, minutes: 30, jitterMs: 40, ntpOf: () => undefined }),
      listen({ driftPpm: 200, minutes: 30, jitterMs: 40, ntpOf: (ms) => 3.9e12 - 7_200_000 + ms }),
      listen({ driftPpm: 200, minutes: 30, jitterMs: 40, ntpOf: (ms) => (ms < 600_000 ? ms : ms + 90_000) }),
      listen({ driftPpm: 200, minutes: 30, jitterMs: 40, ntpOf: (ms) => 17 * ms }),
      // One crystal for both.
      listen({ driftPpm: 200, minutes: 30, jitterMs: 40, ntpOf: (ms) => ms * 1.0002 }),
      listen({ driftPpm: 200, minutes: 30, jitterMs: 40, ntpOf: (ms) => ms * 0.9998 }),
    ];
    for (const clock of clocks) expect(Math.abs(clock.driftPpm - 200)).toBeLessThan(25);
  });

  it('times right to 40 ms by a sender’s even wall clock, whatever the network does', () => {
    for (let seed = 0; seed < 20; seed++) {
      for (const minutes of [1, 3, 10, 60]) {
        const clock = listen({ driftPpm: 80, minutes, jitterMs: 300, seed });
        const legMs = minutes * 60_000 * 1.00008;
        expect(Math.abs(legMs + clock.correctionMs(legMs) - minutes * 60_000)).toBeLessThan(40);
      }
    }
  });

  it('invents no drift for a sender whose clock is right, however short the call', () => {
    for (let seed = 0; seed < 50; seed++) {
      const clock = listen({ driftPpm: 0, minutes: 0.5, jitterMs: 60, seed, ntpOf: () => undefined });
      expect(Math.abs(clock.correctionMs(30_000))).toBeLessThan(3);
    }
  });

  it('is bounded, and overlooks reports that cannot be of this leg', () => {
    expect(listen({ driftPpm: 5_000, minutes: 3 }).driftPpm).toBeLessThanOrEqual(DRIFT_MAX_PPM);
    const clock = listen({ driftPpm: 50, minutes: 10 });
    const { driftPpm, reports } = clock;
    expect(clock.take({ elapsedMs: 600_000, sample: 0, ntpMs: 600_000 })).toBe(false);
    expect(clock.take({ elapsedMs: 600_000, sample: 600_000 * 16, ntpMs: 600_000 })).toBe(false);
    expect(clock.take({ elapsedMs: -5, sample: 0, ntpMs: 0 })).toBe(false);
    expect(clock).toMatchObject({ driftPpm, reports });
  });
});
