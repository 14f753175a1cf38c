import { setTimeout as delay } from 'node:timers/promises';

import type { CallReport } from './call-report.ts';
import type { Caller, PlaceCallOptions } from './caller.ts';

export interface PlaceCallsOptions {
  readonly calls: number;
  /** Calls begun in a second. */
  readonly ratePerSecond: number;
  /** The first call's; each further call takes the next number. */
  readonly seed: number;
  readonly call: Omit<PlaceCallOptions, 'seed' | 'signal'>;
  /** Ends every call in order, and begins no other. */
  readonly signal: AbortSignal;
  readonly onReport?: (report: CallReport, done: number) => void;
}

/**
 * Places many calls, each begun at its own time whatever the ones before do.
 *
 * @returns the reports in the order of their begin; shorter than `calls` where the signal was aborted
 */
export async function placeCalls(caller: Caller, options: PlaceCallsOptions): Promise<CallReport[]> {
  const { calls, ratePerSecond, seed, call, signal, onReport } = options;
  const startMs = performance.now();
  const running: Promise<CallReport>[] = [];
  let done = 0;
  for (let callNo = 0; callNo < calls; callNo += 1) {
    const waitMs = startMs + (callNo * 1_000) / ratePerSecond - performance.now();
    if (waitMs > 0) await delay(waitMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) break;
    const placed = caller.placeCall({ ...call, seed: (seed + callNo) % 2 ** 32, signal });
    running.push(
      placed.then((report) => {
        done += 1;
        onReport?.(report, done);
        return report;
      }),
    );
  }
  return Promise.all(running);
}
