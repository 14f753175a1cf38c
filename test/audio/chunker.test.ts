import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { CHUNK_SAMPLES, Chunker } from '../../src/audio/chunker.ts';
import { decodeG711 } from '../../src/audio/g711.ts';
import { codes } from '../support/rtp-stream.ts';

interface Chunk {
  readonly pcm: Buffer;
  readonly beginSample: number;
}

function setUp(): { chunker: Chunker; chunks: Chunk[] } {
  const chunks: Chunk[] = [];
  return { chunks, chunker: new Chunker((pcm, beginSample) => chunks.push({ pcm, beginSample })) };
}

const samplesOf = (chunks: readonly Chunk[]): number[] =>
  chunks.flatMap(({ pcm }) => Array.from({ length: pcm.length / 2 }, (_, i) => pcm.readInt16LE(2 * i)));

describe('Chunker', () => {
  it('hands out 1,600 bytes as soon as 100 ms are there, each beginning where the last ended', () => {
    const { chunker, chunks } = setUp();
    for (let i = 0; i < 9; i++) chunker.appendG711('PCMU', codes(160 * i, 160), 0, 160);
    expect(chunks).toHaveLength(1);
    chunker.appendG711('PCMU', codes(1_440, 160), 0, 160);
    expect(chunks.map(({ pcm, beginSample }) => [pcm.length, beginSample])).toEqual([
      [1_600, 0],
      [1_600, 800],
    ]);
  });

  it('writes little-endian samples', () => {
    const { chunker, chunks } = setUp();
    chunker.appendG711('PCMU', Uint8Array.of(0x80, 0x00), 0, 2);
    chunker.flush();
    // 32,124 and its negative.
    expect(chunks[0]?.pcm.toString('hex')).toBe('7c7d8482');
  });

  it('gives each chunk its own memory', () => {
    const { chunker, chunks } = setUp();
    chunker.appendG711('PCMA', codes(0, CHUNK_SAMPLES), 0, CHUNK_SAMPLES);
    const copy = Buffer.from(chunks[0]!.pcm);
    chunker.appendSilence(CHUNK_SAMPLES);
    expect(chunks[0]?.pcm).toEqual(copy);
    expect(chunks[1]?.pcm).toEqual(Buffer.alloc(1_600));
  });

  it('flushes a short last chunk once, and nothing where nothing is', () => {
    const { chunker, chunks } = setUp();
    chunker.flush();
    chunker.appendSilence(3);
    chunker.flush();
    chunker.flush();
    expect(chunks.map(({ pcm }) => pcm.length)).toEqual([6]);
  });

  it('gives back exactly what it was given, in whatever pieces it came', () => {
    const piece = fc.record({
      samples: fc.nat(2_000),
      isSilent: fc.boolean(),
      law: fc.constantFrom('PCMU', 'PCMA'),
    });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        const { chunker, chunks } = setUp();
        const expected: number[] = [];
        for (const { samples, isSilent, law } of pieces) {
          const audio = codes(expected.length, samples);
          if (isSilent) chunker.appendSilence(samples);
          else chunker.appendG711(law, audio, 0, samples);
          for (const sample of decodeG711(law, audio)) expected.push(isSilent ? 0 : sample);
        }
        chunker.flush();
        expect(samplesOf(chunks)).toEqual(expected);
        expect(chunks.slice(0, -1).every(({ pcm }) => pcm.length === 1_600)).toBe(true);
        expect(chunks.map(({ beginSample }) => beginSample)).toEqual(chunks.map((_, i) => 800 * i));
      }),
    );
  });

  it('gives back the newest samples, across the border of its chunks, and zeros before the first', () => {
    const pieces = fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 12 });
    fc.assert(
      fc.property(pieces, fc.integer({ min: 1, max: CHUNK_SAMPLES }), (lengths, wanted) => {
        const { chunker } = setUp();
        const all = new Array<number>(CHUNK_SAMPLES).fill(0);
        lengths.forEach((length, i) => {
          const piece = Int16Array.from({ length }, (_, at) => 1 + ((i * 997 + at) % 30_000));
          chunker.appendSamples(piece, length);
          all.push(...piece);
        });
        const newest = new Int16Array(wanted);
        chunker.copyNewest(newest);
        expect([...newest]).toEqual(all.slice(-wanted));
      }),
    );
  });
});
