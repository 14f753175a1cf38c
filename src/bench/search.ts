export interface SearchBenchOptions {
  /** In the table that is searched. */
  readonly sentences: number;
  readonly seed: number;
}

export const SEARCH_BENCH_DEFAULTS: SearchBenchOptions = { sentences: 2_000_000, seed: 1 };
