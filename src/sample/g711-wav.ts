/** WAVE format tags of ITU-T G.711 (RFC 2361, appendix A). */
const FORMAT_TAG = { PCMA: 6, PCMU: 7 } as const;
const SAMPLE_RATE_HZ = 8_000;

/**
 * Wraps G.711 codes, 8,000 Hz, mono, in a WAV file. Compressed formats carry the extension size in `fmt ` and a
 * `fact` chunk with the number of samples (Multimedia Programming Interface and Data Specifications 1.0, and
 * "New Multimedia Data Types and Data Techniques", Microsoft 1994).
 */
export function encodeG711Wav(law: 'PCMA' | 'PCMU', codes: Uint8Array): Buffer {
  const header = Buffer.alloc(58);
  const padding = codes.length % 2;
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(50 + codes.length + padding, 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(18, 16);
  header.writeUInt16LE(FORMAT_TAG[law], 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(SAMPLE_RATE_HZ, 24);
  header.writeUInt32LE(SAMPLE_RATE_HZ, 28);
  header.writeUInt16LE(1, 32);
  header.writeUInt16LE(8, 34);
  header.write('fact', 38, 'latin1');
  header.writeUInt32LE(4, 42);
  header.writeUInt32LE(codes.length, 46);
  header.write('data', 50, 'latin1');
  header.writeUInt32LE(codes.length, 54);
  return Buffer.concat([header, codes, Buffer.alloc(padding)]);
}
