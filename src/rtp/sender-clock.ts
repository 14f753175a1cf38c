import { SAMPLES_PER_MS } from './timeline.ts';

/** No crystal of a telephone is worse; what seems to be is something else, and is taken for this. */
export const DRIFT_MAX_PPM = 500;
/** What we expect of a clock that nobody corrects, and of a wall clock that the network sets: ± so many ppm. */
const FREE_CLOCK_PPM = 50;
const WALL_CLOCK_PPM = 20;
/** What we expect a network, and a sender's own arithmetic, to scatter at least. */
const ARRIVAL_NOISE_MS = 10;
const SENDER_NOISE_MS = 1;
/** A report this far from where the leg's clock has it speaks of another clock. */
const RESIDUAL_MAX_MS = 1_000;
/** Between two reports: the sender's wall clock was set, or is another one. */
const WALL_LEAP_MS = 1_000;

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
 * A report names one moment three times: by its samples, by its wall clock, and by its arrival here, which alone
 * is blurred by the network. So the drift is the sum of two slopes, each of a straight line through all reports
 * (least squares): samples against the sender's wall clock, which is exact after a few reports; and that wall clock
 * against ours, which is taken for even until the arrivals prove that it is not. It need not be right, only
 * even. Without a wall clock, or with one that cannot be, the samples are compared with the arrivals. At most
 * 500 ppm either way.
 */
export class SenderClock {
  readonly #samplesByWall = new Slope();
  readonly #wallByArrival = new Slope();
  readonly #samplesByArrival = new Slope();
  /** The sender's wall clock at its leg's sample 0, so far as we know. */
  #wallOriginMs: number | undefined;
  #lastWallLagMs = 0;

  get reports(): number {
    return this.#samplesByArrival.count;
  }

  /** @returns whether the report can be true of this leg's clock, and was used */
  take({ elapsedMs, sample, ntpMs }: SenderReport): boolean {
    const sampleMs = sample / SAMPLES_PER_MS;
    const lagMs = elapsedMs - sampleMs;
    if (elapsedMs < 0 || Math.abs(lagMs + this.#shiftMs(elapsedMs)) > RESIDUAL_MAX_MS) return false;
    this.#samplesByArrival.add(elapsedMs, lagMs);
    if (ntpMs !== undefined) {
      const wallMs = this.#onOneLine(ntpMs, elapsedMs);
      this.#samplesByWall.add(elapsedMs, wallMs - sampleMs);
      this.#wallByArrival.add(elapsedMs, elapsedMs - wallMs);
    }
    return true;
  }

  /** How many millionths faster the sender's clock runs than ours. */
  get driftPpm(): number {
    const byArrival = this.#samplesByArrival.ppm(FREE_CLOCK_PPM, ARRIVAL_NOISE_MS);
    const byWall = this.#samplesByWall.ppm(FREE_CLOCK_PPM, SENDER_NOISE_MS);
    const isCredible = this.#samplesByWall.count > 0 && Math.abs(byWall) <= DRIFT_MAX_PPM;
    const lagPpm = isCredible
      ? byWall + this.#wallByArrival.ppm(WALL_CLOCK_PPM, ARRIVAL_NOISE_MS)
      : byArrival;
    return Math.max(-DRIFT_MAX_PPM, Math.min(DRIFT_MAX_PPM, 0 - lagPpm));
  }

  /** What is to be added to a time on the leg's clock to have the time that passed on ours. */
  correctionMs(legMs: number): number {
    return -this.#shiftMs(legMs);
  }

  /** The sender is another one, and its wall clock may be another as well. The drift so far stays. */
  changeSender(): void {
    this.#wallOriginMs = undefined;
  }

  #shiftMs(ms: number): number {
    return (this.driftPpm * ms) / 1_000_000;
  }

  /** The sender's wall clock since the leg's begin; where it leaps, it goes on as it was. */
  #onOneLine(ntpMs: number, elapsedMs: number): number {
    this.#wallOriginMs ??= ntpMs - elapsedMs + this.#lastWallLagMs;
    const lagMs = elapsedMs - (ntpMs - this.#wallOriginMs);
    if (Math.abs(lagMs - this.#lastWallLagMs) > WALL_LEAP_MS) {
      this.#wallOriginMs = ntpMs - elapsedMs + this.#lastWallLagMs;
      return elapsedMs - this.#lastWallLagMs;
    }
    this.#lastWallLagMs = lagMs;
    return ntpMs - this.#wallOriginMs;
  }
}

/** The slope of a straight line through points, held near 0 as far as their scatter makes it uncertain (ridge). */
class Slope {
  #count = 0;
  #t = 0;
  #tt = 0;
  #y = 0;
  #ty = 0;
  #yy = 0;

  get count(): number {
    return this.#count;
  }

  add(tMs: number, yMs: number): void {
    const t = tMs / 1_000;
    this.#count++;
    this.#t += t;
    this.#tt += t * t;
    this.#y += yMs;
    this.#ty += t * yMs;
    this.#yy += yMs * yMs;
  }

  /** In millionths. `expectedPpm`: what it was before any point; `noiseMs`: the least scatter of a point. */
  ppm(expectedPpm: number, noiseMs: number): number {
    const n = this.#count;
    if (n < 2) return 0;
    const spread = this.#tt - (this.#t * this.#t) / n;
    const common = this.#ty - (this.#t * this.#y) / n;
    const scatter = this.#yy - (this.#y * this.#y) / n - (spread > 0 ? (common * common) / spread : 0);
    const variance = Math.max(noiseMs * noiseMs, n > 2 ? scatter / (n - 2) : 0);
    const expectedMsPerS = expectedPpm / 1_000;
    return (1_000 * common) / (spread + variance / (expectedMsPerS * expectedMsPerS));
  }
}
