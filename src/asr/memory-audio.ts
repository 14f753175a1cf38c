import type { LegAudioSource } from './audio-source.ts';

const BYTES_PER_SAMPLE = 2;

/** A leg's newest audio in memory, for a leg that has no other source. Beyond the bound the oldest is let go. */
export class MemoryAudio implements LegAudioSource {
  readonly #samplesMax: number;
  #chunks: { readonly beginSample: number; readonly pcm: Buffer }[] = [];
  #endSample: number;

  /** @param fromSample the leg's position of the first sample that is appended */
  constructor(samplesMax: number, fromSample = 0) {
    this.#samplesMax = samplesMax;
    this.#endSample = fromSample;
  }

  get beginSample(): number {
    return this.#chunks[0]?.beginSample ?? this.#endSample;
  }

  get endSample(): number {
    return this.#endSample;
  }

  append(pcm: Buffer): void {
    this.#chunks.push({ beginSample: this.#endSample, pcm });
    this.#endSample += pcm.length / BYTES_PER_SAMPLE;
    while (this.#chunks.length > 1 && this.#endSample - this.beginSample > this.#samplesMax) {
      this.#chunks.shift();
    }
  }

  read(fromSample: number, maxSamples: number): Promise<Buffer> {
    const toSample = Math.min(fromSample + maxSamples, this.#endSample);
    if (toSample <= fromSample) return Promise.resolve(Buffer.alloc(0));
    const target = Buffer.alloc((toSample - fromSample) * BYTES_PER_SAMPLE);
    for (const { beginSample, pcm } of this.#chunks) {
      const at = (beginSample - fromSample) * BYTES_PER_SAMPLE;
      if (at >= target.length) break;
      if (at + pcm.length > 0) pcm.copy(target, Math.max(0, at), Math.max(0, -at));
    }
    return Promise.resolve(target);
  }
}
