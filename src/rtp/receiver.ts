import { randomBytes, randomInt } from 'node:crypto';
import type { RemoteInfo } from 'node:dgram';

import type { Clock } from '../clock.ts';
import { toError } from '../errors.ts';
import type { Pacer } from '../pacer.ts';
import { within } from '../within.ts';
import type { SignalledSource } from './latch-rule.ts';
import { LegMedia } from './leg-media.ts';
import type { LegMediaCounters } from './leg-media-counters.ts';
import { LegPlayer, type SendTerms } from './leg-player.ts';
import type { LegTicker } from './leg-ticker.ts';
import type { MediaSink } from './media-sink.ts';
import { isRtcp } from './packet.ts';
import type { NegotiatedPayloads } from './payload-map.ts';
import type { PortPool } from './port-pool.ts';
import { RtcpRoute, type SignalledRtcp } from './rtcp-route.ts';
import { bindPair, type SocketPair } from './socket-pair.ts';
import type { SrtpTerms } from './srtp-key.ts';
import type { TelephoneEvent } from './telephone-events.ts';

/** How long the last report may take to leave. */
const GOODBYE_WITHIN_MS = 500;
/** A receiver that misses the first packets of SRTP cannot miss the first wrap with them. */
const SEQUENCE_START_MAX = 2 ** 15;

export interface LegReceiverOptions extends NegotiatedPayloads {
  readonly ports: PortPool;
  readonly ticker: LegTicker;
  /** For legs that speak. */
  readonly pacer: Pacer;
  readonly clock: Clock;
  /** Gets the leg's audio; see `LegAudio`. */
  readonly sink: MediaSink;
  /** Wall time of the leg's sample 0; called once, before the first samples, and never if no packet comes. */
  readonly onStarted?: (at: Date) => void;
  /** Where the peer said that it sends from; see `LatchRule`. */
  readonly signalled?: SignalledSource | undefined;
  /** A key was pressed; once each. */
  readonly onTelephoneEvent?: (event: TelephoneEvent) => void;
  /** Expected media does not come, since that place on the leg's clock; and it comes again. See `MediaWatch`. */
  readonly onSilent?: (sinceSample: number) => void;
  readonly onBack?: (silentMs: number) => void;
  /** Default: 10,000 ms. */
  readonly silentAfterMs?: number | undefined;
  /** Where the peer wants our reports. */
  readonly rtcp?: SignalledRtcp | undefined;
  /** What protects the leg; undefined: plain RTP. */
  readonly security?: SrtpTerms | undefined;
  /** The peer said by RTCP that it leaves. Once for each source; nothing ends by it. */
  readonly onGoodbye?: () => void;
  /** The leg's own code threw, such as its sink: the leg's media ended, other legs go on. Once. */
  readonly onFault?: (error: Error) => void;
}

/** What came to the leg's ports and left them, and how often its sockets reported an error. */
export interface LegReceiverCounters extends LegMediaCounters {
  readonly packetsSent: number;
  /** See `LegPlayer.packetsLeftOut`. */
  readonly packetsLeftOut: number;
  readonly socketErrors: number;
}

/** One leg's two sockets and what they receive; they also send, where the leg speaks. */
export interface LegReceiver extends AsyncDisposable {
  readonly rtpPort: number;
  readonly rtcpPort: number;
  /** A snapshot, JSON-ready; also after `close`. */
  counters(): LegReceiverCounters;
  /** The peer announced another address: the next source that may be by the rule replaces the present one. */
  relatch(signalled?: SignalledSource): void;
  /** Where a new offer wants our reports, and what protects the leg from now on. */
  secure(security: SrtpTerms | undefined, rtcp: SignalledRtcp | undefined): void;
  /**
   * How much longer the leg's clock took to a place than it shows, by our clock: the sender's drift, as its
   * reports tell it. At most 500 ppm of the time since the leg began; 0 without reports.
   */
  correctionMs(legMs: number): number;
  /** The payload types of a new offer; those before keep their meaning where it does not change it. */
  renegotiate(payloads: NegotiatedPayloads): void;
  /** Whether the peer announced that it sends; while it did not, silence is not told. */
  expect(expected: 'media' | 'nothing'): void;
  /** Begins the stream that the leg sends, which ends with `finish`. Once. */
  speak(terms: SendTerms): LegPlayer;
  /** Whether packets that came are not handed out yet. */
  readonly holdsPackets: boolean;
  /** Hands out what is held, whatever it waits for; a key that is being pressed will not be told. */
  settle(): void;
  /** Hands out what is held and ends the sink; what comes later is ignored. May be called twice. */
  finish(): void;
  /** Closes the sockets and lets the ports rest. Without `finish` before, what is held is lost. May be called twice. */
  close(): Promise<void>;
}

/**
 * Opens one leg's sockets. When it resolves they are bound and every packet is used, whether the call's answer is
 * on its way or not.
 * @throws {CallscribeError} `RTP_PORTS_EXHAUSTED`; faults of the system as they are
 */
export async function openLegReceiver(options: LegReceiverOptions): Promise<LegReceiver> {
  const receiver = new UdpLegReceiver(options);
  await receiver.open();
  return receiver;
}

