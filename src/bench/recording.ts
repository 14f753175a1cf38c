import type { RecordingLoadReport, RecordingWay } from './recording-load.ts';

/** What `npm run bench -- recording` was asked for. */
export interface RecordingBenchOptions {
  readonly legs: number;
  readonly seconds: number;
  /** Each round measures every way. */
  readonly rounds: number;
}

export const RECORDING_BENCH_DEFAULTS: RecordingBenchOptions = { legs: 1_000, seconds: 10, rounds: 2 };

export interface RecordingBenchResult {
  readonly bench: 'recording';
  readonly options: RecordingBenchOptions;
  readonly keep: RecordingLoadReport;
  readonly spool: RecordingLoadReport;
  /** The same bytes into one file, a large piece at a time: the least that writing can cost. */
  readonly sequential: RecordingLoadReport;
  /** The packets alone, made and given to nobody. */
  readonly none: RecordingLoadReport;
  /** CPU of recording, µs for a leg and second, without that of making the packets. */
  readonly cpuUsPerLegSecond: { readonly keep: number; readonly spool: number; readonly sequential: number };
  /** Bytes on disk for each byte of G.711. */
  readonly diskRatio: number;
}

/** Of several rounds the one with the least CPU counts: what else the machine does can only add. */
export function compareRecordingLoads(
  options: RecordingBenchOptions,
  reports: readonly RecordingLoadReport[],
): RecordingBenchResult {
  const [keep, spool, sequential, none] = (['keep', 'spool', 'sequential', 'none'] as const).map((way) =>
    cheapest(reports, way),
  ) as [RecordingLoadReport, RecordingLoadReport, RecordingLoadReport, RecordingLoadReport];
  const beyond = ({ cpuUsPerLegSecond }: RecordingLoadReport): number =>
    Math.round((cpuUsPerLegSecond - none.cpuUsPerLegSecond) * 10) / 10;
  return {
    bench: 'recording',
    options,
    keep,
    spool,
    sequential,
    none,
    cpuUsPerLegSecond: { keep: beyond(keep), spool: beyond(spool), sequential: beyond(sequential) },
    diskRatio: Math.round((keep.diskBytes / keep.audioBytes) * 1_000) / 1_000,
  };
}

function cheapest(reports: readonly RecordingLoadReport[], way: RecordingWay): RecordingLoadReport {
  const [first, ...rest] = reports.filter((report) => report.way === way);
  if (first === undefined) throw new RangeError(`the bench has no report of ${way}`);
  return rest.reduce(
    (best, report) => (report.cpuUsPerLegSecond < best.cpuUsPerLegSecond ? report : best),
    first,
  );
}

/** One line for whoever watches. */
export function recordingLine(report: RecordingLoadReport): string {
  const { way, legs, cpuUsPerLegSecond, cpuShare, diskBytes, writes, measuredMs, behindMaxMs, lateMaxMs } =
    report;
  const aSecond = (count: number): number => Math.round((count / measuredMs) * 1_000);
  return [
    `${way.padEnd(10)} ${legs} legs: ${cpuUsPerLegSecond} µs CPU a leg and second (${Math.round(cpuShare * 100)} % of a core)`,
    `${aSecond(diskBytes / 1_024)} KB and ${aSecond(writes)} writes a second`,
    `at most ${behindMaxMs} ms behind`,
    `packets at most ${lateMaxMs} ms late`,
  ].join('; ');
}
