import { FRAME_MAX_BYTES, frameBytesOf } from './audio-rates.ts';
import type { AudioFormat } from './models.ts';

/** How pushed audio becomes binary frames. */
export interface Framing {
  /** Bytes that wait for the rest of their frame. */
  readonly waitingBytes: number;
  /** Whether a push of this length goes out as it is, with nothing kept. */
  passes(bytes: number): boolean;
  push(audio: Buffer): Buffer[];
  /** What waits; undefined where nothing does. */
  flush(): Buffer | undefined;
}

/** Uncompressed audio is joined to frames of 100 ms; compressed audio goes as it is pushed. Neither is over 16 KB. */
export function framingOf(format: AudioFormat, sampleRateHz: number): Framing {
  const frameBytes = frameBytesOf(format, sampleRateHz);
  return frameBytes === undefined ? pushedFrames : new AudioFrames(frameBytes);
}

const pushedFrames: Framing = {
  waitingBytes: 0,
  passes: (bytes) => bytes <= FRAME_MAX_BYTES,
  push: (audio) => {
    const frames: Buffer[] = [];
    for (let at = 0; at < audio.length; at += FRAME_MAX_BYTES) {
      frames.push(audio.subarray(at, at + FRAME_MAX_BYTES));
    }
    return frames;
  },
  flush: () => undefined,
};

/**
 * Cuts pushed audio into frames of one size. A push of exactly that size goes through without a copy, which is
 * the usual case; others are joined and cut.
 */
export class AudioFrames implements Framing {
  readonly #frameBytes: number;
  #rest: Buffer[] = [];
  #restBytes = 0;

  /** @param frameBytes 1,600 for 100 ms of 8 kHz PCM */
  constructor(frameBytes: number) {
    this.#frameBytes = frameBytes;
  }

  /** Bytes that wait for the rest of their frame; less than one frame. */
  get waitingBytes(): number {
    return this.#restBytes;
  }

  passes(bytes: number): boolean {
    return this.#restBytes === 0 && bytes === this.#frameBytes;
  }

  push(pcm: Buffer): Buffer[] {
    if (this.passes(pcm.length)) return [pcm];
    if (pcm.length > 0) this.#rest.push(pcm);
    this.#restBytes += pcm.length;
    if (this.#restBytes < this.#frameBytes) return [];
    const whole = Buffer.concat(this.#rest);
    const frames: Buffer[] = [];
    let at = 0;
    for (; at + this.#frameBytes <= whole.length; at += this.#frameBytes) {
      frames.push(whole.subarray(at, at + this.#frameBytes));
    }
    this.#restBytes = whole.length - at;
    this.#rest = this.#restBytes === 0 ? [] : [whole.subarray(at)];
    return frames;
  }

  /** The last frame, shorter than the others; undefined where nothing is left. */
  flush(): Buffer | undefined {
    const rest = this.#restBytes === 0 ? undefined : Buffer.concat(this.#rest);
    this.#rest = [];
    this.#restBytes = 0;
    return rest;
  }
}
