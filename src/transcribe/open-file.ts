import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { extname } from 'node:path';

import { decodeG711 } from '../audio/g711.ts';
import { readWav, type WavAudio } from '../audio/wav.ts';
import type { AudioFile } from '../dashscope/audio-file.ts';
import { type AudioFacts, HEADER_BYTES, readAudioHeader } from '../dashscope/audio-header.ts';
import type { AudioFormat } from '../dashscope/models.ts';
import { CallscribeError } from '../errors.ts';

/** One channel of a file as the service takes it. */
export interface FileLeg {
  readonly legNo: number;
  readonly format: AudioFormat;
  readonly sampleRate: number;
  readonly codec: 'PCMU' | 'PCMA' | undefined;
  /** What is read for it in all, in bytes, to tell how far it is. */
  readonly totalBytes: number;
  readonly audio: AudioFile;
}

const RAW_G711: Readonly<Partial<Record<string, 'PCMU' | 'PCMA'>>> = { '.alaw': 'PCMA', '.ulaw': 'PCMU' };
const G711_BY_TAG: Readonly<Partial<Record<number, 'PCMU' | 'PCMA'>>> = { 6: 'PCMA', 7: 'PCMU' };
const G711_RATE_HZ = 8_000;
const PCM_TAG = 1;

/**
 * Looks at a file and says how its channels are to be sent. What the service takes goes as it is; G.711 is decoded
 * and stereo taken apart while it is read, in constant memory.
 *
 * @param rawRateHz of files without a header
 * @throws {CallscribeError} `AUDIO_UNSUPPORTED` with the way out
 */
export async function openFile(path: string, rawRateHz: number): Promise<readonly FileLeg[]> {
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
  if (wav.kind === 'wav' && (facts.format === undefined || wav.audio.channels !== 1)) {
    return wavLegs(path, head, size, wav.audio, facts);
  }
  const format = facts.format ?? (facts.name === undefined && ending === '.pcm' ? 'pcm' : undefined);
  if (format === undefined) throw unsupported(path, notTaken(facts));
  const sampleRate = facts.sampleRate ?? rawRateHz;
  return [{ legNo: 0, format, sampleRate, codec: undefined, totalBytes: size, audio: path }];
}

function notTaken({ name }: AudioFacts): string {
  return name === undefined
    ? 'no header that is known; raw 16-bit samples must be in a file that ends in .pcm, G.711 in .alaw or .ulaw'
    : `${name} is not taken`;
}

function wavLegs(
  path: string,
  head: Buffer,
  size: number,
  wav: WavAudio,
  facts: AudioFacts,
): readonly FileLeg[] {
  const { formatTag, bitsPerSample, channels, sampleRateHz, data } = wav;
  const codec = bitsPerSample === 8 ? G711_BY_TAG[formatTag] : undefined;
  if (codec === undefined && (formatTag !== PCM_TAG || bitsPerSample !== 16)) {
    throw unsupported(path, notTaken(facts));
  }
  if (channels !== 1 && channels !== 2) {
    throw unsupported(path, `${channels} channels, expected 1 or 2`);
  }
  const from = data.byteOffset - head.byteOffset;
  const written = head.readUInt32LE(from - 4);
  const bytes = Math.min(written === 0 ? size : written, size - from);
  if (bytes < channels) throw unusable(path, 'a WAV file without audio');
  return legsOf(path, { codec, channels, sampleRate: sampleRateHz, from, bytes });
}

interface Samples {
  /** Undefined: 16-bit PCM. */
  readonly codec: 'PCMU' | 'PCMA' | undefined;
  readonly channels: number;
  readonly sampleRate: number;
  /** Where in the file they begin, and how many bytes they are. */
  readonly from: number;
  readonly bytes: number;
}

function legsOf(path: string, samples: Samples): readonly FileLeg[] {
  const { channels, codec, sampleRate, bytes } = samples;
  const pcmBytes = Math.floor(bytes / channels) * (codec === undefined ? 1 : 2);
  return Array.from({ length: channels }, (_, legNo) => ({
    legNo,
    format: 'pcm',
    sampleRate,
    codec,
    totalBytes: pcmBytes,
    audio: channelPcm(path, samples, legNo),
  }));
}

/** One channel as 16-bit PCM, piece by piece. */
async function* channelPcm(path: string, samples: Samples, channelNo: number): AsyncGenerator<Uint8Array> {
  const { codec, channels, from, bytes } = samples;
  const sampleBytes = codec === undefined ? 2 : 1;
  const blockBytes = sampleBytes * channels;
  const pieces = createReadStream(path, { start: from, end: from + bytes - 1 }) as AsyncIterable<Buffer>;
  let rest = Buffer.alloc(0);
  for await (const piece of pieces) {
    const whole = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    const blocks = Math.floor(whole.length / blockBytes);
    // A copy: the stream reuses its buffer.
    rest = Buffer.from(whole.subarray(blocks * blockBytes));
    const own = Buffer.alloc(blocks * sampleBytes);
    for (let block = 0; block < blocks; block += 1) {
      const at = block * blockBytes + channelNo * sampleBytes;
      whole.copy(own, block * sampleBytes, at, at + sampleBytes);
    }
    if (own.length > 0) yield codec === undefined ? own : littleEndian(decodeG711(codec, own));
  }
}

function littleEndian(samples: Int16Array): Buffer {
  const bytes = Buffer.alloc(samples.length * 2);
  for (const [no, sample] of samples.entries()) bytes.writeInt16LE(sample, no * 2);
  return bytes;
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
