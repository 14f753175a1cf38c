import fc from 'fast-check';
import { expect, it } from 'vitest';

import { isLoud, LoudStretches } from '../../src/asr/loud-stretches.ts';

const pcm = (value: (sample: number) => number): Buffer => {
  const buffer = Buffer.alloc(1_600);
  for (let sample = 0; sample < 800; sample += 1) buffer.writeInt16LE(value(sample), sample * 2);
  return buffer;
};

it.each<[string, Buffer, boolean]>([
  ['digital zero', pcm(() => 0), false],
  ['an offset of the line', pcm(() => 900), false],
  ['the hiss of a quiet line', pcm((sample) => ((sample * 37) % 60) - 30), false],
  ['a low voice', pcm((sample) => Math.round(160 * Math.sin(sample / 6))), true],
  ['nothing', Buffer.alloc(0), false],
])('says of %s whether something may be said in it', (_case, chunk, expected) => {
  expect(isLoud(chunk)).toBe(expected);
});

it('never passes over a loud chunk, however many there are', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ gap: fc.integer({ min: 0, max: 40_000 }), length: fc.constant(800) }), {
        maxLength: 600,
      }),
      fc.array(fc.integer({ min: 0, max: 2_000_000 }), { maxLength: 20 }),
      (chunks, asked) => {
        const loud = new LoudStretches();
        const begins: number[] = [];
        let at = 0;
        for (const { gap, length } of chunks) {
          at += gap;
          begins.push(at);
          loud.add(at, at + length);
          at += length;
        }
        for (const sample of asked.sort((a, b) => a - b)) {
          const next = begins.find((begin) => begin + 800 > sample);
          const found = loud.firstFrom(sample);
          if (next === undefined) expect(found === undefined || found >= sample).toBe(true);
          else expect(found).toBeLessThanOrEqual(Math.max(next, sample));
        }
      },
    ),
    { seed: 5 },
  );
});
