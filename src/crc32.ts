import zlib from 'node:zlib';

/**
 * CRC-32 as in IEEE 802.3 and zlib. `node:zlib` has it from Node 20.15 on, thirty times as fast; we promise to run from
 * 20.12 on.
 *
 * @param before the CRC of the bytes before these
 */
export const crc32: (bytes: Uint8Array, before?: number) => number =
  (zlib as Partial<typeof zlib>).crc32 ?? crc32ByTable;

/** The same without the library. */
export function crc32ByTable(bytes: Uint8Array, before = 0): number {
  let crc = (before ^ 0xffffffff) >>> 0;
  for (const byte of bytes) crc = (TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});
