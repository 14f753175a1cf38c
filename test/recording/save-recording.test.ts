import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { LegAudioSource } from '../../src/asr/audio-source.ts';
import { readWav } from '../../src/audio/wav.ts';
import { crc32 } from '../../src/crc32.ts';
import { CallscribeError } from '../../src/errors.ts';
import { newCallId } from '../../src/ids.ts';
import { type SavedLeg, saveRecording } from '../../src/recording/save-recording.ts';
import { addLeg, type Channel, channelsOf, type MixedLeg } from '../../src/recording/stereo-mix.ts';

let recordingDir: string;
beforeAll(async () => {
  recordingDir = await mkdtemp(join(tmpdir(), 'callscribe-recordings-'));
});
afterAll(() => rm(recordingDir, { recursive: true }));

const STARTED_AT = new Date('2026-10-31T23:59:59.900Z');
const at = (ms: number): Date => new Date(STARTED_AT.getTime() + ms);

/** Audio that is one value all over, given in pieces of at most 5,000 samples. */
function constant(value: number, samples: number): LegAudioSource {
  return {
    beginSample: 0,
    endSample: samples,
    read: (from, max) => {
      const count = Math.max(0, Math.min(max, 5_000, samples - from));
      return Promise.resolve(Buffer.from(new Int16Array(count).fill(value).buffer));
    },
  };
}

async function save(legs: readonly SavedLeg[]) {
  const callId = newCallId(STARTED_AT);
  const saved = await saveRecording({ recordingDir, callId, startedAt: STARTED_AT, legs });
  if (saved === undefined) return undefined;
  const bytes = await readFile(join(recordingDir, saved.file));
  const reading = readWav(bytes);
  if (reading.kind !== 'wav') throw new Error(reading.kind);
  const { data } = reading.audio;
  const samples = new Int16Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.length));
  const side = (first: number): Int16Array => samples.filter((_, i) => i % 2 === first);
  return { callId, saved, bytes, audio: reading.audio, left: side(0), right: side(1) };
}

describe('saveRecording', () => {
  it('puts the agent left and the customer right, both from the moment at which the first of them began', async () => {
    const found = await save([
      { legNo: 0, role: 'customer', startedAt: at(1_500), source: constant(-300, 30_000) },
      { legNo: 1, role: 'agent', startedAt: at(0), source: constant(700, 40_001) },
    ]);
    const { saved, audio, left, right, bytes, callId } = found!;
    expect(audio).toMatchObject({ formatTag: 1, channels: 2, sampleRateHz: 8_000, bitsPerSample: 16 });
    expect(saved).toMatchObject({
      file: `2026-10/${callId}.wav`,
      beginAt: STARTED_AT,
      durationMs: 5_250,
      bytes: bytes.length,
      crc32: crc32(audio.data),
      channels: [
        { legNo: 0, channel: 'right' },
        { legNo: 1, channel: 'left' },
      ],
    });
    expect(left).toHaveLength(42_000);
    expect(left).toEqual(new Int16Array(42_000).fill(700, 0, 40_001));
    expect(right).toEqual(new Int16Array(42_000).fill(-300, 12_000, 42_000));
  });

  it('adds the legs of one side', async () => {
    const { left, right } = (await save([
      { legNo: 0, role: 'agent', startedAt: at(0), source: constant(20_000, 800) },
      { legNo: 1, role: 'agent', startedAt: at(50), source: constant(20_000, 800) },
      { legNo: 2, role: 'mixed', startedAt: at(0), source: constant(1, 800) },
    ]))!;
    expect([left[0], left[399], left[400], left[800], left[1_199]]).toEqual([
      20_001, 20_001, 32_767, 20_000, 20_000,
    ]);
    expect(right).toEqual(new Int16Array(1_200).fill(1, 0, 800));
  });

  it('leaves no file where nothing was heard', async () => {
    const leg = { legNo: 0, role: 'agent', startedAt: at(0), source: constant(0, 0) } as const;
    await expect(save([leg])).resolves.toBeUndefined();
    await expect(save([])).resolves.toBeUndefined();
  });

  it('leaves neither half a file nor its rest when a leg cannot be read', async () => {
    const fault = new CallscribeError('RECORDING_STORAGE', 'gone', { retryable: true });
    const source = { ...constant(1, 50_000), read: () => Promise.reject(fault) };
    const before = await readdir(recordingDir, { recursive: true });
    await expect(save([{ legNo: 0, role: 'agent', startedAt: at(0), source }])).rejects.toBe(fault);
    expect(await readdir(recordingDir, { recursive: true })).toEqual(before);
  });
});

describe('channelsOf', () => {
  const legs = (...roles: MixedLeg['role'][]): MixedLeg[] => roles.map((role, legNo) => ({ role, legNo }));
  it.each<[MixedLeg[], Channel[]]>([
    [legs('agent', 'customer'), ['left', 'right']],
    [legs('customer', 'agent', 'agent'), ['right', 'left', 'left']],
    [legs('mixed'), ['both']],
    [legs('unknown'), ['both']],
    [legs('unknown', 'unknown'), ['left', 'right']],
    [legs('unknown', 'unknown', 'unknown'), ['left', 'right', 'left']],
    [legs('unknown', 'agent'), ['right', 'left']],
    [legs('customer', 'unknown'), ['right', 'left']],
    [legs('unknown', 'unknown').reverse(), ['right', 'left']],
  ])('%j: %j', (given, expected) => {
    expect(channelsOf(given)).toEqual(expected);
  });
});

it('adds up to what 16 bits hold, and no further', () => {
  const piece = Int16Array.of(30_000, 0, -30_000, 5);
  addLeg(piece, 'left', Int16Array.of(30_000, -30_000), 0);
  addLeg(piece, 'both', Int16Array.of(-7), 1);
  expect([...piece]).toEqual([32_767, 0, -32_768, -2]);
});
