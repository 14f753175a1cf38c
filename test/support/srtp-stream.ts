import { createHmac } from 'node:crypto';

import {
  ProtectionProfileAes128CmHmacSha1_80,
  RtpHeader,
  RtpPacket,
  SrtcpSession,
  SrtpSession,
} from 'werift-rtp';

import type { SrtpKey, SrtpSuite } from '../../src/rtp/srtp-key.ts';
import { Secret } from '../../src/secret.ts';

export function srtpKey(keyAndSalt: Buffer, mki?: Buffer): SrtpKey {
  return { keyAndSalt: new Secret(keyAndSalt), mki };
}

/** Key number `n` of a test. */
export function testKey(n: number, mki?: Buffer): SrtpKey {
  return srtpKey(Buffer.from(Array.from({ length: 30 }, (_, i) => (i * 7 + n * 31) & 0xff)), mki);
}

/** Protects as a peer does, by another implementation than the one under test. */
export class SrtpPeer {
  readonly #rtp: SrtpSession;
  readonly #rtcp: SrtcpSession;
  readonly #suite: SrtpSuite;
  readonly #mki: Buffer;

  constructor(suite: SrtpSuite, { keyAndSalt, mki }: SrtpKey) {
    const bytes = keyAndSalt.reveal();
    const [masterKey, masterSalt] = [bytes.subarray(0, 16), bytes.subarray(16)];
    const config = {
      profile: ProtectionProfileAes128CmHmacSha1_80,
      keys: {
        localMasterKey: masterKey,
        localMasterSalt: masterSalt,
        remoteMasterKey: masterKey,
        remoteMasterSalt: masterSalt,
      },
    } as const;
    this.#rtp = new SrtpSession(config);
    this.#rtcp = new SrtcpSession(config);
    this.#suite = suite;
    this.#mki = mki ?? Buffer.alloc(0);
  }

  /** @param plain an RTP packet; sequence numbers in order, since the library guesses the rollover from them */
  protect(plain: Buffer): Buffer {
    const { payload } = RtpPacket.deSerialize(plain);
    const sealed = this.#rtp.encrypt(payload, RtpHeader.deSerialize(plain));
    const tagBegin = sealed.length - 10;
    const tagBytes = this.#suite === 'AES_CM_128_HMAC_SHA1_32' ? 4 : 10;
    return Buffer.concat([
      sealed.subarray(0, tagBegin),
      this.#mki,
      sealed.subarray(tagBegin, tagBegin + tagBytes),
    ]);
  }

  /** @param sealed with a tag of 80 bits and no MKI, which is all that the library reads */
  unprotect(sealed: Buffer): Buffer {
    return this.#rtp.decrypt(sealed);
  }

  protectRtcp(plain: Buffer): Buffer {
    const sealed = this.#rtcp.encrypt(plain);
    const tagBegin = sealed.length - 10;
    return Buffer.concat([sealed.subarray(0, tagBegin), this.#mki, sealed.subarray(tagBegin)]);
  }

  unprotectRtcp(sealed: Buffer): Buffer {
    return this.#rtcp.decrypt(sealed);
  }

  /** An RTCP packet with the right tag that says by its E bit that it is not encrypted (RFC 3711 §3.4). */
  protectClearRtcp(plain: Buffer, index: number): Buffer {
    const word = Buffer.alloc(4);
    word.writeUInt32BE(index);
    const authenticated = Buffer.concat([plain, word]);
    const tag = createHmac('sha1', this.#rtcp.localContext.srtcpSessionAuthTag)
      .update(authenticated)
      .digest();
    return Buffer.concat([authenticated, tag.subarray(0, 10)]);
  }
}
