import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { newCallId, newLegId } from '../../src/ids.ts';
import { BLOCK_BYTES } from '../../src/recording/block-builder.ts';
import { encodeFileHeader, FILE_HEADER_BYTES, SALT_BYTES } from '../../src/recording/container.ts';
import { LegRecorder, type LegRecorderOptions } from '../../src/recording/leg-recorder.ts';
import { RecordedLeg } from '../../src/recording/recorded-leg.ts';
import { LegSeal } from '../../src/recording/seal.ts';
import { audio, heard, loss, type MediaCall, mediaCalls, silence, tell } from './leg-media.ts';

const KEY = randomBytes(32);
const STARTED_AT = new Date('2026-11-22T10:00:00.123Z');
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'callscribe-recorded-'));
});
afterAll(() => rm(directory, { recursive: true }));

function idsOf(legNo: number): Pick<LegRecorderOptions, 'callId' | 'legId' | 'legNo'> {
  const callId = newCallId();
  return { callId, legId: newLegId(callId), legNo };
}

interface Written {
  readonly header: Buffer;
  /** Each with the calls that it and all before it hold. */
  readonly blocks: readonly { readonly bytes: Buffer; readonly calls: readonly MediaCall[] }[];
}

/** The file that a leg would have, flushed behind every `flushEvery`th call. */
function write(calls: readonly MediaCall[], flushEvery: number, how: 'plain' | 'sealed' = 'plain'): Written {
  const salt = how === 'sealed' ? randomBytes(SALT_BYTES) : undefined;
  const ids = idsOf(1);
  const recorder = new LegRecorder({
    ...ids,
    path: 'never-written',
    policy: 'keep',
    salt,
    seal: salt === undefined ? undefined : new LegSeal(KEY, salt),
    takeRoom: () => Buffer.alloc(BLOCK_BYTES),
    giveRoom: () => undefined,
  });
  recorder.start(STARTED_AT);
  const blocks: { bytes: Buffer; calls: readonly MediaCall[] }[] = [];
  const take = (told: number): void => {
    for (const { bytes } of recorder.waiting) blocks.push({ bytes, calls: calls.slice(0, told) });
    recorder.wrote(recorder.waiting.length, 0);
  };
  tell(calls, [recorder], (n) => {
    // Full ones are of the calls before this one, unless it fills more than one.
    if (n % flushEvery === 0) recorder.flush();
    if (recorder.waiting.length > 0 && n % flushEvery === 0) take(n + 1);
  });
  recorder.end();
  take(calls.length);
  return { header: encodeFileHeader({ ...ids, startedAt: STARTED_AT, salt }), blocks };
}

let files = 0;
async function withFile<T>(bytes: Buffer, read: (leg: RecordedLeg) => Promise<T>): Promise<T> {
  const path = join(directory, `${files++}.g711`);
  await writeFile(path, bytes);
  await using leg = await RecordedLeg.open(path, { spoolKey: KEY });
  return await read(leg);
}

const wholeFile = ({ header, blocks }: Written): Buffer =>
  Buffer.concat([header, ...blocks.map(({ bytes }) => bytes)]);

async function readAll({ source }: RecordedLeg, pieceSamples = 80_000): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let at = 0; at < source.endSample;) {
    const piece = await source.read(at, pieceSamples);
    if (piece.length === 0) break;
    pieces.push(piece);
    at += piece.length / 2;
  }
  return Buffer.concat(pieces);
}