class UdpLegReceiver implements LegReceiver {
  readonly #options: LegReceiverOptions;
  /** Apart from the options, whose shape differs from leg to leg: it is read for each packet. */
  readonly #clock: Clock;
  readonly #rtcpRoute: RtcpRoute;
  #media!: LegMedia;
  #pair: SocketPair | undefined;
  /** `opening`: nobody was told the port, so whatever comes is meant for somebody else. */
  #state: 'opening' | 'receiving' | 'ended' = 'opening';
  #socketErrors = 0;
  #player: LegPlayer | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: LegReceiverOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#rtcpRoute = new RtcpRoute(options.rtcp);
  }

  async open(): Promise<void> {
    this.#pair = await bindPair(this.#options.ports, {
      onRtp: (datagram, source) => {
        this.#takeRtp(datagram, source);
      },
      onRtcp: (datagram, source) => {
        this.#takeRtcp(datagram, source, 'rtcp');
      },
      onSocketError: () => {
        this.#socketErrors++;
      },
    });
    const { clock, onStarted, onGoodbye, ports, ticker } = this.#options;
    this.#media = new LegMedia({
      ...this.#options,
      rtcp: {
        ssrc: randomInt(2 ** 32),
        cname: randomBytes(12).toString('base64'),
        random: Math.random,
        sent: () => this.#player?.figures(),
        ...(onGoodbye === undefined ? {} : { onGoodbye }),
      },
      lastSource: ports.lastSource(this.rtpPort),
      started: (atMs) => {
        onStarted?.(new Date(clock.wallTime().getTime() - (clock.monotonicMs() - atMs)));
      },
    });
    this.#state = 'receiving';
    ticker.add(this);
  }

  get rtpPort(): number {
    return this.#pair!.rtpPort;
  }

  get rtcpPort(): number {
    return this.#pair!.rtpPort + 1;
  }

  counters(): LegReceiverCounters {
    const { packetsSent = 0, packetsLeftOut = 0 } = this.#player ?? {};
    return { ...this.#media.counters(), packetsSent, packetsLeftOut, socketErrors: this.#socketErrors };
  }

  speak(terms: SendTerms): LegPlayer {
    const { pacer } = this.#options;
    const media = this.#media;
    this.#player = new LegPlayer({
      terms,
      start: { sequenceNumber: randomInt(SEQUENCE_START_MAX), timestamp: randomInt(2 ** 32) },
      pacer,
      clock: this.#clock,
      ssrc: () => media.ownSsrc,
      source: () => media.lastSource,
      protect: (packet) => media.protectRtp(packet),
      send: (packet, target) => void this.#pair!.send(packet, target),
      onFault: (error) => {
        this.#fail(error);
      },
    });
    if (this.#state !== 'receiving') this.#player.end();
    return this.#player;
  }

  relatch(signalled?: SignalledSource): void {
    this.#media.relatch(signalled);
  }

  secure(security: SrtpTerms | undefined, rtcp: SignalledRtcp | undefined): void {
    this.#media.secure(security);
    this.#rtcpRoute.redirect(rtcp);
  }

  correctionMs(legMs: number): number {
    return this.#media.correctionMs(legMs);
  }

  renegotiate(payloads: NegotiatedPayloads): void {
    this.#media.renegotiate(payloads);
  }

  expect(expected: 'media' | 'nothing'): void {
    this.#media.expect(expected, this.#clock.monotonicMs());
  }

  get holdsPackets(): boolean {
    return this.#state === 'receiving' && this.#media.holdsPackets;
  }

  settle(): void {
    if (this.#state !== 'receiving') return;
    try {
      this.#media.settle(this.#clock.monotonicMs());
    } catch (error) {
      this.#fail(error);
    }
  }

  /** For the ticker. */
  tick(nowMs: number): void {
    try {
      this.#media.tick(nowMs);
      const report = this.#rtcpRoute.target === undefined ? undefined : this.#media.dueReport(nowMs);
      if (report !== undefined) void this.#sendReport(report);
    } catch (error) {
      this.#fail(error);
    }
  }

  finish(): void {
    if (this.#state === 'ended') return;
    this.#end();
    try {
      this.#media.finish();
    } catch (error) {
      this.#fail(error);
    }
  }

  close(): Promise<void> {
    this.#end();
    const { lastSource } = this.#media;
    if (lastSource !== undefined) this.#options.ports.remember(this.rtpPort, lastSource);
    this.#closed ??= this.#sayGoodbye().then(() => this.#pair!.close());
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #takeRtp(datagram: Buffer, source: RemoteInfo): void {
    if (this.#state !== 'receiving') return;
    if (isRtcp(datagram)) {
      this.#takeRtcp(datagram, source, 'rtp');
      return;
    }
    try {
      this.#media.takeRtp(datagram, source.address, source.port, this.#clock.monotonicMs());
    } catch (error) {
      this.#fail(error);
    }
  }

  #takeRtcp(datagram: Buffer, { address, port }: RemoteInfo, socket: 'rtp' | 'rtcp'): void {
    if (this.#state !== 'receiving') return;
    try {
      const isOfSource = this.#media.takeRtcp(datagram, address, this.#clock.monotonicMs());
      if (isOfSource) this.#rtcpRoute.heard(address, port, socket);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #sendReport(report: Buffer | undefined): Promise<void> {
    const { target } = this.#rtcpRoute;
    if (report !== undefined && target !== undefined) await this.#pair!.send(report, target);
  }

  /** The last report. A send that the system does not answer must not keep the ports. */
  async #sayGoodbye(): Promise<void> {
    const goodbye = this.#media.goodbye(this.#clock.monotonicMs());
    await within(GOODBYE_WITHIN_MS, this.#sendReport(goodbye));
  }

  #end(): void {
    this.#state = 'ended';
    this.#player?.end();
    this.#options.ticker.remove(this);
  }

  #fail(error: unknown): void {
    this.#end();
    this.#options.onFault?.(toError(error));
  }
}
