import { type AudioFacts } from './audio-header.ts';
import { DashScopeError } from './errors.ts';
import { AUDIO_FORMATS, type AudioFormat } from './models.ts';

/** A file is not what it was said to be, or nothing that the service takes. Nothing was sent. */
export class DashScopeAudioMismatch extends DashScopeError {
  /** What the file is. */
  readonly found: AudioFacts;
  /** A command line that makes of it what was claimed; `INPUT` and `OUTPUT` stand for the files. */
  readonly ffmpeg: string;

  constructor(message: string, found: AudioFacts, ffmpeg: string) {
    super('usage', 'AUDIO_UNSUPPORTED', message);
    this.found = found;
    this.ffmpeg = ffmpeg;
  }
}

export interface AudioClaim {
  readonly format: AudioFormat;
  readonly sampleRate: number;
  /** Undefined where it is not known yet. */
  readonly totalBytes?: number | undefined;
}

/**
 * Compares what a file is with what was claimed.
 *
 * @returns what may be right but should be known; undefined where all is well
 * @throws {DashScopeAudioMismatch} saying what the file is, and the ffmpeg line that converts it
 */
export function checkAudio(facts: AudioFacts, claim: AudioClaim): string | undefined {
  const { format, sampleRate, totalBytes } = claim;
  // A format of tomorrow, for a model of tomorrow.
  if (!AUDIO_FORMATS.includes(format)) return undefined;
  const fault = (found: string): DashScopeAudioMismatch => {
    const ffmpeg = ffmpegLine(format, sampleRate);
    const declare = declareText(facts, claim);
    const text = `${found}, but ${format} at ${sampleRate} Hz, mono, was claimed; ${declare}convert it: ${ffmpeg}`;
    return new DashScopeAudioMismatch(text, facts, ffmpeg);
  };
  if (format === 'pcm') {
    if (facts.name !== undefined) throw fault(`the audio is ${describe(facts)}`);
    if (totalBytes !== undefined && totalBytes % 2 !== 0) {
      throw fault(`the audio has ${totalBytes} bytes, an odd number, which 16-bit samples cannot have`);
    }
    return undefined;
  }
  if (facts.name === undefined) throw fault('the audio has no header that is known (raw samples, maybe)');
  if (facts.format !== format) throw fault(`the audio is ${describe(facts)}`);
  if (facts.channels !== undefined && facts.channels !== 1) throw fault(`the audio is ${describe(facts)}`);
  if (facts.sampleRate === undefined || facts.sampleRate === sampleRate) return undefined;
  if (facts.rateIsAdvice !== true) throw fault(`the audio is ${describe(facts)}`);
  return `the file names ${facts.sampleRate} Hz as the rate before coding, and ${sampleRate} Hz was claimed`;
}

function describe({ name, sampleRate, channels }: AudioFacts): string {
  const parts = [
    name,
    sampleRate === undefined ? undefined : `${sampleRate} Hz`,
    channels === undefined ? undefined : channels === 1 ? 'mono' : `${channels} channels`,
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}

/** Where the file is fine as it is, saying so is the shorter way out. */
function declareText({ format, channels, sampleRate }: AudioFacts, claim: AudioClaim): string {
  if (format === undefined || (channels ?? 1) !== 1) return '';
  return `declare format ${format} and sampleRate ${sampleRate ?? claim.sampleRate}, or `;
}

const OUTPUT_OPTIONS: Readonly<Record<AudioFormat, string>> = {
  pcm: '-f s16le OUTPUT.pcm',
  wav: '-c:a pcm_s16le OUTPUT.wav',
  mp3: '-c:a libmp3lame OUTPUT.mp3',
  opus: '-c:a libopus OUTPUT.opus',
  speex: '-c:a libspeex OUTPUT.spx',
  aac: '-c:a aac -f adts OUTPUT.aac',
  amr: '-c:a libopencore_amrnb OUTPUT.amr',
};

function ffmpegLine(format: AudioFormat, sampleRate: number): string {
  return `ffmpeg -i INPUT -ac 1 -ar ${sampleRate} ${OUTPUT_OPTIONS[format]}`;
}
