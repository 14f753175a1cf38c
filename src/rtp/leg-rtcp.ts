import { RtcpSrPacket } from 'werift-rtp';

import { type LastSenderReport, OwnReports, type SentFigures } from './own-reports.ts';
import type { ReceptionStatistics } from './reception.ts';
import { parseRtcp } from './rtcp.ts';
import { SenderClock } from './sender-clock.ts';

/**
 * RFC 3550 §6.2: a leg has two members and its reports stay far under 5 % of the audio's bandwidth, so the
 * interval is the least one always.
 */
const INTERVAL_MS = 5_000;
/** §6.3.1: what reconsideration makes of an interval drawn from 0.5 to 1.5; e − 3/2. */
const COMPENSATION = Math.E - 1.5;
const NTP_UNITS_PER_MS = 2 ** 32 / 1_000;

export interface LegRtcpOptions {
  /** Ours, 32 bits, by chance. */
  readonly ssrc: number;
  /** 16 characters, by chance; the same in all reports of the leg. */
  readonly cname: string;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly source: RtcpSource;
  /** What we send; undefined where the leg only listens. */
  readonly sent?: () => SentFigures | undefined;
  /** The source said that it leaves. It may be wrong, so nothing ends by it. Once for each source. */
  readonly onGoodbye?: () => void;
}

/** What the leg knows of its source just now. */
export interface RtcpSource {
  /** Undefined while none is known. */
  readonly ssrc: () => number | undefined;
  readonly statistics: () => ReceptionStatistics;
  /** Monotonic time of the leg's sample 0. */
  readonly startedMs: () => number | undefined;
  /** The leg's sample of an RTP timestamp; undefined where it has no place near the leg's present. */
  readonly placeOf: (timestamp: number) => number | undefined;
}

export interface LegRtcpCounters {
  /** On both ports. */
  readonly rtcpPackets: number;
  readonly rtcpMalformed: number;
  readonly rtcpReportsSent: number;
  /** Of the leg's source, used for its drift. */
  readonly senderReports: number;
  /** Of the leg's source, but they name another clock than its audio. */
  readonly senderReportsIgnored: number;
  readonly rtcpGoodbyes: number;
  /** Millionths that the sender's clock runs faster than ours; see `SenderClock`. */
  readonly clockDriftPpm: number;
}

/** One leg's RTCP: what comes is read, and reports are written when they are due. Pure: bytes and times. */
export class LegRtcp {
  readonly #options: LegRtcpOptions;
  readonly #clock = new SenderClock();
  #reports: OwnReports;
  #ssrc: number;
  #dueMs: number | undefined;
  #source: number | undefined;
  #lastSenderReport: LastSenderReport | undefined;
  #packets = 0;
  #malformed = 0;
  #reportsSent = 0;
  /** Of ours, at the last two reports. */
  #packetsSent: readonly [number, number] = [0, 0];
  #ignored = 0;
  #goodbyes = 0;

  constructor(options: LegRtcpOptions) {
    this.#options = options;
    this.#ssrc = options.ssrc;
    this.#reports = new OwnReports(options.ssrc, options.cname);
  }

  /**
   * Takes one datagram; what it says of the leg's source counts only where it comes from that source's address.
   * @returns whether it is RTCP
   */
  take(datagram: Buffer, from: 'source' | 'elsewhere', nowMs: number): boolean {
    const compound = parseRtcp(datagram);
    if (compound === undefined) {
      this.#malformed++;
      return false;
    }
    this.#packets++;
    const ssrc = this.#follow();
    if (ssrc === undefined || from === 'elsewhere') return true;
    for (const report of compound.reports) {
      if (report instanceof RtcpSrPacket && report.ssrc === ssrc) this.#takeReport(report, nowMs);
    }
    if (compound.goodbyes.includes(ssrc)) {
      this.#goodbyes++;
      if (this.#goodbyes === 1) this.#options.onGoodbye?.();
    }
    return true;
  }

  /** The report to send now, or undefined while none is due. The first is due after half an interval (§6.2). */
  due(nowMs: number): Buffer | undefined {
    this.#dueMs ??= nowMs + this.#drawMs(INTERVAL_MS / 2);
    if (nowMs < this.#dueMs) return undefined;
    this.#dueMs = nowMs + this.#drawMs(INTERVAL_MS);
    return this.#write(nowMs);
  }

  /** Ours on the leg, in packets as in reports; another one where the peer has the same. */
  get ssrc(): number {
    return this.#ssrc;
  }

  /** The last report, with a BYE; undefined where nothing was ever sent, since then none may be (§6.3.7). */
  goodbye(nowMs: number): Buffer | undefined {
    if (this.#reportsSent === 0 && (this.#options.sent?.()?.packetCount ?? 0) === 0) return undefined;
    return Buffer.concat([this.#write(nowMs), this.#reports.goodbye()]);
  }

  /** See `SenderClock.correctionMs`. */
  correctionMs(legMs: number): number {
    return this.#clock.correctionMs(legMs);
  }

  counters(): LegRtcpCounters {
    return {
      rtcpPackets: this.#packets,
      rtcpMalformed: this.#malformed,
      rtcpReportsSent: this.#reportsSent,
      senderReports: this.#clock.reports,
      senderReportsIgnored: this.#ignored,
      rtcpGoodbyes: this.#goodbyes,
      clockDriftPpm: Math.round(this.#clock.driftPpm * 10) / 10,
    };
  }

  #takeReport({ senderInfo }: RtcpSrPacket, nowMs: number): void {
    const { ntpTimestamp, rtpTimestamp } = senderInfo;
    this.#lastSenderReport = {
      ntpMiddle: Number((ntpTimestamp >> 16n) & 0xffff_ffffn),
      arrivalMs: nowMs,
    };
    const { startedMs, placeOf } = this.#options.source;
    const [sample, startMs] = [placeOf(rtpTimestamp), startedMs()];
    const ntpMs = ntpTimestamp === 0n ? undefined : Number(ntpTimestamp) / NTP_UNITS_PER_MS;
    const used =
      sample !== undefined &&
      startMs !== undefined &&
      this.#clock.take({ elapsedMs: nowMs - startMs, sample, ntpMs });
    if (!used) this.#ignored++;
  }

  #write(nowMs: number): Buffer {
    const ssrc = this.#follow();
    this.#reportsSent++;
    const statistics = this.#options.source.statistics();
    return this.#reports.write(ssrc, statistics, this.#lastSenderReport, nowMs, this.#recentlySent());
  }

  /** §6.4: who sent since the last report but one is a sender. */
  #recentlySent(): SentFigures | undefined {
    const sent = this.#options.sent?.();
    const [before, last] = this.#packetsSent;
    this.#packetsSent = [last, sent?.packetCount ?? 0];
    return sent !== undefined && sent.packetCount > before ? sent : undefined;
  }

  /** The SSRC of the leg's source now; another one than before has said nothing yet. */
  #follow(): number | undefined {
    const ssrc = this.#options.source.ssrc();
    if (ssrc === this.#source) return ssrc;
    this.#source = ssrc;
    this.#lastSenderReport = undefined;
    this.#clock.changeSender();
    if (ssrc === this.#ssrc) {
      // §8.2: two members of one SSRC; we are the one that nobody knows yet.
      this.#ssrc = (this.#ssrc ^ 0x5555_5555) >>> 0;
      this.#reports = new OwnReports(this.#ssrc, this.#options.cname);
    }
    return ssrc;
  }

  #drawMs(meanMs: number): number {
    return (meanMs * (0.5 + this.#options.random())) / COMPENSATION;
  }
}
