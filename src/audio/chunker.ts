import { endianness } from 'node:os';

import type { G711Law } from '../rtp/payload-map.ts';
import { decodeG711Into } from './g711.ts';

/** 100 ms at 8,000 Hz. */
export const CHUNK_SAMPLES = 800;
const BYTES_PER_SAMPLE = 2;
const IS_BIG_ENDIAN = endianness() === 'BE';

/**
 * Takes one chunk: signed 16-bit little-endian PCM, 8,000 Hz, mono. The buffer is new and the taker's own.
 * `beginSample` is where the chunk before ended.
 */
export type TakeChunk = (pcm: Buffer, beginSample: number) => void;

/**
 * Cuts a leg's samples into chunks of 100 ms, whatever pieces they come in. Samples are written where the chunk
 * is built; only a whole chunk is copied out, so a packet costs no allocation.
 */
export class Chunker {
  readonly #take: TakeChunk;
  readonly #samples = new Int16Array(CHUNK_SAMPLES);
  readonly #bytes = Buffer.from(this.#samples.buffer);
  #count = 0;
  #beginSample = 0;

  constructor(take: TakeChunk) {
    this.#take = take;
  }

  /** Decodes the codes `codes[begin, end)` behind what there is. */
  appendG711(law: G711Law, codes: Uint8Array, begin: number, end: number): void {
    for (let from = begin; from < end;) {
      const to = Math.min(end, from + CHUNK_SAMPLES - this.#count);
      decodeG711Into(law, codes, from, to, this.#samples, this.#count);
      this.#advance(to - from);
      from = to;
    }
  }

  /** Appends `samples[0, count)`. */
  appendSamples(samples: Int16Array, count: number): void {
    for (let from = 0; from < count;) {
      const to = Math.min(count, from + CHUNK_SAMPLES - this.#count);
      this.#samples.set(samples.subarray(from, to), this.#count);
      this.#advance(to - from);
      from = to;
    }
  }

  /**
   * Copies the newest samples, oldest first; zeros where there were none yet. The room in which chunks are built
   * still holds the end of the chunk before.
   * @param target at most a chunk
   */
  copyNewest(target: Int16Array): void {
    const ofThisChunk = Math.min(target.length, this.#count);
    const ofTheLast = target.length - ofThisChunk;
    target.set(this.#samples.subarray(CHUNK_SAMPLES - ofTheLast));
    target.set(this.#samples.subarray(this.#count - ofThisChunk, this.#count), ofTheLast);
  }

  /** Appends digital zero. */
  appendSilence(samples: number): void {
    for (let left = samples; left > 0;) {
      const count = Math.min(left, CHUNK_SAMPLES - this.#count);
      this.#samples.fill(0, this.#count, this.#count + count);
      this.#advance(count);
      left -= count;
    }
  }

  /** Hands out what is left, as a chunk that is shorter than the others; nothing when nothing is. */
  flush(): void {
    if (this.#count > 0) this.#handOut();
  }

  #advance(samples: number): void {
    this.#count += samples;
    if (this.#count === CHUNK_SAMPLES) this.#handOut();
  }

  #handOut(): void {
    const pcm = Buffer.allocUnsafe(this.#count * BYTES_PER_SAMPLE);
    this.#bytes.copy(pcm, 0, 0, pcm.length);
    if (IS_BIG_ENDIAN) pcm.swap16();
    const beginSample = this.#beginSample;
    this.#beginSample += this.#count;
    this.#count = 0;
    this.#take(pcm, beginSample);
  }
}
