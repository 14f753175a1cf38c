import type { AsrBenchResult } from './asr.ts';
import { ASR_BENCH_AIMS } from './asr.ts';
import type { AsrLoadReport } from './asr-load.ts';

/** One line for whoever watches. */
export function loadLine(report: AsrLoadReport): string {
  const { sender, cpuUsPerSessionSecond, insideMs, lateMs, heapBytesPerSession, rssBytesPerSession } = report;
  return [
    `${sender.padEnd(6)} ${cpuUsPerSessionSecond} µs CPU a session and second`,
    `${report.frames} frames, ${report.results} results, ${report.failures} failures`,
    `inside p50 ${insideMs.p50Ms} p99 ${insideMs.p99Ms} max ${insideMs.maxMs} ms`,
    `behind its time p50 ${lateMs.p50Ms} p99 ${lateMs.p99Ms} max ${lateMs.maxMs} ms`,
    `${kilobytes(heapBytesPerSession)} KB heap, ${kilobytes(rssBytesPerSession)} KB resident a session`,
  ].join('; ');
}

export function verdictLines({ cpuRatio, client, aims }: AsrBenchResult): readonly string[] {
  return [
    `CPU against the bare loop: ${cpuRatio} (aim: at most ${ASR_BENCH_AIMS.cpuRatio}): ${aims.cpuRatio}`,
    `latest frame inside the client: ${client.insideMs.maxMs} ms (aim: at most ${ASR_BENCH_AIMS.insideMaxMs}): ${aims.insideMaxMs}`,
    `memory a session: ${kilobytes(client.heapBytesPerSession)} KB (aim: under ${kilobytes(ASR_BENCH_AIMS.bytesPerSession)}): ${aims.bytesPerSession}`,
  ];
}

const kilobytes = (bytes: number): number => Math.round(bytes / 102.4) / 10;
