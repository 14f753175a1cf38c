import type { Percentiles } from './percentiles.ts';

export interface LiveBenchOptions {
  readonly legs: number;
  readonly subscribers: number;
  readonly seconds: number;
}

export const LIVE_BENCH_DEFAULTS: LiveBenchOptions = { legs: 500, subscribers: 200, seconds: 20 };

/** One subscriber in so many follows all calls, as a supervisor does; the others one each, as an agent's screen does. */
export const ONE_SUPERVISOR_IN = 20;
/** Of each leg. */
export const PARTIAL_EVERY_MS = 250;
export const FINAL_EVERY_PARTIALS = 12;

/** What all subscribers together got, from the recogniser's event to the subscriber's socket. */
export interface LiveReport {
  readonly kind: 'redis' | 'postgres';
  readonly finals: Percentiles;
  readonly partials: Percentiles;
  readonly finalsExpected: number;
  readonly finalsLost: number;
  readonly finalsDoubled: number;
  readonly partialsReceived: number;
}

export interface LiveBenchResult {
  readonly bench: 'live';
  readonly options: LiveBenchOptions;
  readonly reports: readonly LiveReport[];
}

export function liveLine({ kind, finals, partials, ...counts }: LiveReport): string {
  return (
    `${kind.padEnd(9)} finals p50 ${finals.p50Ms} ms, p99 ${finals.p99Ms} ms, lost ${counts.finalsLost} and doubled ` +
    `${counts.finalsDoubled} of ${counts.finalsExpected}; partials p50 ${partials.p50Ms} ms, p99 ${partials.p99Ms} ms`
  );
}
