import type { AudioDecoder, DecoderListener } from './audio-decoder.ts';

/** Everything before the samples; real files need 44 bytes, tagged ones some hundreds. */
const HEADER_MAX_BYTES = 65_536;
const PCM = 1;
const EXTENSIBLE = 0xfffe;

type State =
  | { readonly kind: 'header'; bytes: Buffer }
  /** `leftBytes` is Infinity where the header does not know, as recorders that stream write it. */
  | { readonly kind: 'samples'; leftBytes: number }
  | { readonly kind: 'closed' };

/** RIFF/WAVE with 16-bit PCM inside, as the service takes it. Header faults are told as decoding faults. */
export class WavDecoder implements AudioDecoder {
  readonly #sampleRateHz: number;
  readonly #listener: DecoderListener;
  #state: State = { kind: 'header', bytes: Buffer.alloc(0) };

  constructor(sampleRateHz: number, listener: DecoderListener) {
    this.#sampleRateHz = sampleRateHz;
    this.#listener = listener;
    listener.onReady();
  }

  write(bytes: Buffer): void {
    const state = this.#state;
    if (state.kind === 'header') {
      state.bytes = Buffer.concat([state.bytes, bytes]);
      this.#readHeader(state.bytes);
    } else if (state.kind === 'samples') {
      const samples = state.leftBytes < bytes.length ? bytes.subarray(0, state.leftBytes) : bytes;
      state.leftBytes -= samples.length;
      if (samples.length > 0) this.#listener.onPcm(samples);
    }
  }

  end(): void {
    const state = this.#state;
    if (state.kind === 'header' && state.bytes.length > 0) {
      this.#fault('UNSUPPORTED_FORMAT', 'Failed to decode audio: the WAV header is cut off.');
    } else if (state.kind !== 'closed') {
      this.#state = { kind: 'closed' };
      this.#listener.onEnd();
    }
  }

  close(): void {
    this.#state = { kind: 'closed' };
  }

  #readHeader(bytes: Buffer): void {
    if (bytes.length < 12) return;
    if (bytes.toString('latin1', 0, 4) !== 'RIFF' || bytes.toString('latin1', 8, 12) !== 'WAVE') {
      this.#fault('UNSUPPORTED_FORMAT', 'Failed to decode audio: no WAV header.');
      return;
    }
    let formatSeen = false;
    for (let at = 12; at + 8 <= bytes.length;) {
      const name = bytes.toString('latin1', at, at + 4);
      const size = bytes.readUInt32LE(at + 4);
      const body = at + 8;
      if (name === 'data') {
        if (!formatSeen) {
          this.#fault('UNSUPPORTED_FORMAT', 'Failed to decode audio: no WAV format before the samples.');
          return;
        }
        const leftBytes = size === 0 || size >= 0x7fff_ff00 ? Infinity : size;
        this.#state = { kind: 'samples', leftBytes };
        this.write(bytes.subarray(body));
        return;
      }
      if (name === 'fmt ') {
        if (body + Math.max(16, size) > bytes.length) break;
        if (!this.#checkFormat(bytes.subarray(body, body + size))) return;
        formatSeen = true;
      }
      // RIFF: chunks begin at even places.
      at = body + size + (size & 1);
    }
    if (bytes.length > HEADER_MAX_BYTES) {
      this.#fault('UNSUPPORTED_FORMAT', `Failed to decode audio: no samples in ${HEADER_MAX_BYTES} bytes.`);
    }
  }

  #checkFormat(format: Buffer): boolean {
    if (format.length < 16) {
      this.#fault('UNSUPPORTED_FORMAT', 'Failed to decode audio: the WAV format is cut off.');
      return false;
    }
    const tag = format.readUInt16LE(0);
    const coding = tag === EXTENSIBLE && format.length >= 26 ? format.readUInt16LE(24) : tag;
    const channels = format.readUInt16LE(2);
    const rateHz = format.readUInt32LE(4);
    const bits = format.readUInt16LE(14);
    if (coding !== PCM || bits !== 16 || channels !== 1) {
      const found = `coding ${coding}, ${bits} bits, ${channels} channels`;
      this.#fault('UNSUPPORTED_FORMAT', `Only WAV with 16-bit PCM, one channel, is taken; found ${found}.`);
      return false;
    }
    if (rateHz !== this.#sampleRateHz) {
      this.#fault(
        'NO_VALID_AUDIO_ERROR',
        `The WAV header says ${rateHz} Hz, sample_rate ${this.#sampleRateHz}.`,
      );
      return false;
    }
    return true;
  }

  #fault(code: string, message: string): void {
    this.#state = { kind: 'closed' };
    this.#listener.onFault({ code, message });
  }
}
