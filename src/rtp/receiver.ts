import type { RemoteInfo } from 'node:dgram';

import type { Clock } from '../clock.ts';
import { toError } from '../errors.ts';
import { LegMedia, type LegMediaCounters } from './leg-media.ts';
import type { LegTicker } from './leg-ticker.ts';
import type { MediaSink } from './media-sink.ts';
import type { NegotiatedPayloads } from './payload-map.ts';
import type { PortPool } from './port-pool.ts';
import { bindPair, type SocketPair } from './socket-pair.ts';

export interface LegReceiverOptions extends NegotiatedPayloads {
  readonly ports: PortPool;
  readonly ticker: LegTicker;
  readonly clock: Clock;
  /** Gets the leg's audio; see `LegAudio`. */
  readonly sink: MediaSink;
  /** Wall time of the leg's sample 0; called once, before the first samples, and never if no packet comes. */
  readonly onStarted?: (at: Date) => void;
  /** The leg's own code threw, such as its sink: the leg's media ended, other legs go on. Once. */
  readonly onFault?: (error: Error) => void;
}

/** What came to the leg's ports, and how often its sockets reported an error. */
export interface LegReceiverCounters extends LegMediaCounters {
  readonly socketErrors: number;
}

/** One leg's two sockets and what they receive. */
export interface LegReceiver extends AsyncDisposable {
  readonly rtpPort: number;
  readonly rtcpPort: number;
  /** A snapshot, JSON-ready; also after `close`. */
  counters(): LegReceiverCounters;
  /** The peer announced another address: the next source that sends valid packets replaces the present one. */
  relatch(): void;
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
  readonly #media: LegMedia;
  #pair: SocketPair | undefined;
  #state: 'receiving' | 'ended' = 'receiving';
  #socketErrors = 0;
  #closed: Promise<void> | undefined;

  constructor(options: LegReceiverOptions) {
    this.#options = options;
    const { clock, onStarted } = options;
    this.#media = new LegMedia({
      ...options,
      started: (atMs) => {
        onStarted?.(new Date(clock.wallTime().getTime() - (clock.monotonicMs() - atMs)));
      },
    });
  }

  async open(): Promise<void> {
    this.#pair = await bindPair(this.#options.ports, {
      onRtp: (datagram, source) => {
        this.#takeRtp(datagram, source);
      },
      onRtcp: (datagram) => {
        this.#media.takeRtcp(datagram);
      },
      onSocketError: () => {
        this.#socketErrors++;
      },
    });
    this.#options.ticker.add(this);
  }

  get rtpPort(): number {
    return this.#pair!.rtpPort;
  }

  get rtcpPort(): number {
    return this.#pair!.rtpPort + 1;
  }

  counters(): LegReceiverCounters {
    return { ...this.#media.counters(), socketErrors: this.#socketErrors };
  }

  relatch(): void {
    this.#media.relatch();
  }

  /** For the ticker. */
  tick(nowMs: number): void {
    try {
      this.#media.tick(nowMs);
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
    this.#closed ??= this.#pair!.close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #takeRtp(datagram: Buffer, source: RemoteInfo): void {
    if (this.#state === 'ended') return;
    try {
      this.#media.takeRtp(datagram, source.address, source.port, this.#options.clock.monotonicMs());
    } catch (error) {
      this.#fail(error);
    }
  }

  #end(): void {
    this.#state = 'ended';
    this.#options.ticker.remove(this);
  }

  #fail(error: unknown): void {
    this.#end();
    this.#options.onFault?.(toError(error));
  }
}
