import { randomBytes } from 'node:crypto';

import {
  ProtectionProfileAes128CmHmacSha1_80,
  RtpHeader,
  RtpPacket,
  SrtcpSession,
  SrtpSession,
} from 'werift-rtp';

import type { SrtpSuite } from '../rtp/srtp-key.ts';

const MASTER_KEY_BYTES = 16;
const KEY_AND_SALT_BYTES = 30;
const FULL_TAG_BYTES = 10;
const SHORT_TAG_BYTES = 4;

export function newMasterKey(): Buffer {
  return randomBytes(KEY_AND_SALT_BYTES);
}

/**
 * One direction of a leg over SRTP, by `werift-rtp`: another implementation than the one of the receiver, so that
 * a call checks the two against each other. The library knows 80-bit tags only; a 32-bit one is its beginning.
 */
export class LegProtection {
  readonly #suite: SrtpSuite;
  readonly #rtp: SrtpSession;
  readonly #rtcp: SrtcpSession;

  /** @param keyAndSalt 30 octets */
  constructor(suite: SrtpSuite, keyAndSalt: Buffer) {
    const masterKey = keyAndSalt.subarray(0, MASTER_KEY_BYTES);
    const masterSalt = keyAndSalt.subarray(MASTER_KEY_BYTES);
    const config = {
      profile: ProtectionProfileAes128CmHmacSha1_80,
      keys: {
        localMasterKey: masterKey,
        localMasterSalt: masterSalt,
        remoteMasterKey: masterKey,
        remoteMasterSalt: masterSalt,
      },
    } as const;
    this.#suite = suite;
    this.#rtp = new SrtpSession(config);
    this.#rtcp = new SrtcpSession(config);
  }

  /** Sequence numbers may be out of order by up to 100, which is how far the library sees across a wrap. */
  protect(packet: Buffer): Buffer {
    const { payload } = RtpPacket.deSerialize(packet);
    const sealed = this.#rtp.encrypt(payload, RtpHeader.deSerialize(packet));
    return this.#suite === 'AES_CM_128_HMAC_SHA1_80'
      ? sealed
      : sealed.subarray(0, sealed.length - FULL_TAG_BYTES + SHORT_TAG_BYTES);
  }

  /** @returns undefined for what is not protected by this key */
  unprotect(datagram: Buffer): Buffer | undefined {
    try {
      return this.#suite === 'AES_CM_128_HMAC_SHA1_80'
        ? this.#rtp.decrypt(datagram)
        : this.#openShort(datagram);
    } catch {
      return undefined;
    }
  }

  /** In counter mode to encrypt is to decrypt; then the packet is sealed again, for its tag. */
  #openShort(datagram: Buffer): Buffer | undefined {
    const sealed = datagram.subarray(0, datagram.length - SHORT_TAG_BYTES);
    const header = RtpHeader.deSerialize(sealed);
    const opened = this.#rtp.encrypt(RtpPacket.deSerialize(sealed).payload, header);
    const plain = opened.subarray(0, opened.length - FULL_TAG_BYTES);
    return this.protect(plain).equals(datagram) ? plain : undefined;
  }

  protectRtcp(compound: Buffer): Buffer {
    return this.#rtcp.encrypt(compound);
  }

  /** @returns undefined for what is not protected by this key */
  unprotectRtcp(datagram: Buffer): Buffer | undefined {
    try {
      return this.#rtcp.decrypt(datagram);
    } catch {
      return undefined;
    }
  }
}
