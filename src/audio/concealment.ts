/** 5 ms: the highest voice, 200 Hz. */
const PERIOD_MIN_SAMPLES = 40;
/** 15 ms: the lowest voice, 66 Hz. */
const PERIOD_MAX_SAMPLES = 120;
/** 20 ms of the newest audio are compared with what was a period before. */
const COMPARED_SAMPLES = 160;
/** Each 10 ms one more period is repeated, up to three, lest it hum. */
const STEP_SAMPLES = 80;
const PERIODS_MAX = 3;
/** What three of the longest periods and the overlap before them take. */
export const HISTORY_SAMPLES = PERIODS_MAX * PERIOD_MAX_SAMPLES + PERIOD_MAX_SAMPLES / 4;
/** Full loudness for 10 ms, then down by a fifth each 10 ms. */
const FADE_FROM_SAMPLES = 80;
/** 60 ms: from here on it is silence. */
export const CONCEALED_MAX_SAMPLES = 480;
/** The last 4 ms before audio comes again lead over to it. */
const LEAD_SAMPLES = 32;

/**
 * Makes audio for lost packets in the manner of ITU-T G.711 Appendix I: the last pitch period is repeated, from
 * 10 ms on the last two, then three, joined by overlap-add over a quarter period; it fades from 10 ms on and is
 * silent by 60 ms. Two things are otherwise, because samples that came stay as they came, bit for bit: the
 * overlaps at both ends lie inside the made stretch (the appendix delays its output by 3.75 ms and alters the
 * received samples on either side).
 *
 *     fill `history` ─▶ begin() ─▶ make(target, samples) … ─▶ lead(target, samples, next, nextSamples)
 */
export class Concealer {
  /** The newest samples before the loss, oldest first. */
  readonly history = new Int16Array(HISTORY_SAMPLES);
  #period = PERIOD_MIN_SAMPLES;
  /** Samples made since `begin`. */
  #made = 0;
  /** Difference between the last sample and the one a period before, worked off over the first overlap. */
  #step = 0;
  /** The periods that are repeated, and where in them the next sample is. */
  #periods = 1;
  #at = 0;
  /** The same for what is led over from. */
  #oldPeriods = 1;
  #oldAt = 0;
  #overlapLeft = 0;

  begin(): void {
    this.#period = pitchPeriod(this.history);
    this.#made = 0;
    this.#step = this.history[HISTORY_SAMPLES - 1]! - this.history[HISTORY_SAMPLES - 1 - this.#period]!;
    this.#periods = 1;
    this.#at = 0;
    this.#overlapLeft = 0;
  }

  /** Makes the next samples into `target[0, samples)`; beyond 60 ms since `begin` they are zero. */
  make(target: Int16Array, samples: number): void {
    for (let i = 0; i < samples; i++) target[i] = this.#next();
  }

  /**
   * Leads the end of a made stretch over to the audio behind it, by that audio's first period played before it.
   * Nothing where that is shorter than a period.
   * @param target its last 4 ms, up to `samples`, are changed
   */
  lead(target: Int16Array, samples: number, next: Int16Array, nextSamples: number): void {
    if (nextSamples < this.#period) return;
    const leadSamples = Math.min(LEAD_SAMPLES, this.#period, samples);
    for (let i = 0; i < leadSamples; i++) {
      const at = samples - leadSamples + i;
      const weight = (i + 1) / (leadSamples + 1);
      target[at] = Math.round((1 - weight) * target[at]! + weight * next[this.#period - leadSamples + i]!);
    }
  }

  #next(): number {
    const made = this.#made++;
    if (made >= CONCEALED_MAX_SAMPLES) return 0;
    if (made > 0 && made % STEP_SAMPLES === 0 && this.#periods < PERIODS_MAX) this.#addPeriod();

    const overlapSamples = this.#period >> 2;
    let sample = this.#sampleAt(this.#periods, this.#at);
    this.#at = (this.#at + 1) % (this.#periods * this.#period);
    if (this.#overlapLeft > 0) {
      const weight = this.#overlapLeft / (overlapSamples + 1);
      sample = weight * this.#sampleAt(this.#oldPeriods, this.#oldAt) + (1 - weight) * sample;
      this.#oldAt = (this.#oldAt + 1) % (this.#oldPeriods * this.#period);
      this.#overlapLeft--;
    }
    if (made < overlapSamples) sample += this.#step * (1 - (made + 1) / (overlapSamples + 1));
    const faded = Math.max(0, made - FADE_FROM_SAMPLES) / (CONCEALED_MAX_SAMPLES - FADE_FROM_SAMPLES);
    return Math.max(-32_768, Math.min(32_767, Math.round(sample * (1 - faded))));
  }

  #addPeriod(): void {
    this.#oldPeriods = this.#periods;
    this.#oldAt = this.#at;
    this.#overlapLeft = this.#period >> 2;
    this.#periods++;
    this.#at %= this.#period;
  }

  /** Of the last `periods` periods, whose end leads over to their begin. */
  #sampleAt(periods: number, at: number): number {
    const { history } = this;
    const spanSamples = periods * this.#period;
    const overlapSamples = this.#period >> 2;
    const sample = history[HISTORY_SAMPLES - spanSamples + at]!;
    const intoOverlap = at - (spanSamples - overlapSamples);
    if (intoOverlap < 0) return sample;
    const weight = (intoOverlap + 1) / (overlapSamples + 1);
    return (1 - weight) * sample + weight * history[HISTORY_SAMPLES - 2 * spanSamples + at]!;
  }
}

/**
 * The distance at which the newest audio is most like itself: looked for in every second sample first, as the
 * appendix has it, then beside what was found.
 */
function pitchPeriod(history: Int16Array): number {
  let best = PERIOD_MAX_SAMPLES;
  let bestLikeness = 0;
  for (let period = PERIOD_MIN_SAMPLES; period <= PERIOD_MAX_SAMPLES; period += 2) {
    const likeness = likenessAt(history, period, 2);
    if (likeness > bestLikeness) {
      bestLikeness = likeness;
      best = period;
    }
  }
  const last = Math.min(best + 1, PERIOD_MAX_SAMPLES);
  bestLikeness = 0;
  for (let period = Math.max(best - 1, PERIOD_MIN_SAMPLES); period <= last; period++) {
    const likeness = likenessAt(history, period, 1);
    if (likeness > bestLikeness) {
      bestLikeness = likeness;
      best = period;
    }
  }
  return best;
}

/** Correlation of the newest audio with what was a period before, by that one's energy; each `step`th sample. */
function likenessAt(history: Int16Array, period: number, step: number): number {
  let product = 0;
  let energy = 0;
  for (let i = HISTORY_SAMPLES - COMPARED_SAMPLES; i < HISTORY_SAMPLES; i += step) {
    const before = history[i - period]!;
    product += history[i]! * before;
    energy += before * before;
  }
  return energy === 0 ? 0 : product / Math.sqrt(energy);
}
