import { open, stat } from 'node:fs/promises';
import { extname } from 'node:path';

import { readWav, type WavAudio } from '../audio/wav.ts';
import type { AudioFile } from '../dashscope/audio-file.ts';
import { type AudioFacts, HEADER_BYTES, readAudioHeader } from '../dashscope/audio-header.ts';
import type { AudioFormat } from '../dashscope/models.ts';
import { CallscribeError } from '../errors.ts';
import { type DecodableAudio, decodeChannel, probeAudio } from './ffmpeg.ts';
import { legsOf, msOf } from './sample-legs.ts';

/** One channel of a file as the service takes it. */
export interface FileLeg {
  readonly legNo: number;
  readonly format: AudioFormat;
  readonly sampleRate: number;
  readonly codec: 'PCMU' | 'PCMA' | undefined;
  /** What is read for it in all, in bytes, to tell how far it is; undefined where nobody knows. */
  readonly totalBytes: number | undefined;
  /** Undefined for what the service decodes. */
  readonly audioMs: number | undefined;
  readonly audio: AudioFile;
}

const RAW_G711: Readonly<Partial<Record<string, 'PCMU' | 'PCMA'>>> = { '.alaw': 'PCMA', '.ulaw': 'PCMU' };
const G711_BY_TAG: Readonly<Partial<Record<number, 'PCMU' | 'PCMA'>>> = { 6: 'PCMA', 7: 'PCMU' };
const G711_RATE_HZ = 8_000;
const PCM_TAG = 1;
/** The recogniser hears nothing above. */
const DECODED_RATE_MAX_HZ = 16_000;
const HOUR_MS = 3_600_000;

export interface OpenFileOptions {
  /** Hz, of files without a header. */
  readonly rawRateHz: number;
  /** Longer ones are refused; default: none is. */
  readonly hoursMax?: number | undefined;
}

/**
 * Looks at a file and says how its channels are to be sent. What the service takes goes as it is; G.711 is decoded
 * and stereo taken apart while it is read, in constant memory. Where ffmpeg is installed, it decodes all else.
 *
 * @throws {CallscribeError} `AUDIO_UNSUPPORTED` with the way out
 */
export async function openFile(path: string, options: OpenFileOptions): Promise<readonly FileLeg[]> {
  const { hoursMax = Infinity } = options;
  const legs = await legsOfFile(path, options.rawRateHz, hoursMax);
  const audioMs = Math.max(...legs.map((leg) => leg.audioMs ?? 0));
  if (audioMs <= hoursMax * HOUR_MS) return legs;
  const hours = (audioMs / HOUR_MS).toFixed(1);
  throw unusable(path, `${hours} hours of audio, allowed are ${hoursMax}; cut it`);
}

async function legsOfFile(path: string, rawRateHz: number, hoursMax: number): Promise<readonly FileLeg[]> {
  const { size } = await stat(path);
  if (size === 0) throw unusable(path, 'the file is empty');
  const ending = extname(path).toLowerCase();
  const rawCodec = RAW_G711[ending];
  if (rawCodec !== undefined) {
    return legsOf(path, { codec: rawCodec, channels: 1, sampleRate: G711_RATE_HZ, from: 0, bytes: size });
  }
  const head = await readHead(path);
  const wav = readWav(head);
  if (wav.kind === 'malformed') {
    throw unusable(path, `${wav.found}; copy it again from where it was recorded`);
  }
  const facts = readAudioHeader(head);
  if (wav.kind === 'wav') {
    const legs = wavLegs(path, head, size, wav.audio);
    if (legs !== undefined) return legs;
  }
  if (facts.name === undefined && ending === '.pcm') {
    const audioMs = msOf(size, rawRateHz);
    return [whole(path, { format: 'pcm', sampleRate: rawRateHz, totalBytes: size, audioMs })];
  }
  const probed = await probeAudio(path);
  const { format, channels = 1 } = facts;
  if (format !== undefined && (channels === 1 || !isDecodable(probed))) {
    const audioMs = isDecodable(probed) ? probed.audioMs : undefined;
    return [whole(path, { format, sampleRate: facts.sampleRate ?? rawRateHz, totalBytes: size, audioMs })];
  }
  if (isDecodable(probed) && (facts.name !== undefined || probed.knownBy === 'content')) {
    return decodedLegs(path, probed, hoursMax);
  }
  if (probed === 'absent' || facts.name === undefined) throw unsupported(path, notTaken(facts));
  throw unusable(
    path,
    `${facts.name} in which ffmpeg finds no audio; copy it again from where it was recorded`,
  );
}

