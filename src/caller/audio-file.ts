import { encodeG711 } from '../audio/g711.ts';
import { readWav, type WavAudio } from '../audio/wav.ts';
import { CallscribeError } from '../errors.ts';
import { type G711Codec, transcodeG711 } from './g711.ts';

/** One channel of an audio file at 8,000 Hz. */
export type FileAudio =
  | { readonly kind: 'g711'; readonly codec: G711Codec; readonly codes: Uint8Array }
  | { readonly kind: 'pcm'; readonly samples: Int16Array };

/** A file that can't be sent. The message says what it is and, where one helps, the `ffmpeg` line. */
export class AudioFileRefused extends CallscribeError {
  constructor(file: string, found: string, convertLine?: string) {
    super(
      'AUDIO_UNSUPPORTED',
      convertLine === undefined ? `${file}: ${found}` : `${file}: ${found}; convert it with: ${convertLine}`,
    );
  }
}

const SAMPLE_RATE_HZ = 8_000;
const PCM_TAG = 1;
const G711_BY_TAG: Readonly<Partial<Record<number, G711Codec>>> = { 6: 'PCMA', 7: 'PCMU' };
const RAW_G711_BY_ENDING: Readonly<Partial<Record<string, G711Codec>>> = { '.alaw': 'PCMA', '.ulaw': 'PCMU' };

/**
 * Reads the channels of an audio file, one or two. Takes WAV with 16-bit PCM or G.711 inside, and raw G.711 in
 * files that end in `.alaw` or `.ulaw`; 8,000 Hz only.
 *
 * @param file the name, for its ending and for messages
 * @throws {AudioFileRefused} for anything else
 */
export function readAudioFile(file: string, bytes: Buffer): readonly FileAudio[] {
  if (bytes.length === 0) throw new AudioFileRefused(file, 'the file is empty');
  const rawCodec = RAW_G711_BY_ENDING[file.slice(file.lastIndexOf('.')).toLowerCase()];
  if (rawCodec !== undefined) return [{ kind: 'g711', codec: rawCodec, codes: new Uint8Array(bytes) }];
  const reading = readWav(bytes);
  switch (reading.kind) {
    case 'wav':
      return readChannels(file, reading.audio);
    case 'malformed':
      throw new AudioFileRefused(file, reading.found);
    case 'not-wav':
      throw new AudioFileRefused(file, 'neither WAV nor raw G.711 (.alaw, .ulaw)', ffmpegLine(file));
  }
}

/** G.711 of the asked law; untouched, bit for bit, where the file has it already or nothing is asked. */
export function toG711(audio: FileAudio, asked?: G711Codec): { codec: G711Codec; codes: Uint8Array } {
  if (audio.kind === 'pcm') {
    const codec = asked ?? 'PCMA';
    return { codec, codes: encodeG711(codec, audio.samples) };
  }
  const codec = asked ?? audio.codec;
  return { codec, codes: transcodeG711(audio.codes, audio.codec, codec) };
}

/**
 * The command that turns any recording into what {@link readAudioFile} takes.
 *
 * @param mix `mono` joins all channels in one leg
 */
export function ffmpegLine(file: string, mix: 'mono' | 'as-is' = 'as-is'): string {
  const target = `${file.replace(/\.[^./\\]+$/, '')}.8k.wav`;
  const channels = mix === 'mono' ? '-ac 1 ' : '';
  return `ffmpeg -i ${shellQuoted(file)} -ar ${SAMPLE_RATE_HZ} ${channels}-c:a pcm_s16le ${shellQuoted(target)}`;
}

function readChannels(file: string, audio: WavAudio): FileAudio[] {
  const { formatTag, channels, sampleRateHz, bitsPerSample, data } = audio;
  const codec = bitsPerSample === 8 ? G711_BY_TAG[formatTag] : undefined;
  const faults = [
    ...(codec === undefined && (formatTag !== PCM_TAG || bitsPerSample !== 16)
      ? [`format tag ${formatTag} with ${bitsPerSample} bits, expected 16-bit PCM or G.711`]
      : []),
    ...(sampleRateHz === SAMPLE_RATE_HZ ? [] : [`${sampleRateHz} Hz, expected ${SAMPLE_RATE_HZ} Hz`]),
    ...(channels === 1 || channels === 2 ? [] : [`${channels} channels, expected 1 or 2`]),
  ];
  if (faults.length > 0) {
    throw new AudioFileRefused(file, faults.join('; '), ffmpegLine(file, channels > 2 ? 'mono' : 'as-is'));
  }
  const sampleBytes = bitsPerSample / 8;
  const length = Math.floor(data.length / (sampleBytes * channels));
  if (length === 0) throw new AudioFileRefused(file, 'a WAV file without audio');
  return Array.from({ length: channels }, (_, channelNo): FileAudio => {
    const offset = (sampleNo: number): number => (sampleNo * channels + channelNo) * sampleBytes;
    if (codec === undefined) {
      return { kind: 'pcm', samples: Int16Array.from({ length }, (_, no) => data.readInt16LE(offset(no))) };
    }
    return { kind: 'g711', codec, codes: Uint8Array.from({ length }, (_, no) => data[offset(no)]!) };
  });
}

/** POSIX shell quoting, left out where a word needs none. */
function shellQuoted(word: string): string {
  return /^[\w./@:+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
