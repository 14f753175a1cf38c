import { describe, expect, it } from 'vitest';
import type { RtcpReceiverInfo } from 'werift-rtp';
import {
  RtcpPacketConverter,
  RtcpRrPacket,
  RtcpSenderInfo,
  RtcpSourceDescriptionPacket,
  RtcpSrPacket,
} from 'werift-rtp';

import { LegRtcp, type LegRtcpOptions } from '../../src/rtp/leg-rtcp.ts';
import { ReceptionStatistics } from '../../src/rtp/reception.ts';
import { seededRandom } from '../../src/seeded-random.ts';

const OURS = 0xa1b2_c3d4;
const THEIRS = 0x1122_3344;
const CNAME = 'abcdefghijklmnop';

/** What the leg knows of its source; a test changes it. */
class Source {
  ssrc: number | undefined = THEIRS;
  statistics = new ReceptionStatistics();
  startedMs: number | undefined = 0;
  placeOf = (timestamp: number): number | undefined => timestamp;
}

function setUp(
  random = (): number => 0.5,
  options: Pick<LegRtcpOptions, 'sent'> = {},
): { rtcp: LegRtcp; source: Source; goodbyes: () => number } {
  let goodbyes = 0;
  const source = new Source();
  const rtcp = new LegRtcp({
    ssrc: OURS,
    cname: CNAME,
    random,
    ...options,
    onGoodbye: () => (goodbyes += 1),
    source: {
      ssrc: () => source.ssrc,
      statistics: () => source.statistics,
      startedMs: () => source.startedMs,
      placeOf: (timestamp) => source.placeOf(timestamp),
    },
  });
  return { rtcp, source, goodbyes: () => goodbyes };
}

function senderReport(rtpTimestamp: number, ntpTimestamp: bigint, ssrc = THEIRS): Buffer {
  return new RtcpSrPacket({
    ssrc,
    senderInfo: new RtcpSenderInfo({ ntpTimestamp, rtpTimestamp, packetCount: 1, octetCount: 160 }),
  }).serialize();
}

/** The packets of a report that we wrote, by another reader than ours. */
function read(report: Buffer | undefined): {
  block: RtcpReceiverInfo | undefined;
  cname: string;
  ssrc: number;
} {
  const [rr, sdes] = RtcpPacketConverter.deSerialize(report ?? Buffer.alloc(0));
  expect(rr).toBeInstanceOf(RtcpRrPacket);
  expect(sdes).toBeInstanceOf(RtcpSourceDescriptionPacket);
  const { reports, ssrc } = rr as RtcpRrPacket;
  return { block: reports[0], ssrc, cname: (sdes as RtcpSourceDescriptionPacket).chunks[0]!.items[0]!.text };
}

/** The report that is due at or after a moment. */
function reportFrom(rtcp: LegRtcp, fromMs: number): { report: Buffer; atMs: number } {
  for (let nowMs = fromMs; nowMs < fromMs + 10_000; nowMs += 100) {
    const report = rtcp.due(nowMs);
    if (report !== undefined) return { report, atMs: nowMs };
  }
  throw new Error('no report was due');
}

