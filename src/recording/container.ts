import { crc32 } from '../crc32.ts';
import { CallscribeError } from '../errors.ts';
import { type CallId, type LegId, toCallId, toLegId } from '../ids.ts';

/**
 * The file of one leg's audio, `<legNo>.g711` (docs/recording.md). All numbers are little-endian.
 *
 *     file header, 80 bytes             block header, 32 bytes
 *      0  "CSG711\r\n"                   0  "CSBK"
 *      8  u16 version, 1                 4  u32 bytes of the payload
 *     10  u16 1: sealed by AES-256-GCM   8  u32 block number: 0, 1, 2 …
 *     12  u32 leg number                12  u32 samples
 *     16  call id, 16 bytes             16  u48 index of the first sample on the leg
 *     32  leg id, 16 bytes              22  u16 0
 *     48  f64 wall time of sample 0     24  u32 0
 *     56  salt, 16 bytes                28  u32 CRC-32 of the 28 bytes before and the payload
 *     72  u32 0
 *     76  u32 CRC-32 of all before      then the payload: frames (frames.ts)
 */
export const FILE_HEADER_BYTES = 80;
export const BLOCK_HEADER_BYTES = 32;
export const SALT_BYTES = 16;
/** A payload longer than this is damage. The writer's are an eighth of it. */
export const PAYLOAD_MAX_BYTES = 65_536;

const FILE_MAGIC = Buffer.from('CSG711\r\n', 'latin1');
export const BLOCK_MAGIC = Buffer.from('CSBK', 'latin1');
const BLOCK_MAGIC_NUMBER = BLOCK_MAGIC.readUInt32LE(0);
const VERSION = 1;
const SEALED = 1;

export interface LegFileHeader {
  readonly callId: CallId;
  readonly legId: LegId;
  readonly legNo: number;
  /** Wall time of the leg's sample 0. */
  readonly startedAt: Date;
  /** Of the leg's own key, where its blocks are sealed. */
  readonly salt: Buffer | undefined;
}

export function encodeFileHeader(header: LegFileHeader): Buffer {
  const bytes = Buffer.alloc(FILE_HEADER_BYTES);
  FILE_MAGIC.copy(bytes, 0);
  bytes.writeUInt16LE(VERSION, 8);
  bytes.writeUInt16LE(header.salt === undefined ? 0 : SEALED, 10);
  bytes.writeUInt32LE(header.legNo, 12);
  idBytes(header.callId).copy(bytes, 16);
  idBytes(header.legId).copy(bytes, 32);
  bytes.writeDoubleLE(header.startedAt.getTime(), 48);
  header.salt?.copy(bytes, 56, 0, SALT_BYTES);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, FILE_HEADER_BYTES - 4)), FILE_HEADER_BYTES - 4);
  return bytes;
}

/** @throws {CallscribeError} RECORDING_MALFORMED */
export function decodeFileHeader(bytes: Buffer): LegFileHeader {
  if (bytes.length < FILE_HEADER_BYTES) {
    throw malformed(`a file of ${bytes.length} bytes`, `a header of ${FILE_HEADER_BYTES}`);
  }
  if (!bytes.subarray(0, FILE_MAGIC.length).equals(FILE_MAGIC)) {
    throw malformed('a file that begins otherwise', 'CSG711');
  }
  const version = bytes.readUInt16LE(8);
  if (version !== VERSION) throw malformed(`version ${version}`, `version ${VERSION}`);
  const checkAt = FILE_HEADER_BYTES - 4;
  if (bytes.readUInt32LE(checkAt) !== crc32(bytes.subarray(0, checkAt))) {
    throw malformed('a header that does not match its CRC', 'one that does');
  }
  return {
    callId: toCallId(idText(bytes, 16)),
    legId: toLegId(idText(bytes, 32)),
    legNo: bytes.readUInt32LE(12),
    startedAt: new Date(bytes.readDoubleLE(48)),
    salt:
      (bytes.readUInt16LE(10) & SEALED) === 0 ? undefined : Buffer.from(bytes.subarray(56, 56 + SALT_BYTES)),
  };
}

/** Where a block lies on the leg's clock. */
export interface BlockPlace {
  readonly blockNo: number;
  readonly beginSample: number;
  readonly samples: number;
}

export interface BlockHeader extends BlockPlace {
  readonly payloadBytes: number;
}

/** Writes the header of a block whose payload stands behind it, up to the end of `block`. */
export function writeBlockHeader(block: Buffer, place: BlockPlace): void {
  writeBlockPlace(block, place, block.length - BLOCK_HEADER_BYTES);
  block.writeUInt32LE(checkOf(block), 28);
}

/** All of the header but its CRC: what a sealed payload is bound to. */
export function writeBlockPlace(block: Buffer, place: BlockPlace, payloadBytes: number): void {
  block.writeUInt32LE(BLOCK_MAGIC_NUMBER, 0);
  block.writeUInt32LE(payloadBytes, 4);
  block.writeUInt32LE(place.blockNo, 8);
  block.writeUInt32LE(place.samples, 12);
  block.writeUIntLE(place.beginSample, 16, 6);
  block.writeUInt16LE(0, 22);
  block.writeUInt32LE(0, 24);
}

/** Reads a block's header. @returns undefined where none can begin so */
export function readBlockHeader(bytes: Buffer): BlockHeader | undefined {
  if (bytes.length < BLOCK_HEADER_BYTES || bytes.readUInt32LE(0) !== BLOCK_MAGIC_NUMBER) return undefined;
  const payloadBytes = bytes.readUInt32LE(4);
  if (payloadBytes > PAYLOAD_MAX_BYTES) return undefined;
  return {
    payloadBytes,
    blockNo: bytes.readUInt32LE(8),
    samples: bytes.readUInt32LE(12),
    beginSample: bytes.readUIntLE(16, 6),
  };
}

/** Whether a whole block, header and payload, is as it was written. */
export function isWhole(block: Buffer): boolean {
  return block.readUInt32LE(28) === checkOf(block);
}

function checkOf(block: Buffer): number {
  return crc32(block.subarray(BLOCK_HEADER_BYTES), crc32(block.subarray(0, 28)));
}

function idBytes(id: string): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
}

function idText(bytes: Buffer, at: number): string {
  const hex = bytes.toString('hex', at, at + 16);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

export function malformed(found: string, expected: string): CallscribeError {
  return new CallscribeError('RECORDING_MALFORMED', `recorded leg: found ${found}, expected ${expected}`);
}
