import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { readBenchCommandLine } from '../../src/bench/command-line.ts';
import { compareRecordingLoads, RECORDING_BENCH_DEFAULTS, recordingLine } from '../../src/bench/recording.ts';
import {
  RECORDING_WAYS,
  type RecordingLoadReport,
  type RecordingWay,
  runRecordingLoad,
} from '../../src/bench/recording-load.ts';
import { systemClock } from '../../src/clock.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'callscribe-bench-'));
});
afterAll(() => rm(directory, { recursive: true }));

const report = (way: RecordingWay, cpuUsPerLegSecond: number): RecordingLoadReport => ({
  way,
  legs: 1_000,
  measuredMs: 10_000,
  cpuUsPerLegSecond,
  cpuShare: 0.1,
  audioBytes: 1_000,
  diskBytes: 1_030,
  writes: 10,
  behindMaxMs: 300,
  lateMaxMs: 2,
});

describe('npm run bench -- recording', () => {
  it('takes the cheapest round of each way, without what the packets cost', () => {
    const result = compareRecordingLoads(RECORDING_BENCH_DEFAULTS, [
      report('none', 40),
      report('none', 30),
      report('keep', 150),
      report('keep', 130),
      report('spool', 160),
      report('sequential', 70),
    ]);
    expect(result.cpuUsPerLegSecond).toEqual({ keep: 100, spool: 130, sequential: 40 });
    expect(result.diskRatio).toBe(1.03);
    expect(recordingLine(report('keep', 130))).toContain('130 µs CPU a leg and second');
  });

  it.each(RECORDING_WAYS)('runs, writes what it says, and leaves nothing behind (%s)', async (way) => {
    const result = await runRecordingLoad({ way, legs: 10, seconds: 1, directory }, systemClock);
    expect(result.audioBytes).toBeGreaterThan(0);
    expect(result.writes > 0).toBe(way !== 'none');
    expect(await readdir(directory)).toEqual([]);
  });

  it('is told how many legs, how long and how often', () => {
    expect(readBenchCommandLine(['recording', '--legs', '20', '--seconds', '3'])).toEqual({
      kind: 'recording',
      options: { legs: 20, seconds: 3, rounds: RECORDING_BENCH_DEFAULTS.rounds },
    });
    expect(() => readBenchCommandLine(['recording', '--results', 'none'])).toThrow(
      /--results: is not for recording/,
    );
  });
});
