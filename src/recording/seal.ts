import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';

import { CallscribeError } from '../errors.ts';
import { BLOCK_HEADER_BYTES, type BlockPlace, writeBlockPlace } from './container.ts';

export const SPOOL_KEY_BYTES = 32;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
/** All of a block's header but its CRC, which is of what was sealed. */
const BOUND_BYTES = BLOCK_HEADER_BYTES - 4;

/**
 * Seals a leg's blocks with AES-256-GCM. Each file has a key of its own, derived from the spool's key and the salt in
 * its header (HKDF, RFC 5869), so that the block number serves as nonce: no file has two blocks of one number, and none
 * is written to after its process is gone.
 */
export class LegSeal {
  readonly #key: Uint8Array;
  readonly #nonce = Buffer.alloc(NONCE_BYTES);

  constructor(spoolKey: Buffer, salt: Buffer) {
    this.#key = new Uint8Array(hkdfSync('sha256', spoolKey, salt, 'callscribe spool', SPOOL_KEY_BYTES));
  }

  /**
   * Seals a payload where it stands, and puts the tag behind it.
   *
   * @param room the block's room; its header is written, but for the CRC
   * @returns where the payload ends now
   */
  seal(room: Buffer, payloadEnd: number, place: BlockPlace): number {
    const end = payloadEnd + TAG_BYTES;
    writeBlockPlace(room, place, end - BLOCK_HEADER_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key, this.#nonceOf(place.blockNo));
    cipher.setAAD(room.subarray(0, BOUND_BYTES));
    cipher.update(room.subarray(BLOCK_HEADER_BYTES, payloadEnd)).copy(room, BLOCK_HEADER_BYTES);
    cipher.final();
    cipher.getAuthTag().copy(room, payloadEnd);
    return end;
  }

  /** @throws {CallscribeError} RECORDING_KEY */
  open(block: Buffer, blockNo: number): Buffer {
    const tagAt = block.length - TAG_BYTES;
    if (tagAt < BLOCK_HEADER_BYTES) throw wrongKey(undefined);
    const decipher = createDecipheriv('aes-256-gcm', this.#key, this.#nonceOf(blockNo));
    decipher.setAAD(block.subarray(0, BOUND_BYTES));
    decipher.setAuthTag(block.subarray(tagAt));
    try {
      return Buffer.concat([decipher.update(block.subarray(BLOCK_HEADER_BYTES, tagAt)), decipher.final()]);
    } catch (error) {
      throw wrongKey(error);
    }
  }

  #nonceOf(blockNo: number): Buffer {
    this.#nonce.writeUInt32LE(blockNo, 0);
    return this.#nonce;
  }
}

function wrongKey(cause: unknown): CallscribeError {
  return new CallscribeError(
    'RECORDING_KEY',
    'recorded leg: a sealed block does not open, expected the key with which it was sealed (spool.key beside the calls)',
    { cause },
  );
}
