import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { loadLegs } from '../../src/caller/load-legs.ts';
import { UsageError } from '../../src/caller/usage-error.ts';
import { encodeG711Wav } from '../../src/sample/g711-wav.ts';

let folder: string;
const path = (name: string): string => join(folder, name);
const nothing = { codecs: undefined, parties: [] };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'callscribe-legs-'));
  const mono = encodeG711Wav('PCMU', Uint8Array.of(1, 2, 3, 4));
  const stereo = Buffer.from(mono);
  stereo.writeUInt16LE(2, 22);
  await writeFile(path('mono.wav'), mono);
  await writeFile(path('stereo.wav'), stereo);
  await writeFile(path('raw.alaw'), Buffer.of(9));
});
afterAll(() => rm(folder, { recursive: true }));

const faults = async (options: Parameters<typeof loadLegs>[0]): Promise<readonly string[]> => {
  const error: unknown = await loadLegs(options).catch((thrown: unknown) => thrown);
  if (!(error instanceof UsageError)) throw new Error('expected a UsageError');
  return error.faults;
};

test('labels count from 1, whatever files the legs come from', async () => {
  const legs = await loadLegs({ mode: 'siprec', files: [path('stereo.wav'), path('raw.alaw')], ...nothing });
  expect(legs.map(({ label, codec, codes }) => [label, codec, ...codes])).toEqual([
    ['1', 'PCMU', 1, 3],
    ['2', 'PCMU', 2, 4],
    ['3', 'PCMA', 9],
  ]);
});

test('without files it is the sample: both parties, or the customer alone', async () => {
  const legs = await loadLegs({ mode: 'siprec', files: [], ...nothing });
  expect(legs.map(({ party, codec }) => [party?.role, codec])).toEqual([
    ['agent', 'PCMA'],
    ['customer', 'PCMU'],
  ]);
  const [alone] = await loadLegs({ mode: 'plain', files: [], ...nothing });
  expect(alone.party?.role).toBe('customer');
});

test('one codec is for all legs', async () => {
  const legs = await loadLegs({ mode: 'siprec', files: [path('stereo.wav')], codecs: ['PCMA'], parties: [] });
  expect(legs.map(({ codec }) => codec)).toEqual(['PCMA', 'PCMA']);
});

test('stereo in a call with one leg is refused with the line that mixes it', async () => {
  expect(await faults({ mode: 'plain', files: [path('stereo.wav')], ...nothing })).toEqual([
    `--plain: found 2 legs in 1 files, expected one; mix them with: ffmpeg -i ${path('stereo.wav')} -ar 8000 -ac 1 -c:a pcm_s16le ${path('stereo.8k.wav')}`,
  ]);
});

test('every file that is wrong is named at once', async () => {
  const files = [path('absent.wav'), path('mono.wav'), folder];
  expect(await faults({ mode: 'siprec', files, ...nothing })).toEqual([
    `${path('absent.wav')}: can't be read (ENOENT)`,
    `${folder}: can't be read (EISDIR)`,
  ]);
});

test('codecs and parties that no leg is there for', async () => {
  const party = { name: 'x', aor: 'sip:x@y' };
  const files = [path('mono.wav')];
  expect(
    await faults({ mode: 'two-legs', files, codecs: ['PCMA', 'PCMU'], parties: [party, party] }),
  ).toHaveLength(3);
});