const isDecodable = (probed: Awaited<ReturnType<typeof probeAudio>>): probed is DecodableAudio =>
  probed !== undefined && probed !== 'absent';

/** A file that the service decodes. */
const whole = (
  path: string,
  leg: Pick<FileLeg, 'format' | 'sampleRate' | 'totalBytes' | 'audioMs'>,
): FileLeg => ({ legNo: 0, codec: undefined, audio: path, ...leg });

/** Through ffmpeg, as it is read; nothing above what speech needs. */
function decodedLegs(
  path: string,
  { channels, sampleRate, audioMs }: DecodableAudio,
  hoursMax: number,
): readonly FileLeg[] {
  refuseUnlessTwo(path, channels);
  const sentRate = Math.min(sampleRate, DECODED_RATE_MAX_HZ);
  return Array.from({ length: channels }, (_, legNo) => ({
    legNo,
    format: 'pcm',
    sampleRate: sentRate,
    codec: undefined,
    totalBytes: audioMs === undefined ? undefined : Math.ceil((audioMs * sentRate * 2) / 1_000),
    audioMs,
    audio: decodeChannel(path, { channelNo: legNo, sampleRate: sentRate, hoursMax }),
  }));
}

/** @returns undefined where it holds what only ffmpeg decodes */
function wavLegs(path: string, head: Buffer, size: number, wav: WavAudio): readonly FileLeg[] | undefined {
  const { formatTag, bitsPerSample, channels, sampleRateHz: sampleRate, data } = wav;
  const codec = bitsPerSample === 8 ? G711_BY_TAG[formatTag] : undefined;
  if (codec === undefined && (formatTag !== PCM_TAG || bitsPerSample !== 16)) return undefined;
  refuseUnlessTwo(path, channels);
  const from = data.byteOffset - head.byteOffset;
  const written = head.readUInt32LE(from - 4);
  const bytes = Math.min(written === 0 ? size : written, size - from);
  if (bytes < channels) throw unusable(path, 'a WAV file without audio');
  if (codec === undefined && channels === 1) {
    return [whole(path, { format: 'wav', sampleRate, totalBytes: size, audioMs: msOf(bytes, sampleRate) })];
  }
  return legsOf(path, { codec, channels, sampleRate, from, bytes });
}

function refuseUnlessTwo(path: string, channels: number): void {
  if (channels !== 1 && channels !== 2) throw unsupported(path, `${channels} channels, expected 1 or 2`);
}

function notTaken({ name }: AudioFacts): string {
  return name === undefined
    ? 'no header that is known; raw 16-bit samples must be in a file that ends in .pcm, G.711 in .alaw or .ulaw'
    : `${name} is not taken`;
}

async function readHead(path: string): Promise<Buffer> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

function unsupported(path: string, found: string): CallscribeError {
  return unusable(
    path,
    `${found}; ffmpeg -i INPUT -ac 1 -ar 8000 -c:a pcm_s16le OUTPUT.wav makes of most recordings what is taken`,
  );
}

/** No conversion would help. */
function unusable(path: string, found: string): CallscribeError {
  return new CallscribeError('AUDIO_UNSUPPORTED', `${path}: ${found}`);
}
