import { mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { MemoryAudio } from '../../src/asr/memory-audio.ts';
import { type CallId, newCallId } from '../../src/ids.ts';
import { type Excerpt, type ExcerptPlace, openExcerpt } from '../../src/recording/excerpt.ts';
import { saveRecording } from '../../src/recording/save-recording.ts';

/** Ten seconds of two legs; the second begins a second after the first. */
const SAMPLES = 80_000;
const startedAt = new Date('2026-11-23T08:00:00.000Z');
let directory: string;

const agentAt = (index: number): number => index % 30_000;
const customerAt = (index: number): number => -(index % 20_000) - 1;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'callscribe-excerpt-'));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function aRecording(): Promise<{ readonly callId: CallId; readonly path: string }> {
  const callId = newCallId();
  const legs = [agentAt, customerAt].map((sampleAt, legNo) => {
    const source = new MemoryAudio(60_000);
    source.append(Buffer.from(Int16Array.from({ length: SAMPLES }, (_, index) => sampleAt(index)).buffer));
    const role = legNo === 0 ? ('agent' as const) : ('customer' as const);
    return { legNo, role, startedAt: new Date(startedAt.getTime() + legNo * 1_000), source };
  });
  const saved = await saveRecording({ recordingDir: directory, callId, startedAt, legs });
  return { callId, path: join(directory, saved!.file) };
}

const excerptOf = (callId: CallId, place: Partial<ExcerptPlace>): Promise<Excerpt> =>
  openExcerpt(directory, { callId, startedAt, channel: 'left', fromMs: 0, toMs: 10_000, ...place });

async function read(excerpt: Excerpt, from = 0, end = excerpt.bytes): Promise<Buffer> {
  return Buffer.concat(await excerpt.read(from, end).toArray());
}

const samplesOf = (wav: Buffer): number[] =>
  Array.from({ length: (wav.length - 44) / 2 }, (_, index) => wav.readInt16LE(44 + 2 * index));

describe('an excerpt', () => {
  it('is a mono WAV file of one side', async () => {
    const { callId } = await aRecording();
    const excerpt = await excerptOf(callId, { channel: 'right', fromMs: 3_000, toMs: 5_000 });
    const wav = await read(excerpt);
    expect(wav.length).toBe(excerpt.bytes);
    expect(wav.toString('latin1', 0, 4) + wav.toString('latin1', 8, 16)).toBe('RIFFWAVEfmt ');
    expect(wav.readUInt32LE(4)).toBe(wav.length - 8);
    // PCM, one channel, 8,000 Hz, 16,000 bytes a second, two bytes a frame, 16 bits.
    expect([20, 22, 32, 34].map((at) => wav.readUInt16LE(at))).toEqual([1, 1, 2, 16]);
    expect([24, 28, 40].map((at) => wav.readUInt32LE(at))).toEqual([8_000, 16_000, 32_000]);
    expect(samplesOf(wav)).toEqual(Array.from({ length: 16_000 }, (_, index) => customerAt(index + 16_000)));
  });

  it('has any range of its bytes as the whole has them', async () => {
    const { callId } = await aRecording();
    const excerpt = await excerptOf(callId, { fromMs: 100, toMs: 9_400 });
    const whole = await read(excerpt);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length), fc.nat(whole.length), async (a, b) => {
        const [from, end] = [Math.min(a, b), Math.max(a, b)];
        expect((await read(excerpt, from, end)).equals(whole.subarray(from, end))).toBe(true);
      }),
      {
        numRuns: 60,
        seed: 20261123,
        examples: [
          [0, 44],
          [43, 45],
          [45, 46],
          [44, whole.length],
          [0, 0],
          [64_043, 64_045],
        ],
      },
    );
  });

  it('ends where the recording does', async () => {
    const { callId } = await aRecording();
    expect((await excerptOf(callId, { fromMs: 10_500, toMs: 99_000 })).bytes).toBe(44 + 500 * 16);
    expect((await excerptOf(callId, { fromMs: 50_000, toMs: 99_000 })).bytes).toBe(44);
    expect((await excerptOf(callId, { fromMs: -500, toMs: 1_000 })).bytes).toBe(44 + 16_000);
    expect((await excerptOf(callId, { fromMs: 2_000, toMs: 1_000 })).bytes).toBe(44);
  });

  it('of a file that is not there, or shrinks while it is read, is a fault', async () => {
    await expect(excerptOf(newCallId(), {})).rejects.toMatchObject({ code: 'RECORDING_ABSENT' });
    const { callId, path } = await aRecording();
    const excerpt = await excerptOf(callId, {});
    await truncate(path, 1_000);
    await expect(read(excerpt)).rejects.toMatchObject({ code: 'RECORDING_STORAGE' });
    await expect(excerptOf(callId, {})).rejects.toMatchObject({ code: 'RECORDING_MALFORMED' });
  });
});
