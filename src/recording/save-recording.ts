import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { endianness } from 'node:os';
import { dirname, join } from 'node:path';

import type { LegAudioSource } from '../asr/audio-source.ts';
import { crc32 } from '../crc32.ts';
import { CallscribeError, systemCode } from '../errors.ts';
import type { CallId } from '../ids.ts';
import { recordingFile } from './recording-file.ts';
import { addLeg, type Channel, channelsOf, type MixedLeg } from './stereo-mix.ts';
import { WAVE_HEADER_BYTES, waveHeader } from './wave-header.ts';

const SAMPLES_PER_MS = 8;
/** Left and right, 16 bits each. */
const FRAME_BYTES = 4;
/** Two seconds: what is decoded at once, so that packets are not kept waiting. */
const PIECE_SAMPLES = 16_000;
/** The format counts bytes in 32 bits, which is 37 hours. What a call lasts longer is not in its WAV file. */
const SAMPLES_MAX = Math.floor((0xffff_ffff - WAVE_HEADER_BYTES) / FRAME_BYTES);
const IS_BIG_ENDIAN = endianness() === 'BE';

/** A leg as it goes into its call's recording. */
export interface SavedLeg extends MixedLeg {
  /** Wall time of the leg's sample 0. */
  readonly startedAt: Date;
  readonly source: LegAudioSource;
}

export interface SaveRecordingOptions {
  readonly recordingDir: string;
  readonly callId: CallId;
  /** When the call began; decides on the month. */
  readonly startedAt: Date;
  readonly legs: readonly SavedLeg[];
}

export interface SavedRecording {
  /** Below the directory of recordings. */
  readonly file: string;
  /** Wall time of the file's first sample: when the first leg began. */
  readonly beginAt: Date;
  readonly durationMs: number;
  readonly bytes: number;
  /** CRC-32 of the file's audio, behind its header. */
  readonly crc32: number;
  readonly channels: readonly { readonly legNo: number; readonly channel: Channel }[];
}

/**
 * Writes a call's recording: one WAV file, 8,000 Hz, 16 bits, agent left and customer right. Every leg begins where it
 * did by the wall clock, counted from the first one's begin; what comes before and after is zero. The file has its name
 * only when it is whole and on disk; doing it again gives the same file.
 *
 * @returns undefined where no leg holds audio
 * @throws {CallscribeError} RECORDING_STORAGE, or what reading a leg throws
 */
export async function saveRecording(options: SaveRecordingOptions): Promise<SavedRecording | undefined> {
  const legs = options.legs.filter(({ source }) => source.endSample > 0);
  if (legs.length === 0) return undefined;
  const beginMs = Math.min(...legs.map(({ startedAt }) => startedAt.getTime()));
  const channels = channelsOf(legs);
  const tracks = legs.map(({ source, startedAt }, index) => ({
    source,
    channel: channels[index]!,
    beginSample: Math.round((startedAt.getTime() - beginMs) * SAMPLES_PER_MS),
  }));
  const lastSample = Math.max(...tracks.map(({ source, beginSample }) => beginSample + source.endSample));
  const samples = Math.min(SAMPLES_MAX, lastSample);
  const file = recordingFile(options.callId, options.startedAt);
  const check = await writeWhole(join(options.recordingDir, file), (handle) =>
    writeAudio(handle, tracks, samples),
  );
  return {
    file,
    beginAt: new Date(beginMs),
    durationMs: Math.round(samples / SAMPLES_PER_MS),
    bytes: WAVE_HEADER_BYTES + samples * FRAME_BYTES,
    crc32: check,
    channels: legs.map(({ legNo }, index) => ({ legNo, channel: channels[index]! })),
  };
}

interface Track {
  readonly source: LegAudioSource;
  readonly channel: Channel;
  /** Where the leg's sample 0 is in the file. */
  readonly beginSample: number;
}

/** @returns the CRC-32 of the audio */
async function writeAudio(file: FileHandle, tracks: readonly Track[], samples: number): Promise<number> {
  await writeAll(file, waveHeader({ channels: 2, samples }), 0);
  let check = 0;
  for (let at = 0; at < samples; at += PIECE_SAMPLES) {
    const piece = new Int16Array(2 * Math.min(PIECE_SAMPLES, samples - at));
    for (const track of tracks) await addTrack(piece, track, at);
    const bytes = Buffer.from(piece.buffer);
    if (IS_BIG_ENDIAN) bytes.swap16();
    check = crc32(bytes, check);
    await writeAll(file, bytes, WAVE_HEADER_BYTES + at * FRAME_BYTES);
  }
  return check;
}

async function addTrack(
  piece: Int16Array,
  { source, channel, beginSample }: Track,
  at: number,
): Promise<void> {
  const end = Math.min(at + piece.length / 2 - beginSample, source.endSample);
  for (let from = Math.max(0, at - beginSample); from < end;) {
    const pcm = await source.read(from, end - from);
    if (pcm.length === 0) return;
    const samples = samplesOf(pcm);
    addLeg(piece, channel, samples, beginSample + from - at);
    from += samples.length;
  }
}

/** @param pcm signed 16-bit little-endian */
function samplesOf(pcm: Buffer): Int16Array {
  const own = Buffer.allocUnsafeSlow(pcm.length);
  pcm.copy(own);
  if (IS_BIG_ENDIAN) own.swap16();
  return new Int16Array(own.buffer, 0, own.length / 2);
}

/** Under another name until it is whole and on disk. */
async function writeWhole<T>(path: string, write: (file: FileHandle) => Promise<T>): Promise<T> {
  const part = `${path}.part`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o750 });
    const file = await open(part, 'w', 0o640);
    let result: T;
    try {
      result = await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, path);
    await syncDirectory(dirname(path));
    return result;
  } catch (cause) {
    await rm(part, { force: true }).catch(() => undefined);
    if (cause instanceof CallscribeError) throw cause;
    throw new CallscribeError(
      'RECORDING_STORAGE',
      `a recording cannot be written (${systemCode(cause) ?? 'unknown'}). Make room below RECORDING_DIR, and let it be written to`,
      { cause, retryable: true },
    );
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}
