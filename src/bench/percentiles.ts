/** Of milliseconds; all 0 where nothing was measured. */
export interface Percentiles {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Nearest rank: the smallest value that so many percent of all do not exceed. To the microsecond. */
export function percentiles(valuesMs: ArrayLike<number>): Percentiles {
  const sorted = Float64Array.from(valuesMs).sort();
  const rank = (percent: number): number => {
    const value = sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? 0;
    return Math.round(value * 1000) / 1000;
  };
  return { p50Ms: rank(50), p99Ms: rank(99), maxMs: rank(100) };
}
