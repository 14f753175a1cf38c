import { decodeG711 } from '../audio/g711.ts';

/**
 * When a packet was sent, written into its own last samples, so that it passes the receiver as audio does: two
 * marker codes, then eight digits of base 64 (48 bits of microseconds). A-law, whose 256 codes decode to 256
 * different samples.
 */
export const STAMP_CODES = 10;
const MARKER_CODES = [0xc3, 0x9a] as const;
const DIGITS = 8;

const BYTES_PER_SAMPLE = 2;
/** Low byte and high byte of the sample → code; 0 elsewhere, which the markers rule out. */
const codeOfSample = new Uint8Array(65_536);
for (const [code, sample] of decodeG711(
  'PCMA',
  Uint8Array.from({ length: 256 }, (_, each) => each),
).entries()) {
  codeOfSample[sample & 0xffff] = code;
}

/** Writes the stamp so that it ends at `end`. */
export function writeStamp(codes: Uint8Array, end: number, us: number): void {
  let at = end - STAMP_CODES;
  codes[at++] = MARKER_CODES[0];
  codes[at++] = MARKER_CODES[1];
  let low = us % 2 ** 24;
  let high = Math.floor(us / 2 ** 24);
  for (let digit = 0; digit < DIGITS / 2; digit++) {
    codes[at + digit] = low & 63;
    low >>= 6;
    codes[at + DIGITS / 2 + digit] = high & 63;
    high >>= 6;
  }
}

/** The stamp that ends at `end`; −1 where none does. */
export function readStamp(codes: Uint8Array, end: number): number {
  const at = end - STAMP_CODES;
  if (codes[at] !== MARKER_CODES[0] || codes[at + 1] !== MARKER_CODES[1]) return -1;
  let low = 0;
  let high = 0;
  for (let digit = DIGITS / 2 - 1; digit >= 0; digit--) {
    low = (low << 6) | codes[at + 2 + digit]!;
    high = (high << 6) | codes[at + 2 + DIGITS / 2 + digit]!;
  }
  return high * 2 ** 24 + low;
}

const scratch = new Uint8Array(STAMP_CODES);

/** The stamp in the last samples of 16-bit little-endian PCM; −1 where there is none. */
export function readStampFromPcm(pcm: Uint8Array): number {
  const from = pcm.length - STAMP_CODES * BYTES_PER_SAMPLE;
  if (from < 0) return -1;
  for (let i = 0; i < STAMP_CODES; i++) {
    const at = from + i * BYTES_PER_SAMPLE;
    scratch[i] = codeOfSample[pcm[at]! | (pcm[at + 1]! << 8)]!;
  }
  return readStamp(scratch, STAMP_CODES);
}