describe('LegRtcp', () => {
  it('reports every five seconds or so, the first one sooner, and never in step', () => {
    const { rtcp } = setUp(seededRandom(3));
    const times: number[] = [];
    for (let nowMs = 0; nowMs < 600_000; nowMs += 100) {
      if (rtcp.due(nowMs) !== undefined) times.push(nowMs);
    }
    const gaps = times.map((atMs, i) => atMs - (times[i - 1] ?? 0)).slice(1);
    expect(times[0]).toBeLessThan(3_200);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(2_000);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(6_300);
    expect(new Set(gaps).size).toBeGreaterThan(20);
    expect(rtcp.counters().rtcpReportsSent).toBe(times.length);
  });

  it('reports without a block before a source is known, with our CNAME', () => {
    const { rtcp, source } = setUp();
    source.ssrc = undefined;
    const { report } = reportFrom(rtcp, 0);
    expect(read(report)).toEqual({ block: undefined, cname: CNAME, ssrc: OURS });
    expect(report.length % 4).toBe(0);
    // §6.5: the item list ends with a null octet.
    expect(report.at(-1)).toBe(0);
  });

  it('tells loss, jitter, and the time since the last sender report', () => {
    const { rtcp, source } = setUp();
    const { statistics } = source;
    for (let sequence = 65_530; sequence < 65_550; sequence++) {
      if (sequence % 4 !== 0) statistics.count(sequence);
      statistics.arrive(160 * sequence, 20 * sequence + (sequence % 2) * 8);
    }
    rtcp.take(senderReport(0, 0x1111_2222_3333_4444n), 'source', 0);
    const { report, atMs } = reportFrom(rtcp, 0);
    expect(read(report).block).toMatchObject({
      ssrc: THEIRS,
      packetsLost: 5,
      fractionLost: 64,
      highestSequence: 65_549,
      jitter: Math.round(statistics.jitterMs * 8),
      lsr: 0x2222_3333,
      dlsr: Math.round(atMs * 65.536),
    });
    // Nothing came since: no block. Then one that made up for losses: the share of loss is never negative.
    expect(read(reportFrom(rtcp, atMs).report).block).toBeUndefined();
    statistics.count(65_532);
    expect(read(reportFrom(rtcp, 20_000).report).block).toMatchObject({
      packetsLost: 4,
      fractionLost: 0,
    });
  });

  it('writes more copies than packets as a negative loss', () => {
    const { rtcp, source } = setUp();
    for (const sequence of [1, 1, 1, 2]) source.statistics.count(sequence);
    expect(read(reportFrom(rtcp, 0).report).block?.packetsLost).toBe(0xff_fffe);
  });

  it('finds the drift of the leg’s source, and of nobody else', () => {
    const { rtcp } = setUp();
    for (let elapsedMs = 5_000; elapsedMs < 1_800_000; elapsedMs += 5_000) {
      const ntp = BigInt(elapsedMs) << 32n;
      rtcp.take(senderReport(Math.round(elapsedMs * 8 * 1.0001), ntp / 1_000n), 'source', elapsedMs);
      rtcp.take(senderReport(elapsedMs * 9, ntp, 0x99), 'source', elapsedMs);
      rtcp.take(senderReport(elapsedMs * 8, ntp), 'elsewhere', elapsedMs);
    }
    expect(rtcp.counters().clockDriftPpm).toBeCloseTo(100, 0);
    expect(rtcp.correctionMs(1_000_000)).toBeCloseTo(-100, 0);
    expect(rtcp.counters()).toMatchObject({
      rtcpPackets: 1_077,
      senderReports: 359,
      senderReportsIgnored: 0,
    });
  });

  it('counts sender reports that name a place far from the audio, and does not use them', () => {
    const { rtcp, source } = setUp();
    rtcp.take(senderReport(800_000, 1n), 'source', 1_000);
    source.placeOf = () => undefined;
    rtcp.take(senderReport(5, 1n), 'source', 0);
    expect(rtcp.counters()).toMatchObject({ senderReports: 0, senderReportsIgnored: 2, clockDriftPpm: 0 });
  });

  it('notes a goodbye of the source, once', () => {
    const { rtcp, goodbyes } = setUp();
    const bye = (ssrc: string): Buffer => Buffer.from(`80c90001${ssrc}81cb0001${ssrc}`, 'hex');
    rtcp.take(bye('00000099'), 'source', 0);
    expect(goodbyes()).toBe(0);
    rtcp.take(bye('11223344'), 'source', 0);
    rtcp.take(bye('11223344'), 'source', 0);
    expect(goodbyes()).toBe(1);
    expect(rtcp.counters().rtcpGoodbyes).toBe(2);
  });

  it('says goodbye at the end, but only who said something before', () => {
    const { rtcp } = setUp();
    expect(rtcp.goodbye(0)).toBeUndefined();
    reportFrom(rtcp, 0);
    const last = rtcp.goodbye(9_000);
    expect(last?.subarray(-8).toString('hex')).toBe('81cb0001a1b2c3d4');
    expect(read(last).cname).toBe(CNAME);
  });

  it('reports as a sender while the leg sent since the last report but one (RFC 3550 §6.4)', () => {
    let packetCount = 0;
    const { rtcp } = setUp(() => 0.5, {
      sent: () => ({ ntpTimestamp: 5n << 32n, rtpTimestamp: 6, packetCount, octetCount: 160 * packetCount }),
    });
    const kinds = [0, 10, 10, 10, 10, 11].map((count, i) => {
      packetCount = count;
      const [report] = RtcpPacketConverter.deSerialize(reportFrom(rtcp, 10_000 * i).report);
      return report instanceof RtcpSrPacket ? report.senderInfo.packetCount : 'receiver report';
    });
    expect(kinds).toEqual(['receiver report', 10, 10, 'receiver report', 'receiver report', 11]);
  });

  it('says goodbye where it sent packets but no report yet', () => {
    const { rtcp } = setUp(() => 0.5, {
      sent: () => ({ ntpTimestamp: 0n, rtpTimestamp: 0, packetCount: 1, octetCount: 160 }),
    });
    expect(rtcp.goodbye(0)?.subarray(-8).toString('hex')).toBe('81cb0001a1b2c3d4');
  });

  it('takes another SSRC where the source has ours', () => {
    const { rtcp, source } = setUp();
    source.ssrc = OURS;
    expect(read(reportFrom(rtcp, 0).report).ssrc).not.toBe(OURS);
  });

  it('counts what is no RTCP', () => {
    const { rtcp } = setUp();
    expect(rtcp.take(Buffer.from('nonsense'), 'source', 0)).toBe(false);
    expect(rtcp.counters()).toMatchObject({ rtcpPackets: 0, rtcpMalformed: 1 });
  });
});