describe('a recorded leg', () => {
  it('gives the bytes that the recogniser got, whatever was lost on the way', async () => {
    await fc.assert(
      fc.asyncProperty(mediaCalls(120), fc.constantFrom('plain', 'sealed' as const), async (calls, how) => {
        await withFile(wholeFile(write(calls, 12, how)), async (leg) => {
          expect((await readAll(leg)).equals(heard(calls))).toBe(true);
          expect(leg.facts).toMatchObject({ end: 'ended', missing: [], damagedBytes: 0, legNo: 1 });
          expect(leg.facts.startedAt).toEqual(STARTED_AT);
        });
      }),
      { numRuns: 60, seed: 5 },
    );
  });

  it('gives the same bytes from any place, in any order of reads', async () => {
    const reads = fc.array(
      fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 20_000 })),
      {
        maxLength: 12,
      },
    );
    await fc.assert(
      fc.asyncProperty(mediaCalls(200), reads, async (calls, places) => {
        const pcm = heard(calls);
        await withFile(wholeFile(write(calls, 12)), async ({ source }) => {
          for (const [place, samples] of places) {
            const from = Math.floor((place * pcm.length) / 2);
            const read = await source.read(from, samples);
            expect(read.equals(pcm.subarray(from * 2, (from + samples) * 2))).toBe(true);
          }
        });
      }),
      { numRuns: 60, seed: 6 },
    );
  });

  it.each([480, 320])(
    'gives what concealment made as it was, though losses are %i samples apart',
    async (apart) => {
      const calls = Array.from({ length: 600 }, () => [audio(apart), loss(160)]).flat();
      const pcm = heard(calls);
      await withFile(wholeFile(write(calls, 13)), async ({ source }) => {
        // Backwards, so that each read begins anew.
        for (let from = pcm.length / 2 - 160; from > 0; from -= (apart + 160) * (apart === 480 ? 1 : 11)) {
          const read = await source.read(from, 160);
          expect(read.equals(pcm.subarray(from * 2, (from + 160) * 2))).toBe(true);
        }
      });
    },
  );

  it('is read up to the last whole block when its process was killed, at any byte', async () => {
    await fc.assert(
      fc.asyncProperty(
        mediaCalls(60),
        fc.constantFrom('plain', 'sealed' as const),
        fc.double({ min: 0, max: 1, noNaN: true }),
        async (calls, how, place) => {
          const written = write(calls, 5, how);
          const bytes = wholeFile(written);
          const cutAt = FILE_HEADER_BYTES + Math.floor(place * (bytes.length - FILE_HEADER_BYTES));
          let endOfBlock = FILE_HEADER_BYTES;
          const whole = written.blocks.filter(({ bytes: block }) => (endOfBlock += block.length) <= cutAt);
          const wholeBytes = whole.reduce((sum, block) => sum + block.bytes.length, 0);
          await withFile(bytes.subarray(0, cutAt), async (leg) => {
            const read = await readAll(leg, 8_000);
            expect(leg.facts.damagedBytes).toBe(cutAt - FILE_HEADER_BYTES - wholeBytes);
            expect(read.length / 2).toBe(leg.facts.endSample);
            // Up to a loss that the cut left without the audio behind it, all is as it was.
            const exact = read.length - 2 * 900;
            expect(
              read.subarray(0, Math.max(0, exact)).equals(heard(calls).subarray(0, Math.max(0, exact))),
            ).toBe(true);
            if (cutAt < bytes.length) expect(leg.facts.end).toBe('cut-off');
          });
        },
      ),
      { numRuns: 100, seed: 7 },
    );
  });

  it('skips what is damaged, says where it is, and keeps everything else in its place', async () => {
    const calls = Array.from({ length: 40 }, () => audio(160));
    const written = write(calls, 4);
    const bytes = wholeFile(written);
    const damaged = Buffer.from(bytes);
    const third = FILE_HEADER_BYTES + written.blocks[0]!.bytes.length + written.blocks[1]!.bytes.length;
    damaged[third + 100]! ^= 1;
    await withFile(damaged, async (leg) => {
      const [stretch] = leg.facts.missing;
      expect(leg.facts.missing).toEqual([{ beginSample: 800, endSample: 1_440 }]);
      expect(leg.facts.damagedBytes).toBe(written.blocks[2]!.bytes.length);
      const expected = heard(calls);
      expected.fill(0, stretch!.beginSample * 2, stretch!.endSample * 2);
      expect((await readAll(leg)).equals(expected)).toBe(true);
    });
  });

  it('finds a block behind foreign bytes that hold the mark of one', async () => {
    const { header, blocks } = write([audio(160), audio(160)], 1);
    const foreign = Buffer.concat([randomBytes(40), Buffer.from('CSBK'), randomBytes(70_000)]);
    await withFile(
      Buffer.concat([header, blocks[0]!.bytes, foreign, blocks[1]!.bytes, blocks[2]!.bytes]),
      async (leg) => {
        expect((await readAll(leg)).equals(heard([audio(160), audio(160)]))).toBe(true);
        expect(leg.facts).toMatchObject({ damagedBytes: foreign.length, end: 'ended', missing: [] });
      },
    );
  });

  it('remembers where packets were lost, mutes and holds', async () => {
    const { header, blocks } = write([audio(160)], 1);
    const recorder = new LegRecorder({
      ...idsOf(0),
      path: 'never-written',
      policy: 'keep',
      salt: undefined,
      seal: undefined,
      takeRoom: () => Buffer.alloc(BLOCK_BYTES),
      giveRoom: () => undefined,
    });
    recorder.start(STARTED_AT);
    recorder.audio('PCMU', Buffer.alloc(160, 0x55), 0, 160);
    recorder.lost(160, 320);
    recorder.fill('loss', 320);
    recorder.mark('mute');
    recorder.fill('muted', 800);
    recorder.mark('unmute');
    recorder.end();
    expect(blocks).toHaveLength(2);
    await withFile(Buffer.concat([header, ...recorder.waiting.map(({ bytes }) => bytes)]), async (leg) => {
      expect(leg.facts.lost).toEqual([{ beginSample: 160, endSample: 480 }]);
      expect(leg.facts.marks).toEqual([
        { mark: 'mute', sample: 480 },
        { mark: 'unmute', sample: 1_280 },
      ]);
      expect((await leg.source.read(480, 800)).equals(Buffer.alloc(1_600))).toBe(true);
    });
  });

  it.each([
    ['an empty file', Buffer.alloc(0)],
    [
      'a torn header',
      encodeFileHeader({ ...idsOf(0), startedAt: STARTED_AT, salt: undefined }).subarray(0, 50),
    ],
    ['a file of another kind', randomBytes(200)],
  ])('refuses %s', async (_, bytes) => {
    await expect(withFile(bytes, () => Promise.resolve())).rejects.toMatchObject({
      code: 'RECORDING_MALFORMED',
    });
  });

  it('opens sealed blocks with their key only, and shows nothing without it', async () => {
    const calls = [audio(160), audio(160), silence(100), loss(80), audio(160)];
    const bytes = wholeFile(write(calls, 2, 'sealed'));
    const path = join(directory, 'sealed.g711');
    await writeFile(path, bytes);
    for (const spoolKey of [undefined, randomBytes(32)]) {
      await expect(RecordedLeg.open(path, { spoolKey })).rejects.toMatchObject({ code: 'RECORDING_KEY' });
    }
    const plain = wholeFile(write(calls, 2));
    const speech = plain.subarray(plain.length - 200, plain.length - 100);
    expect(plain.includes(speech)).toBe(true);
    expect(bytes.includes(speech)).toBe(false);
  });
});
