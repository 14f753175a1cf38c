import { createReadStream } from 'node:fs';

import { decodeG711 } from '../audio/g711.ts';
import type { FileLeg } from './open-file.ts';

/** Samples in a file, channels interleaved. */
export interface Samples {
  /** Undefined: 16-bit PCM. */
  readonly codec: 'PCMU' | 'PCMA' | undefined;
  readonly channels: number;
  readonly sampleRate: number;
  /** Where in the file they begin, and how many bytes they are. */
  readonly from: number;
  readonly bytes: number;
}

/** Its channels as 16-bit PCM; G.711 is decoded while it is read. */
export function legsOf(path: string, samples: Samples): readonly FileLeg[] {
  const { channels, codec, sampleRate, bytes } = samples;
  const pcmBytes = Math.floor(bytes / channels) * (codec === undefined ? 1 : 2);
  return Array.from({ length: channels }, (_, legNo) => ({
    legNo,
    format: 'pcm',
    sampleRate,
    codec,
    totalBytes: pcmBytes,
    audioMs: msOf(pcmBytes, sampleRate),
    audio: channelPcm(path, samples, legNo),
  }));
}

/** @param bytes of 16-bit PCM, one channel */
export const msOf = (bytes: number, sampleRate: number): number => Math.round((bytes * 500) / sampleRate);

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
