import { crc32 } from '../crc32.ts';

/**
 * How a caption lies in the low bits of a sentence's G.711 codes, one bit a code, highest bit of a byte first:
 *
 *     code  begin                                                                            end
 *           │ copy, offset 0     │ copy, offset N      │ copy, offset 2 N     │ begun copy   │
 *           ▼                    ▼                     ▼                      ▼              ▼
 *     copy: | sync 64 | version 8 | payload bytes 16 | span 24 | offset 24 | payload | CRC-32 |
 *
 * Copies follow each other without a gap and the last one is cut off where the sentence ends, so that the
 * low bit of every code of the sentence is known to whoever has read one copy. Hence a listener proves that
 * every code between begin and end came, in order and unchanged, and still has the text where some did not.
 * `span` and `offset` count codes; the CRC covers all from the version to the end of the payload.
 */
export interface CaptionFrame {
  readonly payload: Uint8Array;
  readonly spanCodes: number;
}

/** 64 bits: by chance in random bits once in 73 million years of audio. Never in UTF-8 text at a byte's border. */
export const SYNC = Uint8Array.of(0xf5, 0xc1, 0x9a, 0xe3, 0x5c, 0xfe, 0x2d, 0xc0);
export const SYNC_BITS = SYNC.length * 8;
export const FRAME_VERSION = 1;
/** Sync, version, payload bytes, span, offset. */
export const HEADER_BYTES = SYNC.length + 9;
const CRC_BYTES = 4;
/** Longest sentence that can carry a caption: one minute. */
export const SPAN_MAX_CODES = 480_000;

/** Length of one copy in codes. */
export const copyCodes = (payloadBytes: number): number => (HEADER_BYTES + payloadBytes + CRC_BYTES) * 8;

/** One whole copy. */
export function encodeCopy(frame: CaptionFrame, offsetCodes: number): Buffer {
  const { payload, spanCodes } = frame;
  const copy = Buffer.alloc(HEADER_BYTES + payload.length + CRC_BYTES);
  copy.set(SYNC, 0);
  copy.writeUInt8(FRAME_VERSION, SYNC.length);
  copy.writeUInt16BE(payload.length, SYNC.length + 1);
  copy.writeUIntBE(spanCodes, SYNC.length + 3, 3);
  copy.writeUIntBE(offsetCodes, SYNC.length + 6, 3);
  copy.set(payload, HEADER_BYTES);
  copy.writeUInt32BE(
    crc32(copy.subarray(SYNC.length, HEADER_BYTES + payload.length)),
    HEADER_BYTES + payload.length,
  );
  return copy;
}

export interface CopyHeader {
  readonly payloadBytes: number;
  readonly spanCodes: number;
  readonly offsetCodes: number;
}

/** Reads the header of a copy that is not whole yet. @returns undefined when it cannot be one of ours */
export function decodeHeader(bytes: Buffer, payloadMaxBytes: number): CopyHeader | undefined {
  const payloadBytes = bytes.readUInt16BE(SYNC.length + 1);
  const spanCodes = bytes.readUIntBE(SYNC.length + 3, 3);
  const offsetCodes = bytes.readUIntBE(SYNC.length + 6, 3);
  const plausible =
    bytes.readUInt8(SYNC.length) === FRAME_VERSION &&
    payloadBytes <= payloadMaxBytes &&
    spanCodes <= SPAN_MAX_CODES &&
    offsetCodes + copyCodes(payloadBytes) <= spanCodes;
  return plausible ? { payloadBytes, spanCodes, offsetCodes } : undefined;
}

/** The payload of a whole copy. @returns undefined when the CRC does not agree */
export function decodePayload(copy: Buffer, header: CopyHeader): Buffer | undefined {
  const end = HEADER_BYTES + header.payloadBytes;
  if (crc32(copy.subarray(SYNC.length, end)) !== copy.readUInt32BE(end)) return undefined;
  return copy.subarray(HEADER_BYTES, end);
}

/** The low bit that each code of a captioned sentence must have, read in order or from anywhere. */
export class FrameBits {
  readonly #frame: CaptionFrame;
  readonly #copyCodes: number;
  #copyNo = -1;
  #copy: Uint8Array = new Uint8Array(0);

  constructor(frame: CaptionFrame) {
    this.#frame = frame;
    this.#copyCodes = copyCodes(frame.payload.length);
  }

  /** @param offset of the code in the sentence, from 0 to `spanCodes - 1` */
  at(offset: number): 0 | 1 {
    const copyNo = Math.floor(offset / this.#copyCodes);
    if (copyNo !== this.#copyNo) {
      this.#copyNo = copyNo;
      this.#copy = encodeCopy(this.#frame, copyNo * this.#copyCodes);
    }
    const bit = offset - copyNo * this.#copyCodes;
    return (((this.#copy[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1) as 0 | 1;
  }
}
