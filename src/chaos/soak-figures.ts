/** What one look at the intake's process found. */
export interface SoakSample {
  /** Since the load began. */
  readonly atMs: number;
  readonly figures: Readonly<Record<SoakFigure, number>>;
}

export const SOAK_FIGURES = [
  'rssMb',
  'heapMb',
  'sockets',
  'files',
  'timers',
  'portPairs',
  'legs',
  'outboxFacts',
] as const;
export type SoakFigure = (typeof SOAK_FIGURES)[number];

/** How a figure went: medians of the first and the last third of the time, and what is left when all calls have ended. */
export interface SoakTrend {
  readonly before: number;
  readonly first: number;
  readonly last: number;
  readonly max: number;
  readonly after: number;
  readonly verdict: 'flat' | 'grows';
}

/**
 * Growth that is none: memory moves with the collector of garbage, and calls are not all in the same state at two looks.
 */
const GROWTH_MAX: Readonly<Record<SoakFigure, { readonly share: number; readonly besides: number }>> = {
  rssMb: { share: 0.1, besides: 30 },
  heapMb: { share: 0.2, besides: 20 },
  sockets: { share: 0.05, besides: 5 },
  files: { share: 0.05, besides: 10 },
  timers: { share: 0.1, besides: 10 },
  portPairs: { share: 0.05, besides: 5 },
  legs: { share: 0.05, besides: 5 },
  outboxFacts: { share: 0.5, besides: 200 },
};

/**
 * @param samples while the load was on, the time in which it grew left out
 * @param before before any call
 * @param after a while after the last one
 */
export function trendsOf(
  samples: readonly SoakSample[],
  before: SoakSample,
  after: SoakSample,
): Readonly<Record<SoakFigure, SoakTrend>> {
  const third = Math.ceil(samples.length / 3);
  const entries = SOAK_FIGURES.map((name): [SoakFigure, SoakTrend] => {
    const all = samples.map(({ figures }) => figures[name]);
    const first = median(all.slice(0, third));
    const last = median(all.slice(-third));
    const { share, besides } = GROWTH_MAX[name];
    const verdict = last > first * (1 + share) + besides ? 'grows' : 'flat';
    const trend = {
      before: before.figures[name],
      first,
      last,
      max: Math.max(0, ...all),
      after: after.figures[name],
    };
    return [name, { ...trend, verdict }];
  });
  return Object.fromEntries(entries) as Record<SoakFigure, SoakTrend>;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
