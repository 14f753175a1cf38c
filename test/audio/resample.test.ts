import { describe, expect, it } from 'vitest';

import { resampled } from '../../src/audio/resample.ts';

const sine = (frequencyHz: number, rateHz: number, seconds: number): Float32Array =>
  Float32Array.from({ length: rateHz * seconds }, (_, no) =>
    Math.sin((2 * Math.PI * frequencyHz * no) / rateHz),
  );

const convert = (samples: Float32Array, fromHz: number, toHz: number, block = 777): Float32Array =>
  Float32Array.from([...resampled(samples, { fromHz, toHz }, block)].flatMap((part) => [...part]));

/** Without the ends, where the filter reaches over. */
const inner = (samples: Float32Array): Float32Array => samples.subarray(400, -400);
const rms = (samples: Float32Array): number =>
  Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
const dB = (ratio: number): number => 20 * Math.log10(ratio);

describe.each([16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 11_127])('%i Hz to 8,000 Hz', (fromHz) => {
  it.each([50, 300, 1_000, 2_500, 3_400])('%i Hz passes as it was, in its place', (frequencyHz) => {
    const made = inner(convert(sine(frequencyHz, fromHz, 1), fromHz, 8_000));
    const wanted = inner(sine(frequencyHz, 8_000, 1));
    const error = made.map((value, no) => value - wanted[no]!);
    expect(dB(rms(error) / rms(wanted))).toBeLessThan(-55);
  });

  it.each([4_400, 5_000, 5_500])('%i Hz, which would come back as another tone, does not', (frequencyHz) => {
    expect(dB(rms(inner(convert(sine(frequencyHz, fromHz, 1), fromHz, 8_000))))).toBeLessThan(-60);
  });

  it('lasts as long as before', () => {
    expect(convert(new Float32Array(fromHz * 2), fromHz, 8_000)).toHaveLength(16_000);
  });
});

it('4,000 Hz to 8,000 Hz: as it was', () => {
  const made = inner(convert(sine(700, 4_000, 1), 4_000, 8_000));
  const wanted = inner(sine(700, 8_000, 1));
  expect(rms(made.map((value, no) => value - wanted[no]!))).toBeLessThan(0.002);
});

it('is the same in whatever blocks it is made', () => {
  const samples = sine(440, 44_100, 0.2);
  expect(convert(samples, 44_100, 8_000, 1)).toEqual(convert(samples, 44_100, 8_000, 100_000));
});
