import { readFileSync } from 'node:fs';

import alawmulaw from 'alawmulaw';
import { describe, expect, it } from 'vitest';

import { decodeG711, decodeG711Into, encodeG711 } from '../../src/audio/g711.ts';
import { hasMaterial, MATERIAL } from '../support/pcap.ts';

const allCodes = Uint8Array.from({ length: 256 }, (_, code) => code);
const laws = ['PCMU', 'PCMA'] as const;

/** ITU-T G.711 §3.2, tables 2a and 2b: the code is inverted; sign, chord, step. At 16 bits. */
function decodeMuLaw(code: number): number {
  const inverted = ~code & 0xff;
  const magnitude = ((((inverted & 0x0f) << 3) + 0x84) << ((inverted & 0x70) >> 4)) - 0x84;
  return (inverted & 0x80) === 0 ? magnitude : 0 - magnitude;
}

/** ITU-T G.711 §3.1, tables 1a and 1b: even bits are inverted; sign, chord, step. At 16 bits. */
function decodeALaw(code: number): number {
  const bits = code ^ 0x55;
  const chord = (bits & 0x70) >> 4;
  const step = ((bits & 0x0f) << 4) + 8;
  const magnitude = chord === 0 ? step : (step + 0x100) << (chord - 1);
  return (bits & 0x80) === 0 ? 0 - magnitude : magnitude;
}

describe('decodeG711', () => {
  it.each([
    ['PCMU', decodeMuLaw, alawmulaw.mulaw],
    ['PCMA', decodeALaw, alawmulaw.alaw],
  ] as const)(
    'of %s is bit-exact for every code, by the formula of the recommendation and by alawmulaw',
    (law, decode, library) => {
      const samples = [...decodeG711(law, allCodes)];
      expect(samples).toEqual([...allCodes].map(decode));
      expect(samples).toEqual([...library.decode(allCodes)]);
      // mu-law has two zeros, 0x7f and 0xff; each other sample has one code.
      const encoded = [...encodeG711(law, Int16Array.from(samples))];
      expect(encoded).toEqual([...allCodes].map((code) => (law === 'PCMU' && code === 0x7f ? 0xff : code)));
    },
  );

  it.each([
    // ITU-T G.711, tables 2a and 1a: both ends and the middle of each law, at 16 bits.
    ['PCMU', [0x00, 0x80, 0x7f, 0xff], [-32_124, 32_124, 0, 0]],
    ['PCMA', [0x2a, 0xaa, 0x55, 0xd5], [-32_256, 32_256, -8, 8]],
  ] as const)('of %s has the ends and the middle of the table', (law, codes, samples) => {
    expect([...decodeG711(law, Uint8Array.from(codes))]).toEqual(samples);
  });

  it.each(laws)('of %s is undone by the encoder for every code that has its own sample', (law) => {
    const samples = decodeG711(law, allCodes);
    expect(decodeG711(law, encodeG711(law, samples))).toEqual(samples);
  });

  it.each(laws)('of what %s encodes is as near as the step of that level, for every sample', (law) => {
    const samples = Int16Array.from({ length: 65_536 }, (_, i) => i - 32_768);
    const decoded = decodeG711(law, encodeG711(law, samples));
    // The step is a sixteenth of the level's lower end, but 16 near zero; what is cut at the top is less.
    const isFar = (sample: number, i: number): boolean =>
      Math.abs(decoded[i]! - sample) > Math.max(16, Math.abs(sample) / 16);
    expect(samples.findIndex(isFar)).toBe(-1);
  });

  it.skipIf(!hasMaterial).each([
    ['PCMU', 'sweep.ulaw'],
    ['PCMA', 'sweep.alaw'],
  ] as const)(
    'of %s is bit-exact over the golden sweep (skipped without ../shared/material)',
    (law, name) => {
      const codes = readFileSync(`${MATERIAL}speech/g711/${name}`);
      const golden = readFileSync(`${MATERIAL}speech/g711/${name}.s16le`);
      const samples = decodeG711(law, codes);
      expect(samples).toHaveLength(golden.length / 2);
      expect(samples.findIndex((sample, i) => sample !== golden.readInt16LE(2 * i))).toBe(-1);
    },
  );
});

describe('decodeG711Into', () => {
  it('writes the range and nothing beside it', () => {
    const target = new Int16Array(6).fill(1);
    decodeG711Into('PCMU', Uint8Array.of(0x00, 0x80, 0x00, 0x80), 1, 3, target, 2);
    expect([...target]).toEqual([1, 1, 32_124, -32_124, 1, 1]);
  });
});
