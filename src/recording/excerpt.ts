import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { CallscribeError, systemCode } from '../errors.ts';
import type { CallId } from '../ids.ts';
import { findRecording } from './find-recording.ts';
import type { Channel } from './stereo-mix.ts';
import { WAVE_HEADER_BYTES, waveHeader } from './wave-header.ts';

/** A stretch of one side of a call's recording. */
export interface ExcerptPlace {
  readonly callId: CallId;
  /** When the call began (`calls.started_at`). */
  readonly startedAt: Date;
  readonly channel: Channel;
  /** From the recording's first sample on. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** A mono WAV file that lies on no disk. */
export interface Excerpt {
  readonly bytes: number;
  /** Its bytes `[from, end)`. A fault of the disk ends it with an error. */
  read(from: number, end: number): Readable;
}

const SAMPLES_PER_MS = 8;
const SAMPLE_BYTES = 2;
/** Left and right. */
const FRAME_BYTES = 2 * SAMPLE_BYTES;
/** Read at once: four seconds. */
const PIECE_FRAMES = 32_000;

/**
 * A stretch of a recording as a file of its own: mono, 8,000 Hz, 16 bits. What is beyond the recording's end is left out.
 *
 * @throws {CallscribeError} RECORDING_ABSENT, RECORDING_MALFORMED, RECORDING_STORAGE
 */
export async function openExcerpt(recordingDir: string, place: ExcerptPlace): Promise<Excerpt> {
  const path = join(recordingDir, await findRecording(recordingDir, place.callId, place.startedAt));
  const frames = Math.floor(((await sizeOf(path)) - WAVE_HEADER_BYTES) / FRAME_BYTES);
  const frameAt = (ms: number): number => Math.min(frames, Math.max(0, Math.round(ms * SAMPLES_PER_MS)));
  const first = frameAt(place.fromMs);
  const samples = Math.max(0, frameAt(place.toMs) - first);
  const header = waveHeader({ channels: 1, samples });
  const offset = place.channel === 'right' ? SAMPLE_BYTES : 0;
  return {
    bytes: WAVE_HEADER_BYTES + samples * SAMPLE_BYTES,
    read: (from, end) =>
      Readable.from(bytesOf({ path, header, first, offset }, from, end), { objectMode: false }),
  };
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (cause) {
    throw unreadable(cause);
  }
}

interface Source {
  readonly path: string;
  readonly header: Buffer;
  /** The first frame of the stretch. */
  readonly first: number;
  /** Of the side's sample within a frame. */
  readonly offset: number;
}

async function* bytesOf(
  { path, header, first, offset }: Source,
  from: number,
  end: number,
): AsyncGenerator<Buffer> {
  if (from < WAVE_HEADER_BYTES) yield header.subarray(from, end);
  if (end <= WAVE_HEADER_BYTES) return;
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw unreadable(cause);
  });
  try {
    const sampleAt = (byte: number): number => Math.max(0, byte - WAVE_HEADER_BYTES) / SAMPLE_BYTES;
    const lastSample = Math.ceil(sampleAt(end));
    for (let at = Math.floor(sampleAt(from)); at < lastSample; at += PIECE_FRAMES) {
      const count = Math.min(PIECE_FRAMES, lastSample - at);
      const position = WAVE_HEADER_BYTES + (first + at) * FRAME_BYTES;
      const { buffer, bytesRead } = await file.read(
        Buffer.alloc(count * FRAME_BYTES),
        0,
        count * FRAME_BYTES,
        position,
      );
      if (bytesRead < buffer.length) throw unreadable(undefined);
      const begin = WAVE_HEADER_BYTES + at * SAMPLE_BYTES;
      yield sideOf(buffer, offset).subarray(Math.max(0, from - begin), end - begin);
    }
  } catch (cause) {
    throw unreadable(cause);
  } finally {
    await file.close();
  }
}

function sideOf(frames: Buffer, offset: number): Buffer {
  const side = Buffer.alloc(frames.length / 2);
  for (let from = offset, to = 0; to < side.length; from += FRAME_BYTES, to += SAMPLE_BYTES) {
    side[to] = frames[from]!;
    side[to + 1] = frames[from + 1]!;
  }
  return side;
}

function unreadable(cause: unknown): CallscribeError {
  if (cause instanceof CallscribeError) return cause;
  const found = cause === undefined ? 'it is shorter than it was' : (systemCode(cause) ?? 'unknown');
  return new CallscribeError('RECORDING_STORAGE', `the recording cannot be read (${found})`, {
    cause,
    retryable: true,
  });
}
