import { INTAKE_BENCH_AIMS, type IntakeBenchResult, type IntakeRunReport, sumOf } from './intake.ts';

/** One line for whoever watches. */
export function intakeLine(report: IntakeRunReport): string {
  const { receiver, legs, cpuUsPerLegSecond, cpuShare, packetsLost, kernelDrops, delayMs, eventLoopDelayMs } =
    report;
  return [
    `${receiver.padEnd(6)} ${legs} legs: ${cpuUsPerLegSecond} µs CPU a leg and second (${percent(cpuShare)} of a core)`,
    `${report.packetsSent} packets sent, ${report.packetsReceived} received, ${packetsLost} lost inside (${kernelDrops ?? '?'} in the kernel)`,
    `${report.audioMissingMs} ms of audio missing, ${sumOf(report.failures)} failures`,
    `delay p50 ${delayMs.p50Ms} p99 ${delayMs.p99Ms} max ${delayMs.maxMs} ms`,
    `event loop p50 ${eventLoopDelayMs.p50Ms} p99 ${eventLoopDelayMs.p99Ms} max ${eventLoopDelayMs.maxMs} ms late`,
    `${kilobytes(report.heapBytesPerLeg)} KB heap, ${kilobytes(report.rssBytesPerLeg)} KB resident a leg`,
    `sender ${percent(report.senderCpuShare)} of a core, at most ${report.senderLateMaxMs} ms behind`,
  ].join('; ');
}

export function intakeVerdictLines({
  cpuOfBare,
  cpuOfBareByRound,
  intake,
  aims,
}: IntakeBenchResult): readonly string[] {
  return [
    `legs for the same CPU, of what the bare forwarder serves: ${cpuOfBare} (aim: at least ${INTAKE_BENCH_AIMS.cpuOfBare}; by round ${cpuOfBareByRound.join(', ')}): ${aims.cpuOfBare}`,
    `lost inside, all rounds: ${aims.lostPackets === 'met' ? 'nothing' : 'some'} (aim: nothing): ${aims.lostPackets}`,
    `delay p99: ${intake.delayMs.p99Ms} ms (aim: under ${INTAKE_BENCH_AIMS.delayP99Ms}): ${aims.delayP99Ms}`,
    `memory a leg: ${kilobytes(intake.heapBytesPerLeg)} KB (aim: under ${kilobytes(INTAKE_BENCH_AIMS.bytesPerLeg)}): ${aims.bytesPerLeg}`,
  ];
}

const kilobytes = (bytes: number): number => Math.round(bytes / 102.4) / 10;
const percent = (share: number): string => `${Math.round(share * 100)} %`;
