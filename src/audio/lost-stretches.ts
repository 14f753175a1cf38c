/** Kept stretches; at one loss a second a quarter of an hour. Beyond it the oldest are forgotten. */
const STRETCHES_MAX = 1_024;
const NONE = new Float64Array(0);

/**
 * Where on a leg's clock packets were lost. What is asked about is recent (a sentence that has just ended), so the
 * newest stretches are kept in a ring; a sentence that is older than the ring counts too little. A leg that lost
 * nothing keeps no ring.
 */
export class LostStretches {
  #beginSamples = NONE;
  #endSamples = NONE;
  #count = 0;

  /** Stretches do not overlap; they need not come in order. */
  add(beginSample: number, samples: number): void {
    const last = (this.#count - 1) % STRETCHES_MAX;
    if (this.#count > 0 && this.#endSamples[last] === beginSample) {
      this.#endSamples[last] = beginSample + samples;
      return;
    }
    if (this.#count === 0) {
      this.#beginSamples = new Float64Array(STRETCHES_MAX);
      this.#endSamples = new Float64Array(STRETCHES_MAX);
    }
    const at = this.#count % STRETCHES_MAX;
    this.#beginSamples[at] = beginSample;
    this.#endSamples[at] = beginSample + samples;
    this.#count++;
  }

  /** How many of the samples `[beginSample, endSample)` were lost. */
  within(beginSample: number, endSample: number): number {
    let samples = 0;
    for (let i = 0; i < Math.min(this.#count, STRETCHES_MAX); i++) {
      const begin = Math.max(beginSample, this.#beginSamples[i]!);
      const end = Math.min(endSample, this.#endSamples[i]!);
      if (end > begin) samples += end - begin;
    }
    return samples;
  }
}
