import ipaddr from 'ipaddr.js';

import type { SignalledSource } from './latch-rule.ts';

/** Where the peer wants reports, by its session description (RFC 3605, RFC 5761). */
export interface SignalledRtcp extends SignalledSource {
  /** `rtp`: both share the RTP ports. */
  readonly socket: 'rtp' | 'rtcp';
}

export interface RtcpTarget {
  readonly address: string;
  readonly port: number;
  /** The socket of ours that it goes out on. */
  readonly socket: 'rtp' | 'rtcp';
}

/**
 * Where a leg's reports go: to the signalled address, until RTCP came from the leg's source; then back to where
 * that came from, since the signalled one may be private (RFC 4961).
 */
export class RtcpRoute {
  #signalled: RtcpTarget | undefined;
  #heard: RtcpTarget | undefined;

  constructor(signalled: SignalledRtcp | undefined) {
    this.#signalled = usableTarget(signalled);
  }

  get target(): RtcpTarget | undefined {
    return this.#heard ?? this.#signalled;
  }

  /** RTCP came from the leg's source, by one of our sockets. */
  heard(address: string, port: number, socket: 'rtp' | 'rtcp'): void {
    const known = this.#heard;
    if (known?.port === port && known.address === address && known.socket === socket) return;
    this.#heard = { address, port, socket };
  }

  /** A new description. One that says the same as before changes nothing. */
  redirect(signalled: SignalledRtcp | undefined): void {
    const before = this.#signalled;
    this.#signalled = usableTarget(signalled);
    const isSame =
      before?.address === this.#signalled?.address &&
      before?.port === this.#signalled?.port &&
      before?.socket === this.#signalled?.socket;
    if (!isSame) this.#heard = undefined;
  }
}

/** A name would have to be looked up, and port 0 or above 65,535 is none. */
export function usableTarget(signalled: SignalledRtcp | undefined): RtcpTarget | undefined {
  if (signalled?.address === undefined || !ipaddr.isValid(signalled.address)) return undefined;
  if (signalled.port < 1 || signalled.port > 65_535) return undefined;
  return { address: signalled.address, port: signalled.port, socket: signalled.socket };
}
