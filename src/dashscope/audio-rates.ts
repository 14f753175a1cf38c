import type { AudioFormat } from './models.ts';

const BYTES_PER_SAMPLE = 2;

/**
 * What a second of usual speech takes, in bytes, where the bytes themselves do not say: for bounds and pacing only.
 * mp3 and aac: 128 kbit/s; opus and speex: 32 kbit/s; amr: 12.2 kbit/s in frames of 32 bytes.
 */
const USUAL_BYTES_PER_SECOND = { mp3: 16_000, aac: 16_000, opus: 4_000, speex: 4_000, amr: 1_600 } as const;

/** Bytes of one second of audio: exact for pcm and (but for its header) wav, which are mono with 16 bits a sample. */
export function usualBytesPerSecond(format: AudioFormat, sampleRateHz: number): number {
  if (format === 'pcm' || format === 'wav') return sampleRateHz * BYTES_PER_SAMPLE;
  // A format that is not known counts as uncompressed: rather too much room than too little.
  return (
    (USUAL_BYTES_PER_SECOND as Partial<Record<string, number>>)[format] ?? sampleRateHz * BYTES_PER_SAMPLE
  );
}

/** "Paraformer client events": about 100 ms of audio a frame, 1 to 16 KB. */
export const FRAME_MS = 100;
export const FRAME_MAX_BYTES = 16_384;

/**
 * The size of frames that audio is joined to, and cut at; undefined for compressed audio, which is sent as it is pushed:
 * its bytes do not tell how much time they hold, so that waiting for more could wait long.
 */
export function frameBytesOf(format: AudioFormat, sampleRateHz: number): number | undefined {
  if (format !== 'pcm' && format !== 'wav') return undefined;
  const bytes = Math.round((sampleRateHz * FRAME_MS) / 1000) * BYTES_PER_SAMPLE;
  return Math.min(Math.max(bytes, BYTES_PER_SAMPLE), FRAME_MAX_BYTES);
}
