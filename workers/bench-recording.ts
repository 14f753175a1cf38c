import { mkdir } from 'node:fs/promises';
import { arch, cpus } from 'node:os';

import { compareRecordingLoads, type RecordingBenchOptions, recordingLine } from '../src/bench/recording.ts';
import {
  RECORDING_WAYS,
  type RecordingLoadOptions,
  type RecordingLoadReport,
  runRecordingLoad,
} from '../src/bench/recording-load.ts';
import { systemClock } from '../src/clock.ts';
import type { BenchProcess, Duties } from './bench-process.ts';

/** Of the working directory: temporary directories are in memory on some machines. */
const DIRECTORY = '.data';

/** `npm run bench -- recording`; the last line is one JSON object. */
export async function benchRecording(
  options: RecordingBenchOptions,
  start: (name: string) => BenchProcess,
  print: (line: string) => void,
): Promise<void> {
  const { legs, seconds, rounds } = options;
  print(`${legs} legs, ${seconds} s, ${rounds} rounds; ${cpus().length} × ${cpus()[0]?.model ?? arch()}`);
  await mkdir(DIRECTORY, { recursive: true });
  const reports: RecordingLoadReport[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const way of round % 2 === 0 ? RECORDING_WAYS : RECORDING_WAYS.toReversed()) {
      using child = start('recording');
      const order = { way, legs, seconds, directory: DIRECTORY } satisfies RecordingLoadOptions;
      reports.push(await child.ask<RecordingLoadReport>('recording', order));
      print(recordingLine(reports.at(-1)!));
    }
  }
  const result = compareRecordingLoads(options, reports);
  const { keep, spool, sequential } = result.cpuUsPerLegSecond;
  print(
    `recording costs ${keep} µs CPU a leg and second, sealed ${spool}; the bare sequential write of the same audio ${sequential}`,
  );
  print(`${result.diskRatio} bytes on disk for each byte of G.711`);
  print(JSON.stringify(result));
}

export const recordingDuties: Duties = {
  recording: (order: RecordingLoadOptions) => runRecordingLoad(order, systemClock),
};
