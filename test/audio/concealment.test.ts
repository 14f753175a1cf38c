import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { CONCEALED_MAX_SAMPLES, Concealer, HISTORY_SAMPLES } from '../../src/audio/concealment.ts';

/** A voice-like wave of the given period: its sixth sample decides where it is. */
const wave =
  (period: number, loudness = 8_000) =>
  (at: number): number => {
    const phase = (2 * Math.PI * at) / period;
    return Math.round(loudness * (0.6 * Math.sin(phase) + 0.3 * Math.sin(2 * phase + 1)));
  };

/** What is made after the samples up to 0 of a signal. */
function conceal(signal: (at: number) => number, samples: number): Int16Array {
  const concealer = new Concealer();
  for (let i = 0; i < HISTORY_SAMPLES; i++) concealer.history[i] = signal(i - HISTORY_SAMPLES);
  concealer.begin();
  const made = new Int16Array(samples);
  concealer.make(made, samples);
  return made;
}

const loudestOf = (samples: Int16Array): number =>
  samples.reduce((most, s) => Math.max(most, Math.abs(s)), 0);

describe('Concealer', () => {
  it.each([40, 53, 64, 80, 100, 120])(
    'goes on with a wave of %i samples as if nothing were missing',
    (period) => {
      const signal = wave(period);
      const made = conceal(signal, 80);
      made.forEach((sample, at) => {
        expect(Math.abs(sample - signal(at))).toBeLessThanOrEqual(2);
      });
    },
  );

  it('keeps the pitch while it repeats more periods, fading by a fifth each 10 ms', () => {
    const signal = wave(70);
    const made = conceal(signal, CONCEALED_MAX_SAMPLES);
    made.forEach((sample, at) => {
      const expected = signal(at) * (1 - Math.max(0, at - 80) / 400);
      expect(Math.abs(sample - expected)).toBeLessThanOrEqual(2);
    });
  });

  it('is silent from 60 ms on, however much is lost', () => {
    const made = conceal(wave(80), 1_000);
    expect(loudestOf(made.subarray(0, 80))).toBeGreaterThan(4_000);
    expect(loudestOf(made.subarray(440, 480))).toBeLessThan(1_000);
    expect(loudestOf(made.subarray(480))).toBe(0);
  });

  it('makes silence of silence', () => {
    expect(loudestOf(conceal(() => 0, 480))).toBe(0);
  });

  it('begins without a leap, whatever came before', () => {
    // A ramp has no period at all.
    const made = conceal((at) => 40 * at + 15_000, 80);
    expect(Math.abs(made[0]! - (15_000 - 40))).toBeLessThan(400);
  });

  it('joins what it repeats without a leap: no step is greater than in the noise itself', () => {
    const noise = fc.array(fc.integer({ min: -20_000, max: 20_000 }), {
      minLength: HISTORY_SAMPLES,
      maxLength: HISTORY_SAMPLES,
    });
    fc.assert(
      fc.property(noise, (history) => {
        const made = conceal((at) => history[at + HISTORY_SAMPLES]!, 480);
        expect(loudestOf(made)).toBeLessThanOrEqual(32_768);
        expect(loudestOf(made.subarray(470))).toBeLessThanOrEqual(40_000 * (11 / 400));
      }),
      { numRuns: 100 },
    );
  });

  it('leads over to what follows, so that it begins without a leap', () => {
    const concealer = new Concealer();
    const signal = wave(80);
    for (let i = 0; i < HISTORY_SAMPLES; i++) concealer.history[i] = signal(i - HISTORY_SAMPLES);
    concealer.begin();
    const made = new Int16Array(240);
    concealer.make(made, 240);
    // The same voice, half a period off.
    const next = Int16Array.from({ length: 120 }, (_, at) => signal(at + 40));
    const before = made.slice();
    concealer.lead(made, 240, next, 120);
    expect(made.subarray(0, 208)).toEqual(before.subarray(0, 208));
    expect(Math.abs(made[239]! - next[0]!)).toBeLessThan(Math.abs(before[239]! - next[0]!) / 2);
    expect(Math.abs(made[239]! - next[79]!)).toBeLessThan(500);
  });

  it('leads over to nothing where less than a period is known', () => {
    const concealer = new Concealer();
    const signal = wave(80);
    for (let i = 0; i < HISTORY_SAMPLES; i++) concealer.history[i] = signal(i - HISTORY_SAMPLES);
    concealer.begin();
    const made = new Int16Array(160);
    concealer.make(made, 160);
    const before = made.slice();
    concealer.lead(made, 160, new Int16Array(120), 79);
    expect(made).toEqual(before);
  });
});
