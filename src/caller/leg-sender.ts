import type { Clock } from '../clock.ts';
import type { PacedStream } from '../pacer.ts';
import type { SrtpSuite } from '../rtp/srtp-key.ts';
import type { SentLeg } from './call-report.ts';
import type { PacketPlan } from './impairment-plan.ts';
import type { KeyPacket } from './key-plan.ts';
import type { LegProtection } from './leg-protection.ts';
import type { LegSource } from './leg-source.ts';
import type { MediaSockets } from './media-sockets.ts';
import { buildKeyPacket, buildRtpPacket, type RtpStart } from './rtp-packets.ts';
import { SenderRtcp } from './sender-rtcp.ts';

const RTP_HEADER_BYTES = 12;
const CODES_PER_MS = 8;

export interface LegSenderOptions {
  readonly source: LegSource;
  readonly plan: PacketPlan;
  readonly ptimeMs: number;
  readonly start: RtpStart;
  readonly sockets: MediaSockets;
  readonly remote: { readonly address: string; readonly port: number; readonly rtcpPort: number };
  /** What protects the leg in both directions; undefined: plain RTP. */
  readonly srtp:
    { readonly suite: SrtpSuite; readonly own: LegProtection; readonly peer: LegProtection } | undefined;
  readonly clock: Clock;
  /** Keys to be pressed, and the payload type by which the peer takes them. */
  readonly keys?: { readonly plan: ReadonlyMap<number, KeyPacket>; readonly payloadType: number } | undefined;
}

/** Sends one leg's packets as its plan says, and counts what it did. */
export class LegSender implements PacedStream {
  readonly #options: LegSenderOptions;
  #packetsSent = 0;
  #lost = 0;
  #reordered = 0;
  #duplicated = 0;
  #passed = 0;
  #firstPacketAt: Date | undefined;
  #octetsSent = 0;
  readonly #rtcp: SenderRtcp;

  constructor(options: LegSenderOptions) {
    this.#options = options;
    this.#rtcp = new SenderRtcp(options.start.ssrc);
    options.sockets.onRtcp = (datagram) => {
      const plain = options.srtp === undefined ? datagram : options.srtp.peer.unprotectRtcp(datagram);
      if (plain !== undefined) this.#rtcp.take(plain);
    };
  }

  get intervalMs(): number {
    return this.#options.ptimeMs;
  }

  get ticks(): number {
    return this.#options.plan.packets;
  }

  tick(tickNo: number): void {
    const { plan, sockets, remote, clock, srtp } = this.#options;
    const sends = plan.sends[tickNo]!;
    for (const [index, packetNo] of sends.entries()) {
      const packet = this.#packet(packetNo);
      sockets.send(srtp?.own.protect(packet) ?? packet, remote.address, remote.port);
      this.#octetsSent += packet.length - RTP_HEADER_BYTES;
      this.#firstPacketAt ??= clock.wallTime();
      this.#packetsSent += 1;
      // A copy leaves in the same packet time, but a late packet may leave between the two.
      if (sends.indexOf(packetNo) < index) this.#duplicated += 1;
      else if (packetNo < tickNo) this.#reordered += 1;
    }
    if (plan.lost.has(tickNo)) this.#lost += 1;
    this.#passed += 1;
    this.#report(tickNo);
  }

  #packet(packetNo: number): Buffer {
    const { source, ptimeMs, start, keys } = this.#options;
    const key = keys?.plan.get(packetNo);
    if (keys !== undefined && key !== undefined) {
      return buildKeyPacket({ ...start, ptimeMs, payloadType: keys.payloadType }, packetNo, key);
    }
    return buildRtpPacket({ codec: source.codec, codes: source.codes, ptimeMs, ...start }, packetNo);
  }

  /** Sender reports as they fall due, and a BYE behind the last packet. */
  #report(tickNo: number): void {
    const { ptimeMs, start, clock } = this.#options;
    const sentMs = (tickNo + 1) * ptimeMs;
    if (this.#rtcp.isDue(sentMs - ptimeMs, sentMs)) {
      const rtpTimestamp = start.rtpTimestamp + sentMs * CODES_PER_MS;
      this.#sendRtcp(
        this.#rtcp.report(clock.wallTime(), rtpTimestamp % 2 ** 32, this.#packetsSent, this.#octetsSent),
      );
    }
    if (tickNo === this.ticks - 1) this.#sendRtcp(this.#rtcp.goodbye());
  }

  #sendRtcp(compound: Buffer | undefined): void {
    const { sockets, remote, srtp } = this.#options;
    if (compound === undefined) return;
    sockets.sendRtcp(srtp?.own.protectRtcp(compound) ?? compound, remote.address, remote.rtcpPort);
  }

  report(): SentLeg {
    const { source, start, sockets, srtp } = this.#options;
    return {
      kind: 'sent',
      label: source.label,
      codec: source.codec,
      ssrc: start.ssrc,
      srtp: srtp?.suite,
      packets: this.#passed,
      packetsSent: this.#packetsSent,
      lost: this.#lost,
      reordered: this.#reordered,
      duplicated: this.#duplicated,
      sendFailures: sockets.sendFailures,
      rtcpReceived: sockets.rtcpReceived,
      ...this.#rtcp.figures,
      firstPacketAtMs: this.#firstPacketAt?.getTime(),
    };
  }
}
