/**
 * Cuts pushed audio into frames of one size. A push of exactly that size goes through without a copy, which is
 * the usual case; others are joined and cut.
 */
export class AudioFrames {
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

  push(pcm: Buffer): Buffer[] {
    if (this.#restBytes === 0 && pcm.length === this.#frameBytes) return [pcm];
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
