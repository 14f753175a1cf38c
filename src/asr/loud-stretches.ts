import { endianness } from 'node:os';

/** Below this no telephone speech is: -55 dB of full scale. */
const LOUD_MIN_RMS = 60;
/** Every so many samples one is looked at: that tells as much of a loudness as all of them. */
const STRIDE = 4;
const IS_LITTLE_ENDIAN = endianness() === 'LE';
/** Stretches so near to each other count as one. */
const NEAR_SAMPLES = 8_000;
/** Beyond so many the two oldest are counted as one. */
const STRETCHES_MAX = 256;

/** Whether something may be said in the audio. Signed 16-bit little-endian PCM; an offset of the line does not count. */
export function isLoud(pcm: Buffer): boolean {
  const samples = samplesOf(pcm);
  let count = 0;
  let sum = 0;
  let squares = 0;
  for (let at = 0; at < samples.length; at += STRIDE) {
    const sample = samples[at]!;
    sum += sample;
    squares += sample * sample;
    count += 1;
  }
  if (count === 0) return false;
  const mean = sum / count;
  return squares / count - mean * mean >= LOUD_MIN_RMS * LOUD_MIN_RMS;
}

/** The buffer's own samples where they lie as this machine has them: ten times a second on each leg. */
function samplesOf(pcm: Buffer): Int16Array {
  const count = pcm.length >> 1;
  if (pcm.byteOffset % 2 === 0 && IS_LITTLE_ENDIAN) {
    return new Int16Array(pcm.buffer, pcm.byteOffset, count);
  }
  return Int16Array.from({ length: count }, (_, sample) => pcm.readInt16LE(sample * 2));
}

/**
 * Where a leg is not quiet, so that a replay need not send minutes of hold again. Pure; bounded by joining what is
 * near or oldest, which makes replays longer, never shorter.
 */
export class LoudStretches {
  #stretches: { readonly beginSample: number; endSample: number }[] = [];

  /** `beginSample` grows from call to call. */
  add(beginSample: number, endSample: number): void {
    const newest = this.#stretches.at(-1);
    if (newest !== undefined && beginSample - newest.endSample <= NEAR_SAMPLES) {
      newest.endSample = Math.max(newest.endSample, endSample);
      return;
    }
    this.#stretches.push({ beginSample, endSample });
    const [oldest, next] = this.#stretches;
    if (this.#stretches.length > STRETCHES_MAX && oldest !== undefined && next !== undefined) {
      this.#stretches.splice(0, 2, { beginSample: oldest.beginSample, endSample: next.endSample });
    }
  }

  /** Forgets what is before `sample`. @returns where it is loud next; undefined: nowhere yet */
  firstFrom(sample: number): number | undefined {
    while (this.#stretches[0] !== undefined && this.#stretches[0].endSample <= sample) {
      this.#stretches.shift();
    }
    const [first] = this.#stretches;
    return first === undefined ? undefined : Math.max(sample, first.beginSample);
  }

  /** Where the newest loud stretch ends. */
  get endSample(): number {
    return this.#stretches.at(-1)?.endSample ?? 0;
  }
}
