/** What `npm run bench -- files` is told. */
export interface FilesBenchOptions {
  /** How long the file is. */
  readonly minutes: number;
}

export const FILES_BENCH_DEFAULTS: FilesBenchOptions = { minutes: 60 };

/** What recognising one file took, in the process that did it; the recogniser is another one. */
export interface FilesReport {
  readonly format: string;
  readonly fileBytes: number;
  readonly sentences: number;
  readonly tookMs: number;
  readonly cpuMs: number;
  /** Of the process, before the file and at each tenth of it. */
  readonly rssBytes: readonly number[];
}

export interface FilesBenchResult {
  readonly bench: 'files';
  readonly minutes: number;
  readonly files: readonly (Omit<FilesReport, 'rssBytes'> & {
    readonly rssBeginMb: number;
    readonly rssMaxMb: number;
    /** From the first tenth, when buffers are there, to the highest after it. */
    readonly rssGrowthMb: number;
    readonly timesRealTime: number;
  })[];
}

const MB = 1_000_000;
const megabytes = (bytes: number): number => Math.round(bytes / MB);

export function filesResult(
  { minutes }: FilesBenchOptions,
  reports: readonly FilesReport[],
): FilesBenchResult {
  return {
    bench: 'files',
    minutes,
    files: reports.map(({ rssBytes, ...report }) => {
      const [begin = 0, firstTenth = begin, ...rest] = rssBytes;
      return {
        ...report,
        rssBeginMb: megabytes(begin),
        rssMaxMb: megabytes(Math.max(...rssBytes)),
        rssGrowthMb: megabytes(Math.max(0, ...rest.map((bytes) => bytes - firstTenth))),
        timesRealTime: Math.round((minutes * 60_000) / report.tookMs),
      };
    }),
  };
}

export const filesLine = ({ format, fileBytes, sentences, tookMs, rssBytes }: FilesReport): string =>
  `${format}: ${megabytes(fileBytes)} MB, ${sentences} sentences in ${(tookMs / 1_000).toFixed(1)} s; ` +
  `RSS in MB, before and at each tenth: ${rssBytes.map(megabytes).join(' ')}`;
