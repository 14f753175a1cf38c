import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { decodeG711 } from '../../src/audio/g711.ts';
import { startAsrSink } from '../../src/bench/asr-sink.ts';
import {
  compareIntakeRuns,
  INTAKE_BENCH_DEFAULTS,
  type IntakeReceiver,
  type IntakeRunReport,
  receiversOfRounds,
} from '../../src/bench/intake.ts';
import { intakeLine, intakeVerdictLines } from '../../src/bench/intake-text.ts';
import { machineUs } from '../../src/bench/machine-clock.ts';
import { readStamp, readStampFromPcm, STAMP_CODES, writeStamp } from '../../src/bench/packet-stamp.ts';
import { RtpLoad } from '../../src/bench/rtp-load.ts';
import { startScriptedSink } from '../../src/bench/scripted-sink.ts';
import { dropsInTable } from '../../src/bench/udp-drops.ts';
import { systemClock } from '../../src/clock.ts';
import { startReceiver } from '../../workers/bench-receivers.ts';

function report(receiver: IntakeReceiver, facts: Partial<IntakeRunReport> = {}): IntakeRunReport {
  const delay = { p50Ms: 0.1, p99Ms: 1, maxMs: 2 };
  return {
    receiver,
    legs: 100,
    packetsSent: 5_000,
    packetsReceived: 5_000,
    packetsLost: 0,
    kernelDrops: 0,
    audioMissingMs: 0,
    failures: { callsRefused: 0, legsMissing: 0, events: 0, tasksUnfinished: 0 },
    chunks: 1_000,
    delayMs: delay,
    eventLoopDelayMs: delay,
    cpuUsPerLegSecond: 1_000,
    cpuShare: 0.1,
    senderCpuShare: 0.1,
    senderLateMaxMs: 1,
    heapBytesPerLeg: 50_000,
    rssBytesPerLeg: 60_000,
    ...facts,
  };
}

describe('the verdict', () => {
  it('sets the cheapest round of the intake against the cheapest of the bare forwarder', () => {
    const result = compareIntakeRuns(INTAKE_BENCH_DEFAULTS, [
      report('bare', { cpuUsPerLegSecond: 800 }),
      report('intake', { cpuUsPerLegSecond: 1_500 }),
      report('intake', { cpuUsPerLegSecond: 1_000 }),
      report('bare', { cpuUsPerLegSecond: 900 }),
    ]);
    expect(result.cpuOfBare).toBe(0.8);
    expect(result.cpuOfBareByRound).toEqual([0.533, 0.9]);
    expect(result.aims).toEqual({
      lostPackets: 'met',
      delayP99Ms: 'met',
      bytesPerLeg: 'met',
      cpuOfBare: 'met',
    });
    expect(intakeVerdictLines(result).join('\n')).not.toContain('missed');
    expect(intakeLine(result.intake)).toContain('5000 packets sent, 5000 received, 0 lost inside');
  });

  it('says which aims are missed, and lets a loss in any round count', () => {
    const delay = { p50Ms: 1, p99Ms: 60, maxMs: 90 };
    const result = compareIntakeRuns(INTAKE_BENCH_DEFAULTS, [
      report('bare', { cpuUsPerLegSecond: 699 }),
      report('intake', { delayMs: delay, heapBytesPerLeg: 204_800 }),
      report('intake', { cpuUsPerLegSecond: 2_000, packetsLost: 1 }),
    ]);
    expect(result.aims).toEqual({
      lostPackets: 'missed',
      delayP99Ms: 'missed',
      bytesPerLeg: 'missed',
      cpuOfBare: 'missed',
    });
  });

  it('does not pass a comparison with one half', () => {
    expect(() => compareIntakeRuns(INTAKE_BENCH_DEFAULTS, [report('intake')])).toThrow(RangeError);
  });

  it('lets neither receiver be the second one every time', () => {
    expect(receiversOfRounds(2)).toEqual(['bare', 'intake', 'intake', 'bare']);
  });
});

describe('the stamp of a packet', () => {
  it('is read back from the codes, and from the samples that they decode to', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 48 - 1 }),
        fc.integer({ min: 0, max: 150 }),
        (us, before) => {
          const codes = new Uint8Array(before + STAMP_CODES).fill(0xd5);
          writeStamp(codes, codes.length, us);
          const pcm = new Uint8Array(decodeG711('PCMA', codes).buffer);
          expect(readStamp(codes, codes.length)).toBe(us);
          expect(readStampFromPcm(pcm)).toBe(us);
        },
      ),
      { seed: 4, numRuns: 500 },
    );
  });

  it('is not found in silence, nor in a chunk that is too short', () => {
    expect(readStampFromPcm(new Uint8Array(1_600))).toBe(-1);
    expect(readStampFromPcm(new Uint8Array(4))).toBe(-1);
    expect(readStamp(new Uint8Array(160).fill(0xd5), 160)).toBe(-1);
  });
});

describe('drops of the kernel', () => {
  const table = [
    '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops',
    ' 1171: 0100007F:4E20 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 11 2 0000 7         ',
    ' 1172: 0100007F:4E22 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 12 2 0000 5',
    '  201: 00000000000000000000000001000000:4E24 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 13 2 0000 2',
    '',
  ].join('\n');

  it('are counted for our ports only', () => {
    expect(dropsInTable(table, () => true)).toBe(14);
    expect(dropsInTable(table, (port) => port === 20_002 || port === 20_004)).toBe(7);
    expect(dropsInTable('', () => true)).toBe(0);
  });
});

describe('a load of four legs', () => {
  it.each(['intake', 'bare'] as const)(
    'reaches the recogniser whole through the %s receiver',
    async (kind) => {
      const sink = await (kind === 'intake' ? startScriptedSink() : startAsrSink());
      const receiver = await startReceiver(kind, {
        asrUrl: sink.url,
        rtpPorts: { first: 41_000, last: 41_099 },
        legs: 4,
      });
      const target = await receiver.open();
      await receiver.baseline();
      const load = await RtpLoad.open(target!, 4, systemClock);
      const beganUs = machineUs();
      const figures = await receiver.measure(4, 0.6);
      const sent = load.stop();
      // What is on its way is read within the turns that this takes.
      const drops = await receiver.kernelDrops();
      const [received] = await Promise.all([receiver.totals(), load.hangUp()]);
      await receiver.close();
      const heard = sink.totals();
      await sink.close();

      expect(sent).toMatchObject({ callsRefused: 0 });
      expect(sent.packetsSent).toBeGreaterThan(4 * 20);
      expect(received).toMatchObject({ legs: 4, packetsReceived: sent.packetsSent, failures: 0 });
      expect(drops ?? 0).toBe(0);
      expect(heard).toMatchObject({ tasks: 4, tasksFinished: 4 });
      expect(heard.bytes).toBe(received.audioMs * 16);
      expect(figures.chunks).toBeGreaterThan(0);
      expect(figures.delayMs.p50Ms).toBeGreaterThan(0);
      expect(figures.delayMs.maxMs).toBeLessThan((machineUs() - beganUs) / 1_000);
      expect(figures.cpuUs).toBeGreaterThan(0);
    },
  );
});
