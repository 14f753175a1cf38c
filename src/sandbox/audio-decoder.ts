import { FfmpegDecoder, type FfmpegPool } from './ffmpeg-decoder.ts';
import { WavDecoder } from './wav-decoder.ts';

/** What `parameters.format` may be. */
export const AUDIO_FORMATS = ['pcm', 'wav', 'mp3', 'opus', 'speex', 'aac', 'amr'] as const;
export type AudioFormat = (typeof AUDIO_FORMATS)[number];

/** Bytes of one format in, signed 16-bit little-endian mono out. After `onEnd`, `onFault` or `close`, nothing. */
export interface AudioDecoder {
  /** Border of chunks may fall anywhere. */
  write(bytes: Buffer): void;
  /** No audio follows; `onEnd` or `onFault` comes, maybe at once. */
  end(): void;
  close(): void;
}

export interface DecoderListener {
  /** It can take audio; comes once, maybe before the constructor returns. */
  onReady(): void;
  onPcm(pcm: Buffer): void;
  onEnd(): void;
  onFault(failure: { readonly code: string; readonly message: string }): void;
  /** It has more than it wants to hold (`full`), or can take more again. */
  onPressure(pressure: 'full' | 'free'): void;
}

export function openDecoder(
  format: AudioFormat,
  sampleRateHz: number,
  ffmpeg: FfmpegPool,
  listener: DecoderListener,
): AudioDecoder {
  if (format === 'pcm') return new PcmDecoder(listener);
  if (format === 'wav') return new WavDecoder(sampleRateHz, listener);
  return new FfmpegDecoder(format, sampleRateHz, ffmpeg, listener);
}

class PcmDecoder implements AudioDecoder {
  readonly #listener: DecoderListener;

  constructor(listener: DecoderListener) {
    this.#listener = listener;
    listener.onReady();
  }

  write(bytes: Buffer): void {
    this.#listener.onPcm(bytes);
  }

  end(): void {
    this.#listener.onEnd();
  }

  close(): void {
    return;
  }
}
