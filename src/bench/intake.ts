import type { Percentiles } from './percentiles.ts';

/** What `npm run bench -- intake` was asked for. */
export interface IntakeBenchOptions {
  readonly legs: number;
  readonly seconds: number;
  /** Each round measures both receivers, in turn the other one first. */
  readonly rounds: number;
  /** `speech`: results as for somebody who speaks half of the time. `none`: only frames go. */
  readonly results: 'speech' | 'none';
  /** More than one: the calls of one intake process against those of so many. */
  readonly processes: number;
}

export const INTAKE_BENCH_DEFAULTS: IntakeBenchOptions = {
  legs: 200,
  seconds: 10,
  rounds: 2,
  results: 'none',
  processes: 1,
};

/** What a leg may cost. */
export const INTAKE_BENCH_AIMS = {
  lostPackets: 0,
  delayP99Ms: 60,
  bytesPerLeg: 200 * 1024,
  cpuOfBare: 0.7,
} as const;

/** Who receives: our intake, or a loop that only forwards what comes. */
export type IntakeReceiver = 'intake' | 'bare';

/** The order in which receivers are measured: neither has the warmer machine every time. */
export function receiversOfRounds(rounds: number): readonly IntakeReceiver[] {
  return Array.from({ length: rounds }, (_, no): readonly IntakeReceiver[] =>
    no % 2 === 0 ? ['bare', 'intake'] : ['intake', 'bare'],
  ).flat();
}

/** What should be nothing. */
export interface IntakeFailures {
  readonly callsRefused: number;
  /** Spoken on, and unknown to the receiver at the end. */
  readonly legsMissing: number;
  /** What the calls themselves told of: media or recognition that failed. */
  readonly events: number;
  readonly tasksUnfinished: number;
}

export function sumOf({ callsRefused, legsMissing, events, tasksUnfinished }: IntakeFailures): number {
  return callsRefused + Math.abs(legsMissing) + events + tasksUnfinished;
}

/** One receiver, measured once. */
export interface IntakeRunReport {
  readonly receiver: IntakeReceiver;
  readonly legs: number;
  /** From first to last packet of every leg, not only while it was measured. */
  readonly packetsSent: number;
  readonly packetsReceived: number;
  /** Sent and not received: on the loopback nobody else can lose any. */
  readonly packetsLost: number;
  /** Of these: what the kernel dropped because a socket was not read in time; undefined where it does not tell. */
  readonly kernelDrops: number | undefined;
  /** Audio that left us less than the audio that came, as the recogniser counts it. */
  readonly audioMissingMs: number;
  readonly failures: IntakeFailures;
  /** Chunks whose delay was taken. */
  readonly chunks: number;
  /** Of a chunk's last packet, from when it was sent to its last byte on the recogniser's socket. */
  readonly delayMs: Percentiles;
  /** How much later than asked a timer of the receiver came. */
  readonly eventLoopDelayMs: Percentiles;
  /** User and system time of the receiving process, in microseconds a leg and second. */
  readonly cpuUsPerLegSecond: number;
  /** The same as a share of one core. */
  readonly cpuShare: number;
  /** Of the sending process: at 1, its pace is no longer what was asked. */
  readonly senderCpuShare: number;
  /** The most that a packet was sent behind its time. */
  readonly senderLateMaxMs: number;
  /** Growth over the same process with no call, in bytes a leg. */
  readonly heapBytesPerLeg: number;
  readonly rssBytesPerLeg: number;
}

export interface IntakeBenchResult {
  readonly bench: 'intake';
  readonly options: IntakeBenchOptions;
  /** CPU of the bare limit over CPU of the intake: the legs that we serve for the same CPU, as a share of the limit. */
  readonly cpuOfBare: number;
  /** The same of each round by itself: how far apart they are says how quiet the machine was. */
  readonly cpuOfBareByRound: readonly number[];
  readonly intake: IntakeRunReport;
  readonly bare: IntakeRunReport;
  readonly aims: Readonly<Record<keyof typeof INTAKE_BENCH_AIMS, 'met' | 'missed'>>;
}

/**
 * CPU from the cheapest round of each receiver, since what else the machine does can only add; everything else from
 * the intake's same round, but for losses: those of all rounds count.
 *
 * @throws {RangeError} without a report of each receiver
 */
export function compareIntakeRuns(
  options: IntakeBenchOptions,
  reports: readonly IntakeRunReport[],
): IntakeBenchResult {
  const intake = cheapest(reports, 'intake');
  const bare = cheapest(reports, 'bare');
  const cpuOfBare = round(bare.cpuUsPerLegSecond / intake.cpuUsPerLegSecond);
  const lost = reports
    .filter(({ receiver }) => receiver === 'intake')
    .reduce((sum, { packetsLost, failures }) => sum + Math.abs(packetsLost) + sumOf(failures), 0);
  const verdict = (met: boolean): 'met' | 'missed' => (met ? 'met' : 'missed');
  return {
    bench: 'intake',
    options,
    cpuOfBare,
    cpuOfBareByRound: byRound(reports),
    intake,
    bare,
    aims: {
      lostPackets: verdict(lost === INTAKE_BENCH_AIMS.lostPackets),
      delayP99Ms: verdict(intake.delayMs.p99Ms < INTAKE_BENCH_AIMS.delayP99Ms),
      bytesPerLeg: verdict(intake.heapBytesPerLeg < INTAKE_BENCH_AIMS.bytesPerLeg),
      cpuOfBare: verdict(cpuOfBare >= INTAKE_BENCH_AIMS.cpuOfBare),
    },
  };
}

function byRound(reports: readonly IntakeRunReport[]): readonly number[] {
  const cpuOf = (receiver: IntakeReceiver): readonly number[] =>
    reports
      .filter((report) => report.receiver === receiver)
      .map(({ cpuUsPerLegSecond }) => cpuUsPerLegSecond);
  const bare = cpuOf('bare');
  return cpuOf('intake')
    .slice(0, bare.length)
    .map((us, no) => round(bare[no]! / us));
}

function cheapest(reports: readonly IntakeRunReport[], receiver: IntakeReceiver): IntakeRunReport {
  const [first, ...rest] = reports.filter((report) => report.receiver === receiver);
  if (first === undefined) throw new RangeError(`the bench has no report of the receiver ${receiver}`);
  return rest.reduce(
    (best, report) => (report.cpuUsPerLegSecond < best.cpuUsPerLegSecond ? report : best),
    first,
  );
}

const round = (value: number): number => Math.round(value * 1000) / 1000;
