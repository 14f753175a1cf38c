import type { IntakeBenchOptions } from './intake.ts';

/** The least that so many processes must take of what one takes: 1.8 for 2. */
export const SHARED_AIM_PER_PROCESS = 0.9;

/** One number of intake processes behind one edge, measured once. */
export interface SharedRunReport {
  readonly processes: number;
  /** Legs of each process. */
  readonly legsOfEach: readonly number[];
  readonly packetsOfEach: readonly number[];
  /** CPU of each process, from before the first INVITE to after the last BYE, in microseconds. */
  readonly cpuUsOfEach: readonly number[];
  /** The same of the edge's process, which all share. */
  readonly edgeCpuUs: number;
  readonly packetsSent: number;
  readonly packetsReceived: number;
  readonly failures: number;
}

export interface SharedBenchResult {
  readonly bench: 'intake';
  readonly options: IntakeBenchOptions;
  /**
   * How many times the calls of one process so many take, each at the pace of `legs` for every process: their number,
   * times the CPU a packet of the only process over the CPU a packet of the dearest. Set-up and end of the calls are in
   * it. It says what sharing costs, not what a machine with too few cores for all of them can do.
   */
  readonly callsOfOne: number;
  readonly one: SharedRunReport;
  readonly several: SharedRunReport;
  readonly aims: { readonly callsOfOne: 'met' | 'missed'; readonly lostPackets: 'met' | 'missed' };
}

/** In turn the other number first. */
export function processesOfRounds(rounds: number, processes: number): readonly number[] {
  return Array.from({ length: rounds }, (_, no) => (no % 2 === 0 ? [1, processes] : [processes, 1])).flat();
}

/**
 * Of several rounds the one whose dearest process used the least CPU a packet counts.
 *
 * @throws {RangeError} without a report of each number of processes
 */
export function compareSharedRuns(
  options: IntakeBenchOptions,
  reports: readonly SharedRunReport[],
): SharedBenchResult {
  const one = cheapest(reports, 1);
  const several = cheapest(reports, options.processes);
  const callsOfOne = Math.round(((options.processes * dearestUs(one)) / dearestUs(several)) * 1000) / 1000;
  const isWhole = reports.every(
    ({ packetsSent, packetsReceived, failures }) => packetsSent === packetsReceived && failures === 0,
  );
  return {
    bench: 'intake',
    options,
    callsOfOne,
    one,
    several,
    aims: {
      callsOfOne: callsOfOne >= SHARED_AIM_PER_PROCESS * options.processes ? 'met' : 'missed',
      lostPackets: isWhole ? 'met' : 'missed',
    },
  };
}

export function sharedLine(report: SharedRunReport): string {
  const seconds = (us: number): string => `${(us / 1e6).toFixed(2)} s`;
  return [
    `${report.processes} intake(s): legs ${report.legsOfEach.join(' + ')}`,
    `CPU ${report.cpuUsOfEach.map(seconds).join(' + ')}, edge ${seconds(report.edgeCpuUs)}`,
    `${Math.round(dearestUs(report) * 10) / 10} µs a packet at most`,
    `${report.packetsSent} packets sent, ${report.packetsReceived} received, ${report.failures} failures`,
  ].join('; ');
}

export function sharedVerdictLines({ options, callsOfOne, aims }: SharedBenchResult): readonly string[] {
  const { processes } = options;
  const aim = SHARED_AIM_PER_PROCESS * processes;
  return [
    `${processes} intakes take ${callsOfOne} times the calls of one, by the CPU of the dearest (aim: at least ${aim}): ${aims.callsOfOne}`,
    `lost inside, all rounds: ${aims.lostPackets === 'met' ? 'nothing' : 'some'} (aim: nothing): ${aims.lostPackets}`,
  ];
}

/** CPU a packet. */
function dearestUs({ cpuUsOfEach, packetsOfEach }: SharedRunReport): number {
  return Math.max(...cpuUsOfEach.map((us, no) => us / packetsOfEach[no]!));
}

function cheapest(reports: readonly SharedRunReport[], processes: number): SharedRunReport {
  const [first, ...rest] = reports.filter((report) => report.processes === processes);
  if (first === undefined) throw new RangeError(`the bench has no report of ${processes} process(es)`);
  return rest.reduce((best, report) => (dearestUs(report) < dearestUs(best) ? report : best), first);
}
