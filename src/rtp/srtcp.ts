import { ProtectionProfileAes128CmHmacSha1_80, SrtcpSession } from 'werift-rtp';

import { ReplayWindow } from './replay-window.ts';
import { MASTER_KEY_BYTES, type SrtpKey } from './srtp-key.ts';
import type { SrtpFault } from './srtp-receiver.ts';

/** Header and SSRC, which stay readable. */
const CLEAR_BYTES = 8;
const INDEX_BYTES = 4;
/** Of both suites: RFC 4568 §6.2.2 shortens the tag of RTP only. */
const TAG_BYTES = 10;
const SOURCES_MAX = 16;

/**
 * Takes the protection off the RTCP that a peer sends (RFC 3711 §3.4). `werift-rtp` does the cryptography; it knows
 * no MKI and no replay, and throws at whatever is wrong, so these three are seen to here. Never throws.
 *
 *     | header, SSRC | the rest, encrypted | E, index | MKI, if agreed | tag |
 */
export class SrtcpReceiver {
  readonly #keys: readonly { readonly mki: Buffer | undefined; readonly session: SrtcpSession }[];
  readonly #mkiBytes: number;
  readonly #windows = new Map<number, ReplayWindow>();

  constructor(keys: readonly SrtpKey[]) {
    this.#mkiBytes = keys[0]?.mki?.length ?? 0;
    this.#keys = keys.map((key) => ({ mki: key.mki, session: openSession(key) }));
  }

  unprotect(datagram: Buffer): Buffer | SrtpFault {
    const tagBegin = datagram.length - TAG_BYTES;
    const mkiBegin = tagBegin - this.#mkiBytes;
    if (mkiBegin < CLEAR_BYTES + INDEX_BYTES) return 'malformed';
    const word = datagram.readUInt32BE(mkiBegin - INDEX_BYTES);
    // A cleared E bit says that nothing is encrypted; nobody agreed to that.
    if (word < 0x8000_0000) return 'unauthenticated';
    const index = word - 0x8000_0000;
    const ssrc = datagram.readUInt32BE(4);
    const window = this.#windows.get(ssrc);
    if (window?.isFresh(index) === false) return 'replayed';
    const session = this.#sessionOf(datagram, mkiBegin, tagBegin);
    const plain = session === undefined ? undefined : decrypt(session, datagram, mkiBegin, tagBegin);
    if (plain === undefined) return 'unauthenticated';
    this.#accept(ssrc, index, window);
    return plain;
  }

  #accept(ssrc: number, index: number, known: ReplayWindow | undefined): void {
    let window = known;
    if (window === undefined) {
      if (this.#windows.size === SOURCES_MAX) this.#windows.delete(this.#windows.keys().next().value!);
      window = new ReplayWindow(index - 1);
      this.#windows.set(ssrc, window);
    }
    window.accept(index);
  }

  #sessionOf(datagram: Buffer, mkiBegin: number, mkiEnd: number): SrtcpSession | undefined {
    if (this.#mkiBytes === 0) return this.#keys[0]?.session;
    return this.#keys.find(({ mki }) => mki?.equals(datagram.subarray(mkiBegin, mkiEnd)))?.session;
  }
}

/** Protects the RTCP that we send; the index grows with every packet, from 1. */
export class SrtcpSender {
  readonly #session: SrtcpSession;

  constructor(key: SrtpKey) {
    this.#session = openSession(key);
  }

  protect(compound: Buffer): Buffer {
    return this.#session.encrypt(compound);
  }
}

function openSession({ keyAndSalt }: SrtpKey): SrtcpSession {
  const bytes = keyAndSalt.reveal();
  const masterKey = bytes.subarray(0, MASTER_KEY_BYTES);
  const masterSalt = bytes.subarray(MASTER_KEY_BYTES);
  return new SrtcpSession({
    profile: ProtectionProfileAes128CmHmacSha1_80,
    keys: {
      localMasterKey: masterKey,
      localMasterSalt: masterSalt,
      remoteMasterKey: masterKey,
      remoteMasterSalt: masterSalt,
    },
  });
}

function decrypt(
  session: SrtcpSession,
  datagram: Buffer,
  mkiBegin: number,
  tagBegin: number,
): Buffer | undefined {
  const withoutMki =
    mkiBegin === tagBegin
      ? datagram
      : Buffer.concat([datagram.subarray(0, mkiBegin), datagram.subarray(tagBegin)]);
  try {
    return session.decrypt(withoutMki);
  } catch {
    // The library throws at a wrong tag and at a header that it cannot read: the caller counts both.
    return undefined;
  }
}
