import { isIPv6 } from 'node:net';

import type { Clock } from '../clock.ts';
import { CallscribeError } from '../errors.ts';
import type { LastSource } from './late-sender.ts';

/** A late sender of the last call must not speak into the next one: nobody has the ports meanwhile. */
const REST_MS = 10_000;

export interface PortPoolOptions {
  /** The local address that media sockets are bound to, such as `0.0.0.0` or `::`. */
  readonly address: string;
  /** First and last port, both included. Pairs begin at even ports; what is left over at the ends is unused. */
  readonly firstPort: number;
  readonly lastPort: number;
  readonly clock: Clock;
  /** How long a pair rests after use. Default: 10,000 ms. */
  readonly restMs?: number;
  /**
   * How long a pair is listened to before its first use, while it is younger than a rest: the process before this one
   * may have been killed with calls up, whose senders go on. Three packets of 20 ms tell. Default: 0, not at all.
   */
  readonly listenFirstMs?: number;
  /** Where in the range the first pair is taken, from 0 to 1; at random, few meet the senders of the process before. */
  readonly startAt?: number;
}

/**
 * The media ports of a process: pairs of an even RTP port and the odd RTCP port above it (RFC 3550 §11). The pair
 * that was released longest ago is taken first, and none before it has rested. Numbers only; `bindPair` binds.
 */
export class PortPool {
  readonly address: string;
  readonly socketType: 'udp4' | 'udp6';
  readonly #clock: Clock;
  readonly #restMs: number;
  readonly #listenFirstMs: number;
  readonly #knownFromMs: number;
  /** A queue: taken in front, put back behind; so those that may be taken first stand first. */
  readonly #free: { readonly rtpPort: number; readonly fromMs: number }[] = [];
  readonly #taken = new Set<number>();
  readonly #pairs: number;
  readonly #lastSources = new Map<number, LastSource>();

  /** @throws {RangeError} when the range holds no pair */
  constructor(options: PortPoolOptions) {
    this.address = options.address;
    this.socketType = isIPv6(options.address) ? 'udp6' : 'udp4';
    this.#clock = options.clock;
    this.#restMs = options.restMs ?? REST_MS;
    this.#listenFirstMs = options.listenFirstMs ?? 0;
    this.#knownFromMs = options.clock.monotonicMs() + this.#restMs;
    const first = options.firstPort + (options.firstPort % 2);
    for (let rtpPort = first; rtpPort < options.lastPort; rtpPort += 2) {
      this.#free.push({ rtpPort, fromMs: -Infinity });
    }
    this.#pairs = this.#free.length;
    this.#free.push(...this.#free.splice(0, Math.floor((options.startAt ?? 0) * this.#pairs)));
    if (this.#pairs === 0) {
      throw new RangeError(`RTP ports ${options.firstPort}-${options.lastPort}: no even port with its next`);
    }
  }

  /** How long to listen whether somebody speaks to a pair that was just taken; 0 where its history is known. */
  get listenFirstMs(): number {
    return this.#clock.monotonicMs() < this.#knownFromMs ? this.#listenFirstMs : 0;
  }

  /** All pairs of the range, and those in use now. */
  get usage(): { readonly pairs: number; readonly taken: number } {
    return { pairs: this.#pairs, taken: this.#taken.size };
  }

  /**
   * The next rested pair's RTP port; the RTCP port is the next above.
   * @throws {CallscribeError} `RTP_PORTS_EXHAUSTED`, retryable, when all are in use or rest
   */
  take(): number {
    const next = this.#free[0];
    if (next === undefined || next.fromMs > this.#clock.monotonicMs()) {
      const { pairs, taken } = this.usage;
      throw new CallscribeError(
        'RTP_PORTS_EXHAUSTED',
        `no RTP port pair is free: ${taken} of ${pairs} in use, ${pairs - taken} resting; widen RTP_PORTS`,
        { retryable: true },
      );
    }
    this.#free.shift();
    this.#taken.add(next.rtpPort);
    return next.rtpPort;
  }

  /** Gives a pair back, to rest; also one that another process turned out to hold. Twice is the same as once. */
  release(rtpPort: number): void {
    if (!this.#taken.delete(rtpPort)) return;
    this.#free.push({ rtpPort, fromMs: this.#clock.monotonicMs() + this.#restMs });
  }

  /** Who spoke to a pair's call before; whoever takes the pair must not hear it. */
  lastSource(rtpPort: number): LastSource | undefined {
    return this.#lastSources.get(rtpPort);
  }

  /** Keeps who spoke to a pair, one source a pair. */
  remember(rtpPort: number, source: LastSource): void {
    this.#lastSources.set(rtpPort, source);
  }
}
