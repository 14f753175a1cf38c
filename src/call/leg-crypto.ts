import { randomBytes } from 'node:crypto';

import type { SignalledRtcp } from '../rtp/rtcp-route.ts';
import type { SrtpTerms } from '../rtp/srtp-key.ts';
import { Secret } from '../secret.ts';
import type { OfferedLine } from '../sip/sdp.ts';
import { chooseCrypto, isSecureProtocol, type OwnCrypto } from '../sip/sdp-crypto.ts';

/** 128 bits of master key and 112 of salt (RFC 3711 §8.2). */
const KEY_AND_SALT_BYTES = 30;

/** The keys of one leg over its offers. Ours stays the same while the suite does, so that an answer repeats itself. */
export class LegCrypto {
  #own: OwnCrypto | undefined;

  /** Our a=crypto line for the offer of last; undefined for a plain line. */
  get own(): OwnCrypto | undefined {
    return this.#own;
  }

  /** What an offer agrees on; undefined for a plain line. */
  agree({ protocol, crypto }: OfferedLine): SrtpTerms | undefined {
    const chosen = isSecureProtocol(protocol) ? chooseCrypto(crypto) : undefined;
    if (chosen === undefined) {
      this.#own = undefined;
      return undefined;
    }
    const { tag, suite, keys } = chosen;
    const key =
      this.#own?.suite === suite
        ? this.#own.key
        : { keyAndSalt: new Secret(randomBytes(KEY_AND_SALT_BYTES)), mki: undefined };
    this.#own = { tag, suite, key };
    return { suite, remoteKeys: keys, localKey: key };
  }
}

/** Where the peer of a line wants our reports (RFC 3605, RFC 5761); undefined where it told no address. */
export function signalledRtcp({ address, port, rtcp, rtcpMux }: OfferedLine): SignalledRtcp | undefined {
  if (port === 0) return undefined;
  if (rtcpMux) return { address, port, socket: 'rtp' };
  return { address: rtcp?.address ?? address, port: rtcp?.port ?? port + 1, socket: 'rtcp' };
}
