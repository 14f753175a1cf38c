import type { AsrLoadReport, AsrSender } from './asr-load.ts';

/** What `npm run bench -- asr` was asked for. */
export interface AsrBenchOptions {
  readonly sessions: number;
  readonly seconds: number;
  /** Each round measures both senders, in turn the other one first. */
  readonly rounds: number;
  /** `speech`: results as for somebody who speaks half of the time. `none`: only frames go. */
  readonly results: 'speech' | 'none';
}

export const ASR_BENCH_DEFAULTS: AsrBenchOptions = {
  sessions: 500,
  seconds: 10,
  rounds: 2,
  results: 'speech',
};

/** What the client may cost. */
export const ASR_BENCH_AIMS = { cpuRatio: 1.25, insideMaxMs: 20, bytesPerSession: 100 * 1024 } as const;

/** The order in which senders are measured: neither has the warmer machine every time. */
export function sendersOfRounds(rounds: number): readonly AsrSender[] {
  return Array.from({ length: rounds }, (_, no): readonly AsrSender[] =>
    no % 2 === 0 ? ['bare', 'client'] : ['client', 'bare'],
  ).flat();
}

export interface AsrBenchResult {
  readonly bench: 'asr';
  readonly options: AsrBenchOptions;
  /** CPU of the client over CPU of the bare loop: the figure that counts. */
  readonly cpuRatio: number;
  readonly client: AsrLoadReport;
  readonly bare: AsrLoadReport;
  readonly aims: Readonly<Record<keyof typeof ASR_BENCH_AIMS, 'met' | 'missed'>>;
}

/**
 * Of several rounds the one with the least CPU counts for each sender: what else the machine does can only add.
 *
 * @throws {RangeError} without a report of each sender
 */
export function compareAsrLoads(options: AsrBenchOptions, reports: readonly AsrLoadReport[]): AsrBenchResult {
  const client = cheapest(reports, 'client');
  const bare = cheapest(reports, 'bare');
  const cpuRatio = Math.round((client.cpuUsPerSessionSecond / bare.cpuUsPerSessionSecond) * 1000) / 1000;
  const verdict = (met: boolean): 'met' | 'missed' => (met ? 'met' : 'missed');
  return {
    bench: 'asr',
    options,
    cpuRatio,
    client,
    bare,
    aims: {
      cpuRatio: verdict(cpuRatio <= ASR_BENCH_AIMS.cpuRatio),
      insideMaxMs: verdict(client.insideMs.maxMs <= ASR_BENCH_AIMS.insideMaxMs),
      bytesPerSession: verdict(client.heapBytesPerSession < ASR_BENCH_AIMS.bytesPerSession),
    },
  };
}

function cheapest(reports: readonly AsrLoadReport[], sender: AsrSender): AsrLoadReport {
  const own = reports.filter((report) => report.sender === sender);
  const [first, ...rest] = own;
  if (first === undefined) throw new RangeError(`the bench has no report of the ${sender}`);
  return rest.reduce(
    (best, report) => (report.cpuUsPerSessionSecond < best.cpuUsPerSessionSecond ? report : best),
    first,
  );
}
