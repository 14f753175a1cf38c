import { SAMPLES_PER_MS } from './timeline.ts';

/** No crystal of a telephone is worse; what seems to be is something else, and is taken for this. */
export const DRIFT_MAX_PPM = 500;
/** Spread of the clocks that we expect before any report: what a few reports must outweigh. */
const DRIFT_EXPECTED_PPM = 50;
/** Spread of a report's arrival after the network's delay was taken out as far as can be. */
const NOISE_MS = 10;
/** A report this far from where the leg's clock has it speaks of another clock. */
const RESIDUAL_MAX_MS = 1_000;
/** Reports among which the quickest one tells the network's least delay: two to three minutes. */
const DELAY_WINDOW_REPORTS = 32;
/** The sender's wall clock leapt. */
const DELAY_LEAP_MS = 1_000;

/** One sender report (RFC 3550 §6.4.1) against our clocks. */
export interface SenderReport {
  /** Our monotonic time since the leg's sample 0. */
  readonly elapsedMs: number;
  /** The leg's sample that its RTP timestamp names. */
  readonly sample: number;
  /** Its NTP time as milliseconds since 1900; undefined where the sender has no wall clock (all bits 0). */
  readonly ntpMs: number | undefined;
}

/**
 * How fast a sender's sampling clock runs against our clock, from its sender reports.
 *
 * Each report names a sample and comes at a moment; their difference grows by the drift and jitters by the
 * network. The jitter is taken out by the report's NTP time: how much longer this report took than the quickest
 * of the last 32. So the sender's wall clock only has to run evenly, it need not be right. The drift is the slope
 * of a straight line through all reports (least squares), held near 0 while there are few, and at most 500 ppm.
 */
export class SenderClock {
  readonly #delaysMs: number[] = [];
  /** Sums over all reports, times in seconds: count, t, t², residual, t · residual. */
  #count = 0;
  #sumT = 0;
  #sumTT = 0;
  #sumR = 0;
  #sumTR = 0;

  get reports(): number {
    return this.#count;
  }

  /** @returns whether the report can be true of this leg's clock, and was used */
  take({ elapsedMs, sample, ntpMs }: SenderReport): boolean {
    const residualMs = elapsedMs - sample / SAMPLES_PER_MS;
    const correctionMs = this.correctionMs(elapsedMs);
    if (elapsedMs < 0 || Math.abs(residualMs - correctionMs) > RESIDUAL_MAX_MS) return false;
    const evenMs = residualMs - this.#delayMs(elapsedMs, ntpMs);
    const t = elapsedMs / 1_000;
    this.#count++;
    this.#sumT += t;
    this.#sumTT += t * t;
    this.#sumR += evenMs;
    this.#sumTR += t * evenMs;
    return true;
  }

  /** How many millionths faster the sender's clock runs than ours. */
  get driftPpm(): number {
    if (this.#count === 0) return 0;
    // Ridge regression: the spread of t about its mean, and the weight of the expectation beside it.
    const spread = this.#sumTT - (this.#sumT * this.#sumT) / this.#count;
    const common = this.#sumTR - (this.#sumT * this.#sumR) / this.#count;
    const slopeMsPerS = common / (spread + (NOISE_MS / (DRIFT_EXPECTED_PPM / 1_000)) ** 2);
    return Math.max(-DRIFT_MAX_PPM, Math.min(DRIFT_MAX_PPM, -slopeMsPerS * 1_000));
  }

  /** What is to be added to a time on the leg's clock to have the time that passed on ours. */
  correctionMs(legMs: number): number {
    return -(this.driftPpm * legMs) / 1_000_000;
  }

  /** The sender is another one: its wall clock may be another as well. The drift so far stays. */
  changeSender(): void {
    this.#delaysMs.length = 0;
  }

  /** How much longer this report took than the quickest of late. */
  #delayMs(elapsedMs: number, ntpMs: number | undefined): number {
    if (ntpMs === undefined) return 0;
    const delayMs = elapsedMs - ntpMs;
    const last = this.#delaysMs.at(-1);
    if (last !== undefined && Math.abs(delayMs - last) > DELAY_LEAP_MS) this.#delaysMs.length = 0;
    this.#delaysMs.push(delayMs);
    if (this.#delaysMs.length > DELAY_WINDOW_REPORTS) this.#delaysMs.shift();
    return delayMs - Math.min(...this.#delaysMs);
  }
}
