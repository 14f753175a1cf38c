/** Ours have no chunk but the two that there must be. */
export const WAVE_HEADER_BYTES = 44;
const SAMPLE_BYTES = 2;
const SAMPLE_RATE_HZ = 8_000;

/** RIFF WAVE, PCM, 8,000 Hz, 16 bits (Multimedia Programming Interface and Data Specifications 1.0). */
export function waveHeader({
  channels,
  samples,
}: {
  readonly channels: 1 | 2;
  readonly samples: number;
}): Buffer {
  const header = Buffer.alloc(WAVE_HEADER_BYTES);
  const frameBytes = channels * SAMPLE_BYTES;
  const dataBytes = samples * frameBytes;
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(WAVE_HEADER_BYTES - 8 + dataBytes, 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(channels, 22);
  header.writeUInt32LE(SAMPLE_RATE_HZ, 24);
  header.writeUInt32LE(SAMPLE_RATE_HZ * frameBytes, 28);
  header.writeUInt16LE(frameBytes, 32);
  header.writeUInt16LE(8 * SAMPLE_BYTES, 34);
  header.write('data', 36, 'latin1');
  header.writeUInt32LE(dataBytes, 40);
  return header;
}
