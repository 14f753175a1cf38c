import { monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';

import { machineUs } from './machine-clock.ts';
import { type Percentiles, percentiles } from './percentiles.ts';

const HISTOGRAM_RESOLUTION_MS = 10;
const CHUNKS_A_SECOND = 10;

/** What a receiving process measures of itself. */
export interface ReceiverFigures {
  readonly chunks: number;
  readonly delayMs: Percentiles;
  readonly eventLoopDelayMs: Percentiles;
  readonly cpuUs: number;
  readonly measuredMs: number;
  /** Growth since `baseline`. */
  readonly heapBytes: number;
  readonly rssBytes: number;
}

/** Measures this process, which should do nothing but receive. */
export class ReceiverMeter {
  readonly #collectGarbage: (() => void) | undefined;
  #delaysMs = new Float64Array(0);
  #chunks = 0;
  #measuring = false;
  #before = process.memoryUsage();

  constructor(collectGarbage: (() => void) | undefined) {
    this.#collectGarbage = collectGarbage;
  }

  /** One chunk is on the socket: numbers and no object, since it is measured with the rest. */
  sent(lastPacketSentUs: number): void {
    if (!this.#measuring || lastPacketSentUs < 0 || this.#chunks === this.#delaysMs.length) return;
    this.#delaysMs[this.#chunks] = (machineUs() - lastPacketSentUs) / 1_000;
    this.#chunks += 1;
  }

  /** What is held before the calls come. */
  async baseline(): Promise<void> {
    await this.#settle();
    this.#before = process.memoryUsage();
  }

  async measure(legs: number, seconds: number): Promise<ReceiverFigures> {
    // Half as many again as should come.
    this.#delaysMs = new Float64Array(Math.ceil(legs * seconds * CHUNKS_A_SECOND * 1.5));
    this.#chunks = 0;
    const loop = monitorEventLoopDelay({ resolution: HISTOGRAM_RESOLUTION_MS });
    loop.enable();
    this.#measuring = true;
    const beganUs = machineUs();
    const usedBefore = process.cpuUsage();
    await elapsed(seconds);
    const used = process.cpuUsage(usedBefore);
    const measuredMs = (machineUs() - beganUs) / 1_000;
    this.#measuring = false;
    loop.disable();
    const delaysMs = this.#delaysMs.subarray(0, this.#chunks);
    const delayMs = percentiles(delaysMs);
    this.#delaysMs = new Float64Array(0);
    await this.#settle();
    const held = process.memoryUsage();
    // Node's histogram counts from timer to timer, the interval included.
    const late = (ns: number): number =>
      Math.max(0, Math.round(ns / 1e3 - HISTOGRAM_RESOLUTION_MS * 1e3) / 1e3);
    return {
      chunks: this.#chunks,
      delayMs,
      eventLoopDelayMs: {
        p50Ms: late(loop.percentile(50)),
        p99Ms: late(loop.percentile(99)),
        maxMs: late(loop.max),
      },
      cpuUs: used.user + used.system,
      measuredMs,
      heapBytes: held.heapUsed + held.external - this.#before.heapUsed - this.#before.external,
      rssBytes: held.rss - this.#before.rss,
    };
  }

  /** Twice, since what only a finaliser held goes at the second time. */
  async #settle(): Promise<void> {
    for (let times = 0; times < 2; times += 1) {
      this.#collectGarbage?.();
      await elapsed(0.05);
    }
  }
}

function elapsed(seconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000);
  });
}
