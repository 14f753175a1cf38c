import type { Clock } from '../clock.ts';
import type { LegReport } from './call-report.ts';
import type { PacketPlan } from './impairment-plan.ts';
import type { LegSource } from './leg-source.ts';
import type { MediaSockets } from './media-sockets.ts';
import type { PacedStream } from './pacer.ts';
import { buildRtpPacket, type RtpStart } from './rtp-packets.ts';

export interface LegSenderOptions {
  readonly source: LegSource;
  readonly plan: PacketPlan;
  readonly ptimeMs: number;
  readonly start: RtpStart;
  readonly sockets: MediaSockets;
  readonly remote: { readonly address: string; readonly port: number };
  readonly clock: Clock;
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

  constructor(options: LegSenderOptions) {
    this.#options = options;
  }

  get intervalMs(): number {
    return this.#options.ptimeMs;
  }

  get ticks(): number {
    return this.#options.plan.packets;
  }

  tick(tickNo: number): void {
    const { source, plan, ptimeMs, start, sockets, remote, clock } = this.#options;
    const sends = plan.sends[tickNo]!;
    for (const [index, packetNo] of sends.entries()) {
      const packet = buildRtpPacket(
        { codec: source.codec, codes: source.codes, ptimeMs, ...start },
        packetNo,
      );
      sockets.send(packet, remote.address, remote.port);
      this.#firstPacketAt ??= clock.wallTime();
      this.#packetsSent += 1;
      // A copy leaves in the same packet time, but a late packet may leave between the two.
      if (sends.indexOf(packetNo) < index) this.#duplicated += 1;
      else if (packetNo < tickNo) this.#reordered += 1;
    }
    if (plan.lost.has(tickNo)) this.#lost += 1;
    this.#passed += 1;
  }

  report(): LegReport {
    const { source, start, sockets } = this.#options;
    return {
      kind: 'sent',
      label: source.label,
      codec: source.codec,
      ssrc: start.ssrc,
      packets: this.#passed,
      packetsSent: this.#packetsSent,
      lost: this.#lost,
      reordered: this.#reordered,
      duplicated: this.#duplicated,
      sendFailures: sockets.sendFailures,
      rtcpReceived: sockets.rtcpReceived,
      firstPacketAtMs: this.#firstPacketAt?.getTime(),
    };
  }
}
