import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { promisify } from 'node:util';

import { z } from 'zod';

import { CallscribeError, systemCode } from '../errors.ts';

/** What ffmpeg found in a file. */
export interface DecodableAudio {
  readonly channels: number;
  /** Hz. */
  readonly sampleRate: number;
  /** Undefined: the file does not say how long it is. */
  readonly audioMs: number | undefined;
  /** `name`: a guess by the ending of its name, or little more. */
  readonly knownBy: 'content' | 'name';
}

/**
 * Containers of recordings. Named, since ffmpeg also knows play lists and scripts, which lead to other files and
 * addresses.
 */
const DEMUXERS = 'aac,ac3,aiff,amr,ape,asf,au,avi,caf,flac,matroska,mov,mp3,ogg,wav,w64,wv';
const ONLY_THIS_FILE = ['-protocol_whitelist', 'file', '-format_whitelist', DEMUXERS];
/** AVPROBE_SCORE_EXTENSION of libavformat. */
const SCORE_OF_NAME = 50;
const PROBE_WITHIN_MS = 20_000;
const PROBE_OUTPUT_BYTES_MAX = 65_536;

const number = z.coerce.number().positive();
const probed = z.object({
  streams: z.tuple([
    z.object({
      channels: number,
      sample_rate: number,
      duration: number.optional().catch(undefined),
    }),
  ]),
  format: z.object({ duration: number.optional().catch(undefined), probe_score: z.number() }),
});

/**
 * Looks at a file's first audio.
 *
 * @returns `absent` where ffmpeg is not installed; undefined where it finds no audio
 */
export async function probeAudio(path: string): Promise<DecodableAudio | 'absent' | undefined> {
  try {
    const { stdout } = await promisify(execFile)(
      'ffprobe',
      [
        ...['-v', 'error', ...ONLY_THIS_FILE, '-select_streams', 'a:0', '-of', 'json'],
        ...[
          '-show_entries',
          'stream=channels,sample_rate,duration:format=duration,probe_score',
          addressOf(path),
        ],
      ],
      { timeout: PROBE_WITHIN_MS, killSignal: 'SIGKILL', maxBuffer: PROBE_OUTPUT_BYTES_MAX },
    );
    const { streams, format } = probed.parse(JSON.parse(stdout));
    const [{ channels, sample_rate: sampleRate, duration = format.duration }] = streams;
    return {
      channels,
      sampleRate,
      audioMs: duration === undefined ? undefined : Math.round(duration * 1_000),
      knownBy: format.probe_score > SCORE_OF_NAME ? 'content' : 'name',
    };
  } catch (thrown) {
    return systemCode(thrown) === 'ENOENT' ? 'absent' : undefined;
  }
}

interface DecodeOptions {
  readonly channelNo: number;
  /** Hz; resampled to it. */
  readonly sampleRate: number;
  /** A small file may be decoded to a huge one, whatever it says of itself. */
  readonly hoursMax: number;
}

/**
 * One channel as 16-bit PCM, piece by piece, as fast as it is read. The process ends with the reading.
 *
 * @throws {CallscribeError} AUDIO_UNSUPPORTED where nothing can be decoded, or too much; of a damaged file, what is before
 *   the damage comes
 */
export async function* decodeChannel(
  path: string,
  { channelNo, sampleRate, hoursMax }: DecodeOptions,
): AsyncGenerator<Uint8Array> {
  const child = spawn(
    'ffmpeg',
    [
      ...['-hide_banner', '-nostdin', '-loglevel', 'quiet', '-threads', '1', ...ONLY_THIS_FILE],
      ...['-i', addressOf(path), '-map', '0:a:0', '-af', `pan=mono|c0=c${channelNo}`],
      ...['-ar', String(sampleRate), '-f', 's16le', 'pipe:1'],
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const closed = once(child, 'close');
  closed.catch(() => undefined);
  let bytes = 0;
  let odd = Buffer.alloc(0);
  try {
    for await (const piece of child.stdout as AsyncIterable<Buffer>) {
      bytes += piece.length;
      if (bytes > hoursMax * 3_600 * sampleRate * 2) {
        throw new CallscribeError(
          'AUDIO_UNSUPPORTED',
          `${path}: more than ${hoursMax} hours of audio; cut it`,
        );
      }
      const whole = odd.length === 0 ? piece : Buffer.concat([odd, piece]);
      odd = Buffer.from(whole.subarray(whole.length - (whole.length % 2)));
      if (whole.length > odd.length) yield whole.subarray(0, whole.length - odd.length);
    }
    await closed;
  } finally {
    child.kill('SIGKILL');
  }
  if (bytes === 0) throw new CallscribeError('AUDIO_UNSUPPORTED', `${path}: ffmpeg cannot decode it`);
}

/** A name with a colon is no protocol. */
const addressOf = (path: string): string => `file:${resolve(path)}`;
