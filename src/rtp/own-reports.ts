import {
  RtcpHeader,
  RtcpReceiverInfo,
  RtcpRrPacket,
  RtcpSenderInfo,
  RtcpSourceDescriptionPacket,
  RtcpSrPacket,
  SourceDescriptionChunk,
  SourceDescriptionItem,
} from 'werift-rtp';

import type { ReceptionStatistics } from './reception.ts';
import { GOODBYE_TYPE } from './rtcp.ts';
import { SAMPLES_PER_MS } from './timeline.ts';

/** RFC 3550 §6.5.1. */
const CNAME_TYPE = 1;
const LOST_MIN = -0x80_0000;
const LOST_MAX = 0x7f_ffff;
/** DLSR counts in 1/65,536 s. */
const DLSR_UNITS_PER_MS = 65.536;

/** The last sender report of the source that is reported on. */
export interface LastSenderReport {
  /** The middle 32 bits of its NTP time (LSR). */
  readonly ntpMiddle: number;
  readonly arrivalMs: number;
}

/** What we have sent, and one moment on both clocks (RFC 3550 §6.4.1). */
export interface SentFigures {
  readonly ntpTimestamp: bigint;
  /** 0 to 2³² − 1. */
  readonly rtpTimestamp: number;
  readonly packetCount: number;
  /** Of payload. */
  readonly octetCount: number;
}

/**
 * Writes the compound packets that a leg sends: a sender report while we send, else a receiver report, with a block
 * on the source where it was heard since the last one, and a description with our CNAME (RFC 3550 §6.1, §6.4, §6.5;
 * RFC 7022).
 */
export class OwnReports {
  readonly #description: Buffer;
  readonly #ssrc: number;
  /** Of which source the figures of the last block are; another one begins at 0. */
  #reportedOn: ReceptionStatistics | undefined;
  #expectedBefore = 0;
  #receivedBefore = 0;

  /** @param cname 16 characters: the library ends an item list of whole words without the null octet of §6.5 */
  constructor(ssrc: number, cname: string) {
    this.#ssrc = ssrc;
    this.#description = new RtcpSourceDescriptionPacket({
      chunks: [
        new SourceDescriptionChunk({
          source: ssrc,
          items: [new SourceDescriptionItem({ type: CNAME_TYPE, text: cname })],
        }),
      ],
    }).serialize();
  }

  /** @param sourceSsrc undefined while no source is known */
  write(
    sourceSsrc: number | undefined,
    statistics: ReceptionStatistics,
    lastSenderReport: LastSenderReport | undefined,
    nowMs: number,
    sent: SentFigures | undefined,
  ): Buffer {
    const block =
      sourceSsrc === undefined ? undefined : this.#block(sourceSsrc, statistics, lastSenderReport, nowMs);
    const body = { ssrc: this.#ssrc, reports: block === undefined ? [] : [block] };
    const report =
      sent === undefined
        ? new RtcpRrPacket(body)
        : new RtcpSrPacket({ ...body, senderInfo: senderInfoOf(sent) });
    return Buffer.concat([report.serialize(), this.#description]);
  }

  /** What is appended to the last report when the leg ends (§6.6). */
  goodbye(): Buffer {
    const source = Buffer.alloc(4);
    source.writeUInt32BE(this.#ssrc);
    return RtcpHeader.serialize(GOODBYE_TYPE, 1, source, 1);
  }

  /** §6.4.1, §A.3: a source that was not heard since the last report has no block. */
  #block(
    ssrc: number,
    statistics: ReceptionStatistics,
    lastSenderReport: LastSenderReport | undefined,
    nowMs: number,
  ): RtcpReceiverInfo | undefined {
    if (this.#reportedOn !== statistics) {
      this.#reportedOn = statistics;
      this.#expectedBefore = 0;
      this.#receivedBefore = 0;
    }
    const expected = statistics.expectedPackets;
    const lost = statistics.cumulativeLostPackets;
    const received = expected - lost;
    if (received === this.#receivedBefore) return undefined;
    const expectedNow = expected - this.#expectedBefore;
    const lostNow = expectedNow - (received - this.#receivedBefore);
    this.#expectedBefore = expected;
    this.#receivedBefore = received;
    return new RtcpReceiverInfo({
      ssrc,
      fractionLost:
        expectedNow <= 0 || lostNow <= 0 ? 0 : Math.min(255, Math.floor((256 * lostNow) / expectedNow)),
      // The library writes unsigned numbers only.
      packetsLost: Math.max(LOST_MIN, Math.min(LOST_MAX, lost)) & 0xff_ffff,
      highestSequence: statistics.extendedHighestSequence >>> 0,
      jitter: Math.round(statistics.jitterMs * SAMPLES_PER_MS) >>> 0,
      lsr: lastSenderReport?.ntpMiddle ?? 0,
      dlsr:
        lastSenderReport === undefined
          ? 0
          : Math.round((nowMs - lastSenderReport.arrivalMs) * DLSR_UNITS_PER_MS) >>> 0,
    });
  }
}

/** Both counts are of 32 bits, and wrap. */
function senderInfoOf({ packetCount, octetCount, ...clocks }: SentFigures): RtcpSenderInfo {
  return new RtcpSenderInfo({ ...clocks, packetCount: packetCount >>> 0, octetCount: octetCount >>> 0 });
}
