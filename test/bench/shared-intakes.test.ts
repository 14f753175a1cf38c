import { describe, expect, it } from 'vitest';

import { INTAKE_BENCH_DEFAULTS } from '../../src/bench/intake.ts';
import {
  compareSharedRuns,
  processesOfRounds,
  sharedLine,
  type SharedRunReport,
  sharedVerdictLines,
} from '../../src/bench/shared-intakes.ts';

const options = { ...INTAKE_BENCH_DEFAULTS, processes: 2 };

function report(cpuUsOfEach: readonly number[], facts: Partial<SharedRunReport> = {}): SharedRunReport {
  return {
    processes: cpuUsOfEach.length,
    legsOfEach: cpuUsOfEach.map(() => 100),
    packetsOfEach: cpuUsOfEach.map(() => 5_000),
    cpuUsOfEach,
    edgeCpuUs: 1_000,
    packetsSent: 5_000 * cpuUsOfEach.length,
    packetsReceived: 5_000 * cpuUsOfEach.length,
    failures: 0,
    ...facts,
  };
}

describe('the verdict on several intakes', () => {
  it('goes by the dearest process, of the cheapest round of each number', () => {
    const result = compareSharedRuns(options, [
      report([2_000]),
      report([2_000, 2_100]),
      report([1_800, 2_400]),
      report([1_900]),
    ]);
    expect(result.callsOfOne).toBe(1.81);
    expect(result.aims).toEqual({ callsOfOne: 'met', lostPackets: 'met' });
    expect(sharedVerdictLines(result)[0]).toContain('2 intakes take 1.81 times the calls of one');
    expect(sharedLine(result.several)).toContain('legs 100 + 100; CPU 0.00 s + 0.00 s');
  });

  it('misses the aim where one process pays more for a packet, or a packet is lost', () => {
    const result = compareSharedRuns(options, [
      report([2_000], { packetsReceived: 4_999 }),
      report([2_500, 1_500]),
    ]);
    expect(result.aims).toEqual({ callsOfOne: 'missed', lostPackets: 'missed' });
  });

  it('needs a report of each number of processes', () => {
    expect(() => compareSharedRuns(options, [report([2_000])])).toThrow(RangeError);
    expect(processesOfRounds(2, 2)).toEqual([1, 2, 2, 1]);
  });
});
