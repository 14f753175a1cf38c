/** The audio of a RIFF WAVE file, not yet interpreted. */
export interface WavAudio {
  /** 1 is PCM, 6 A-law, 7 µ-law (RFC 2361); of an extensible format the tag inside its sub-format. */
  readonly formatTag: number;
  readonly channels: number;
  readonly sampleRateHz: number;
  readonly bitsPerSample: number;
  readonly data: Buffer;
}

export type WavReading =
  | { readonly kind: 'wav'; readonly audio: WavAudio }
  | { readonly kind: 'not-wav' }
  | { readonly kind: 'malformed'; readonly found: string };

const EXTENSIBLE_TAG = 0xfffe;
/** Programs that write to a pipe can't go back to fill in the length. */
const UNKNOWN_LENGTHS = [0, 0xffff_ffff];

/**
 * Finds format and audio in a WAV file. Chunks are a four-letter name, a length and that many bytes, each at an
 * even offset; unknown ones are skipped. A file that was cut off gives the audio that is there.
 */
export function readWav(bytes: Buffer): WavReading {
  if (bytes.toString('latin1', 0, 4) !== 'RIFF' || bytes.toString('latin1', 8, 12) !== 'WAVE') {
    return { kind: 'not-wav' };
  }
  let format: Omit<WavAudio, 'data'> | undefined;
  for (let offset = 12; offset + 8 <= bytes.length;) {
    const name = bytes.toString('latin1', offset, offset + 4);
    const length = bytes.readUInt32LE(offset + 4);
    const body = bytes.subarray(offset + 8, offset + 8 + length);
    if (name === 'fmt ') {
      if (body.length < 16) return { kind: 'malformed', found: 'a WAV file that ends within its format' };
      format = readFormat(body);
    } else if (name === 'data') {
      if (format === undefined) return { kind: 'malformed', found: 'a WAV file without a format' };
      const data = UNKNOWN_LENGTHS.includes(length) ? bytes.subarray(offset + 8) : body;
      return { kind: 'wav', audio: { ...format, data } };
    }
    offset += 8 + length + (length % 2);
  }
  return { kind: 'malformed', found: 'a WAV file that ends before its audio' };
}

function readFormat(body: Buffer): Omit<WavAudio, 'data'> {
  const tag = body.readUInt16LE(0);
  return {
    // WAVEFORMATEXTENSIBLE: the sub-format GUID begins with the tag that counts.
    formatTag: tag === EXTENSIBLE_TAG && body.length >= 26 ? body.readUInt16LE(24) : tag,
    channels: body.readUInt16LE(2),
    sampleRateHz: body.readUInt32LE(4),
    bitsPerSample: body.readUInt16LE(14),
  };
}
