import { randomBytes } from 'node:crypto';

import {
  RtcpHeader,
  RtcpPacketConverter,
  RtcpRrPacket,
  RtcpSenderInfo,
  RtcpSourceDescriptionPacket,
  RtcpSrPacket,
  SourceDescriptionChunk,
  SourceDescriptionItem,
} from 'werift-rtp';

import { ntpTimestamp } from '../clock.ts';

const CNAME_TYPE = 1;
const GOODBYE_TYPE = 203;
const FIRST_REPORT_MS = 1_000;
const INTERVAL_MS = 5_000;
const SAMPLES_PER_MS = 8;

/** What the receiver told of one leg. */
export interface ReceiverFigures {
  readonly receiverReports: number;
  /** Cumulative, by its last report; undefined while it told none. */
  readonly reportedLost: number | undefined;
  readonly reportedJitterMs: number | undefined;
}

/** A sender's side of RTCP: reports after 1 s and then every 5 s of audio, and what the receiver answers. */
export class SenderRtcp {
  readonly #ssrc: number;
  readonly #description: Buffer;
  #sent = 0;
  #figures: ReceiverFigures = { receiverReports: 0, reportedLost: undefined, reportedJitterMs: undefined };

  constructor(ssrc: number) {
    this.#ssrc = ssrc;
    this.#description = new RtcpSourceDescriptionPacket({
      chunks: [
        new SourceDescriptionChunk({
          source: ssrc,
          items: [new SourceDescriptionItem({ type: CNAME_TYPE, text: randomBytes(12).toString('base64') })],
        }),
      ],
    }).serialize();
  }

  get figures(): ReceiverFigures {
    return this.#figures;
  }

  /** Whether a report falls between two lengths of audio. */
  isDue(fromMs: number, toMs: number): boolean {
    const reportsBy = (atMs: number): number => Math.floor((atMs - FIRST_REPORT_MS) / INTERVAL_MS);
    return toMs >= FIRST_REPORT_MS && reportsBy(toMs) > reportsBy(fromMs);
  }

  /** RFC 3550 §6.4.1: the wall time and the RTP timestamp of one moment. */
  report(at: Date, rtpTimestamp: number, packetCount: number, octetCount: number): Buffer {
    this.#sent++;
    const report = new RtcpSrPacket({
      ssrc: this.#ssrc,
      senderInfo: new RtcpSenderInfo({
        ntpTimestamp: ntpTimestamp(at),
        rtpTimestamp: rtpTimestamp >>> 0,
        packetCount: packetCount >>> 0,
        octetCount: octetCount >>> 0,
      }),
    });
    return Buffer.concat([report.serialize(), this.#description]);
  }

  /** §6.6; undefined where nothing was reported before. */
  goodbye(): Buffer | undefined {
    if (this.#sent === 0) return undefined;
    const source = Buffer.alloc(4);
    source.writeUInt32BE(this.#ssrc);
    const empty = new RtcpRrPacket({ ssrc: this.#ssrc }).serialize();
    return Buffer.concat([empty, this.#description, RtcpHeader.serialize(GOODBYE_TYPE, 1, source, 1)]);
  }

  /** Reads the receiver's reports; what cannot be read is nothing. */
  take(datagram: Buffer): void {
    for (const packet of readPackets(datagram)) {
      if (!(packet instanceof RtcpRrPacket)) continue;
      const block = packet.reports.find(({ ssrc }) => ssrc === this.#ssrc);
      this.#figures = {
        receiverReports: this.#figures.receiverReports + 1,
        // 24 bits, signed.
        reportedLost: block === undefined ? this.#figures.reportedLost : (block.packetsLost << 8) >> 8,
        reportedJitterMs:
          block === undefined ? this.#figures.reportedJitterMs : block.jitter / SAMPLES_PER_MS,
      };
    }
  }
}

function readPackets(datagram: Buffer): readonly unknown[] {
  try {
    return RtcpPacketConverter.deSerialize(datagram);
  } catch {
    return [];
  }
}
