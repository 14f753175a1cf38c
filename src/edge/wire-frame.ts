import { CallscribeError } from '../errors.ts';

/**
 * The frame of drachtio's wire protocol: `<decimal length>#<payload>`, the length in bytes, nothing between frames. The
 * server reads at most five digits, so a payload towards it is at most 99,999 bytes; the client has no such bound.
 */
export const FRAME_MAX_BYTES = 99_999;

const HASH = 0x23;
const LENGTH_DIGITS_MAX = 5;

/** Cuts frames out of the byte stream of a client. Chunk borders may fall anywhere. */
export class FrameDecoder {
  #pending: Buffer = Buffer.alloc(0);

  /** @throws {CallscribeError} `SIP_EDGE_PROTOCOL`; the stream has lost its frame and must be closed */
  push(chunk: Uint8Array): Buffer[] {
    this.#pending = this.#pending.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#pending, chunk]);
    const frames: Buffer[] = [];
    for (;;) {
      const hash = this.#pending.subarray(0, LENGTH_DIGITS_MAX + 1).indexOf(HASH);
      const digits = this.#pending.toString('latin1', 0, hash < 0 ? LENGTH_DIGITS_MAX + 1 : hash);
      const isReadable = hash < 0 ? /^\d{0,5}$/.test(digits) : /^\d{1,5}$/.test(digits);
      if (!isReadable) {
        throw new CallscribeError('SIP_EDGE_PROTOCOL', 'frame: found no decimal length of up to 5 digits');
      }
      const end = hash + 1 + Number(digits);
      if (hash < 0 || this.#pending.length < end) return frames;
      frames.push(this.#pending.subarray(hash + 1, end));
      this.#pending = this.#pending.subarray(end);
    }
  }
}

export function encodeFrame(payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${payload.length}#`, 'latin1'), payload]);
}
