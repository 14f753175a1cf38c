/** Hz. */
const SAMPLE_RATE_HZ = 8_000;
/** Two samples of 16 bits. */
export const STEREO_FRAME_BYTES = 4;
export const STEREO_HEADER_BYTES = 44;

/**
 * What stands before stereo PCM of 8,000 Hz, 16 bits. RIFF WAVE (Multimedia Programming Interface and Data Specifications
 * 1.0).
 */
export function stereoWavHeader(frames: number): Buffer {
  const header = Buffer.alloc(STEREO_HEADER_BYTES);
  const dataBytes = frames * STEREO_FRAME_BYTES;
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(STEREO_HEADER_BYTES - 8 + dataBytes, 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(2, 22);
  header.writeUInt32LE(SAMPLE_RATE_HZ, 24);
  header.writeUInt32LE(SAMPLE_RATE_HZ * STEREO_FRAME_BYTES, 28);
  header.writeUInt16LE(STEREO_FRAME_BYTES, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36, 'latin1');
  header.writeUInt32LE(dataBytes, 40);
  return header;
}
