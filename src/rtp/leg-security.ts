import { SrtcpReceiver, SrtcpSender } from './srtcp.ts';
import type { SrtpKey, SrtpTerms } from './srtp-key.ts';
import { type SrtpFault, SrtpReceiver } from './srtp-receiver.ts';
import { SrtpSender } from './srtp-sender.ts';

/** One leg's protection in both directions, for RTP and RTCP; lives as long as the leg, keys may change. */
export class LegSecurity {
  #terms: SrtpTerms;
  readonly #rtp: SrtpReceiver;
  #rtcp: SrtcpReceiver;
  #oldRtcp: SrtcpReceiver | undefined;
  #rtcpSender: SrtcpSender;
  /** From the first packet on: most legs only listen. */
  #rtpSender: SrtpSender | undefined;

  constructor(terms: SrtpTerms) {
    this.#terms = terms;
    this.#rtp = new SrtpReceiver(terms.suite, terms.remoteKeys);
    this.#rtcp = new SrtcpReceiver(terms.remoteKeys);
    this.#rtcpSender = new SrtcpSender(terms.localKey);
  }

  /** A new offer was answered. Keys that were repeated go on as if nothing had happened. */
  renew(terms: SrtpTerms): void {
    const before = this.#terms;
    this.#terms = terms;
    if (!isSameKey(before.localKey, terms.localKey)) {
      this.#rtcpSender = new SrtcpSender(terms.localKey);
      this.#rtpSender?.rekey(terms.suite, terms.localKey);
    }
    if (before.suite === terms.suite && areSameKeys(before.remoteKeys, terms.remoteKeys)) return;
    this.#rtp.rekey(terms.suite, terms.remoteKeys);
    this.#oldRtcp = this.#rtcp;
    this.#rtcp = new SrtcpReceiver(terms.remoteKeys);
  }

  /** See `SrtpReceiver.unprotect`. */
  unprotectRtp(datagram: Buffer): number | SrtpFault {
    return this.#rtp.unprotect(datagram);
  }

  /** See `SrtcpReceiver.unprotect`; the keys before hold until one report came under the new ones. */
  unprotectRtcp(datagram: Buffer): Buffer | SrtpFault {
    const found = this.#rtcp.unprotect(datagram);
    if (this.#oldRtcp === undefined) return found;
    if (found === 'unauthenticated') return this.#oldRtcp.unprotect(datagram);
    if (typeof found !== 'string') this.#oldRtcp = undefined;
    return found;
  }

  /** See `SrtpSender.protect`. */
  protectRtp(packet: Buffer): Buffer {
    this.#rtpSender ??= new SrtpSender(this.#terms.suite, this.#terms.localKey);
    return this.#rtpSender.protect(packet);
  }

  protectRtcp(compound: Buffer): Buffer {
    return this.#rtcpSender.protect(compound);
  }
}

function areSameKeys(a: readonly SrtpKey[], b: readonly SrtpKey[]): boolean {
  return a.length === b.length && a.every((key, i) => isSameKey(key, b[i]!));
}

function isSameKey(a: SrtpKey, b: SrtpKey): boolean {
  const sameMki = a.mki === undefined || b.mki === undefined ? a.mki === b.mki : a.mki.equals(b.mki);
  return sameMki && a.keyAndSalt.reveal().equals(b.keyAndSalt.reveal());
}
