import { type Cipher, createCipheriv, hash } from 'node:crypto';

import { KEY_AND_SALT_BYTES, MASTER_KEY_BYTES } from './srtp-key.ts';

const BLOCK_BYTES = 16;
const SHA1_BLOCK_BYTES = 64;
const SHA1_DIGEST_BYTES = 20;
const ROC_BYTES = 4;
const SALT_BYTES = KEY_AND_SALT_BYTES - MASTER_KEY_BYTES;

/** A datagram longer than this is no telephone's packet; it would not fit the work area. */
export const PROTECTED_MAX_BYTES = 8_192;

/** The labels of RFC 3711 §4.3.1 for RTP. */
const LABEL = { encryption: 0, authentication: 1, salt: 2 } as const;

// Work areas, shared by all legs: every use is over before the call returns.
const innerMessage = Buffer.alloc(SHA1_BLOCK_BYTES + PROTECTED_MAX_BYTES + ROC_BYTES);
const outerMessage = Buffer.alloc(SHA1_BLOCK_BYTES + SHA1_DIGEST_BYTES);
const counterBlocks = Buffer.alloc(Math.ceil(PROTECTED_MAX_BYTES / BLOCK_BYTES) * BLOCK_BYTES);
const counterView = new DataView(counterBlocks.buffer, counterBlocks.byteOffset, counterBlocks.length);

/** What RFC 3711 §4.3 derives from a master key and its salt for RTP. */
export interface SrtpSessionKeys {
  readonly encryption: Buffer;
  readonly authentication: Buffer;
  readonly salt: Buffer;
}

/**
 * The two transforms of RFC 3711: AES in counter mode (§4.1.1) and HMAC-SHA1 (§4.2.1).
 *
 * Built from the one-shot hash and from one AES context that lives as long as the key. Measured on Node 20 for a
 * packet of 20 ms: 1.7 µs, against 6.0 µs with a `createHmac` and a `createDecipheriv` for every packet.
 */
export class SrtpCipher {
  readonly #innerPad: Buffer;
  readonly #outerPad: Buffer;
  /** ECB of counter blocks is the key stream; it carries nothing over from packet to packet. */
  readonly #blockCipher: Cipher;
  readonly #salt: DataView;

  constructor({ encryption, authentication, salt }: SrtpSessionKeys) {
    this.#innerPad = padOf(authentication, 0x36);
    this.#outerPad = padOf(authentication, 0x5c);
    this.#salt = new DataView(salt.buffer, salt.byteOffset, salt.length);
    this.#blockCipher = createCipheriv('aes-128-ecb', encryption, null);
    this.#blockCipher.setAutoPadding(false);
  }

  /**
   * Whether the tag that begins at `tagBegin` is that of `datagram[0, end)` under a rollover counter. The time
   * that this takes does not tell how much of the tag was right.
   */
  authenticates(
    datagram: Buffer,
    end: number,
    tagBegin: number,
    tagBytes: number,
    rolloverCounter: number,
  ): boolean {
    const digest = this.#digest(datagram, end, rolloverCounter);
    let difference = 0;
    for (let i = 0; i < tagBytes; i++) difference |= digest.charCodeAt(i) ^ datagram[tagBegin + i]!;
    return difference === 0;
  }

  /** Writes the tag of `datagram[0, end)` from `tagBegin` to the datagram's end. */
  sign(datagram: Buffer, end: number, tagBegin: number, rolloverCounter: number): void {
    datagram.write(this.#digest(datagram, end, rolloverCounter), tagBegin, 'latin1');
  }

  /** Encrypts or decrypts `datagram[begin, end)` in place; counter mode makes no difference between the two. */
  transform(datagram: Buffer, begin: number, end: number, packetIndex: number): void {
    if (end <= begin) return;
    const keyStream = this.#keyStream(readSsrc(datagram), packetIndex, end - begin);
    for (let i = begin; i < end; i++) datagram[i]! ^= keyStream[i - begin]!;
  }

  /** HMAC-SHA1 of `datagram[0, end)` and the rollover counter behind it (§4.2), a character an octet. */
  #digest(datagram: Buffer, end: number, rolloverCounter: number): string {
    this.#innerPad.copy(innerMessage);
    datagram.copy(innerMessage, SHA1_BLOCK_BYTES, 0, end);
    innerMessage.writeUInt32BE(rolloverCounter, SHA1_BLOCK_BYTES + end);
    const inner = hash('sha1', innerMessage.subarray(0, SHA1_BLOCK_BYTES + end + ROC_BYTES), 'binary');
    this.#outerPad.copy(outerMessage);
    outerMessage.write(inner, SHA1_BLOCK_BYTES, 'latin1');
    return hash('sha1', outerMessage, 'binary');
  }

  /** §4.1.1: IV = (salt · 2¹⁶) XOR (SSRC · 2⁶⁴) XOR (index · 2¹⁶), and block j is encrypted under IV + j. */
  #keyStream(ssrc: number, packetIndex: number, bytes: number): Buffer {
    const salt = this.#salt;
    const rolloverCounter = Math.floor(packetIndex / 0x1_0000);
    const first = salt.getUint32(0);
    const second = salt.getUint32(4) ^ ssrc;
    const third = salt.getUint32(8) ^ rolloverCounter;
    const fourth = (salt.getUint16(12) ^ (packetIndex & 0xffff)) << 16;
    const blocks = Math.ceil(bytes / BLOCK_BYTES);
    for (let block = 0; block < blocks; block++) {
      const at = block * BLOCK_BYTES;
      counterView.setUint32(at, first);
      counterView.setUint32(at + 4, second);
      counterView.setUint32(at + 8, third);
      counterView.setUint32(at + 12, fourth | block);
    }
    return this.#blockCipher.update(counterBlocks.subarray(0, blocks * BLOCK_BYTES));
  }
}

/** @param keyAndSalt 30 octets */
export function deriveSessionKeys(keyAndSalt: Buffer): SrtpSessionKeys {
  return {
    encryption: deriveKey(keyAndSalt, LABEL.encryption, MASTER_KEY_BYTES),
    authentication: deriveKey(keyAndSalt, LABEL.authentication, SHA1_DIGEST_BYTES),
    salt: deriveKey(keyAndSalt, LABEL.salt, SALT_BYTES),
  };
}

/** RFC 3711 §4.3.3 with a key derivation rate of 0: the key stream under (salt XOR label · 2⁴⁸) · 2¹⁶. */
function deriveKey(keyAndSalt: Buffer, label: number, bytes: number): Buffer {
  const iv = Buffer.alloc(BLOCK_BYTES);
  keyAndSalt.copy(iv, 0, MASTER_KEY_BYTES, KEY_AND_SALT_BYTES);
  iv[7]! ^= label;
  const masterKey = keyAndSalt.subarray(0, MASTER_KEY_BYTES);
  return createCipheriv('aes-128-ctr', masterKey, iv).update(Buffer.alloc(bytes));
}

/** RFC 2104 §2: the key, filled up to a block of the hash, XOR one octet. */
function padOf(key: Buffer, octet: number): Buffer {
  const pad = Buffer.alloc(SHA1_BLOCK_BYTES, octet);
  for (const [i, value] of key.entries()) pad[i] = value ^ octet;
  return pad;
}

function readSsrc(datagram: Buffer): number {
  return datagram.readUInt32BE(8);
}
