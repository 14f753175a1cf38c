import type { AudioFormat } from './models.ts';

/** What the first bytes of a file say that it is. Rates in Hz; what the header does not say is undefined. */
export interface AudioFacts {
  /** The format it could be declared as; undefined for what the service does not take, and where nothing is known. */
  readonly format: AudioFormat | undefined;
  /** For people: `MP3`, `WAV with A-law`, `FLAC`. Undefined where no header is known, as for raw PCM. */
  readonly name: string | undefined;
  readonly sampleRate?: number | undefined;
  readonly channels?: number | undefined;
  readonly bytesPerSecond?: number | undefined;
  /** The rate is that of the recording before it was coded; the codec decodes to any. */
  readonly rateIsAdvice?: boolean | undefined;
}

/** Bytes that {@link readAudioHeader} may want to see; more does not help. */
export const HEADER_BYTES = 65_536;

const UNKNOWN: AudioFacts = { format: undefined, name: undefined };
const ascii = (head: Buffer, from: number, to: number): string => head.toString('latin1', from, to);

/**
 * Tells a file by its bytes, not by its name.
 *
 * @param head the first {@link HEADER_BYTES} bytes, or the whole of a shorter file
 */
export function readAudioHeader(head: Buffer): AudioFacts {
  const magic = ascii(head, 0, 4);
  if (magic === 'RIFF' && ascii(head, 8, 12) === 'WAVE') return readWav(head);
  if (magic === 'OggS') return readOgg(head);
  if (magic === '#!AM') return readAmr(head);
  if (magic.startsWith('ID3')) return readMp3(head, id3Bytes(head)) ?? { format: 'mp3', name: 'MP3' };
  return readForeign(head, magic) ?? readMp3(head, 0) ?? readAdts(head) ?? UNKNOWN;
}

/** Bytes of the ID3v2 tag before the first frame; 0 without one. Its length is written in 7 bits a byte. */
export function id3Bytes(head: Buffer): number {
  if (head.length < 10 || ascii(head, 0, 3) !== 'ID3') return 0;
  const size = [6, 7, 8, 9].reduce((sum, at) => sum * 128 + (head[at]! & 0x7f), 0);
  const footer = (head[5]! & 0x10) === 0 ? 0 : 10;
  return 10 + size + footer;
}

const WAV_PCM = 1;
const WAV_EXTENSIBLE = 0xfffe;
const WAV_CODECS: Partial<Record<number, string>> = {
  3: 'floating point',
  6: 'A-law',
  7: 'µ-law',
  0x11: 'ADPCM',
  0x31: 'GSM',
  0x55: 'MP3',
};

function readWav(head: Buffer): AudioFacts {
  for (let at = 12; at + 8 <= head.length;) {
    const bytes = head.readUInt32LE(at + 4);
    const body = at + 8;
    if (ascii(head, at, at + 4) !== 'fmt ' || body + 16 > head.length) {
      at = body + bytes + (bytes % 2);
      continue;
    }
    const tag = head.readUInt16LE(body);
    const bits = head.readUInt16LE(body + 14);
    const extended = tag === WAV_EXTENSIBLE && body + 26 <= head.length;
    const codec = extended ? head.readUInt16LE(body + 24) : tag;
    const taken = codec === WAV_PCM && bits === 16;
    const coding = codec === WAV_PCM ? `${bits}-bit PCM` : (WAV_CODECS[codec] ?? `codec ${codec}`);
    return {
      format: taken ? 'wav' : undefined,
      name: `WAV with ${coding}`,
      channels: head.readUInt16LE(body + 2),
      sampleRate: head.readUInt32LE(body + 4),
      bytesPerSecond: head.readUInt32LE(body + 8),
    };
  }
  return { format: undefined, name: 'WAV without a format' };
}

/** RFC 3533 §6: the first packet of the first page names the codec. RFC 7845 §5.1, Speex manual §6. */
function readOgg(head: Buffer): AudioFacts {
  const segments = head[26] ?? 0;
  const at = 27 + segments;
  if (ascii(head, at, at + 8) === 'OpusHead' && at + 16 <= head.length) {
    const channels = head[at + 9];
    const rate = head.readUInt32LE(at + 12);
    return {
      format: 'opus',
      name: 'Ogg Opus',
      channels,
      sampleRate: rate === 0 ? undefined : rate,
      rateIsAdvice: true,
    };
  }
  if (ascii(head, at, at + 8) === 'Speex   ' && at + 52 <= head.length) {
    const sampleRate = head.readUInt32LE(at + 36);
    return { format: 'speex', name: 'Ogg Speex', sampleRate, channels: head.readUInt32LE(at + 48) };
  }
  const vorbis = ascii(head, at + 1, at + 7) === 'vorbis';
  return { format: undefined, name: vorbis ? 'Ogg Vorbis' : 'Ogg with another codec' };
}

/** RFC 4867 §5.1. */
function readAmr(head: Buffer): AudioFacts {
  const line = ascii(head, 0, 12);
  if (line.startsWith('#!AMR\n')) {
    return { format: 'amr', name: 'AMR-NB', sampleRate: 8_000, channels: 1 };
  }
  if (line.startsWith('#!AMR-WB\n')) {
    return { format: undefined, name: 'AMR-WB', sampleRate: 16_000, channels: 1 };
  }
  return { format: undefined, name: line.startsWith('#!AMR') ? 'multichannel AMR' : undefined };
}

/** What people have on their disks and the service does not take. */
function readForeign(head: Buffer, magic: string): AudioFacts | undefined {
  const name = FOREIGN[magic] ?? (ascii(head, 4, 8) === 'ftyp' ? 'MP4 (M4A)' : undefined);
  return name === undefined ? undefined : { format: undefined, name };
}

const FOREIGN: Partial<Record<string, string>> = {
  fLaC: 'FLAC',
  caff: 'CAF',
  FORM: 'AIFF',
  '.snd': 'Sun audio',
  '\x1aE\xdf\xa3': 'Matroska or WebM',
  RF64: 'RF64 (large WAV)',
  RIFF: 'RIFF, but not WAVE',
  ADIF: 'AAC with an ADIF header',
};

const MP3_RATES_HZ: Partial<Record<number, readonly number[]>> = {
  3: [44_100, 48_000, 32_000],
  2: [22_050, 24_000, 16_000],
  0: [11_025, 12_000, 8_000],
};
const MP3_KBITS_V1 = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const MP3_KBITS_V2 = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

interface FrameHeader extends AudioFacts {
  readonly frameBytes: number;
}

/** ISO 11172-3 §2.4.1.3, layer III. Two frames in a row, since raw samples may look like one. */
function readMp3(head: Buffer, at: number): AudioFacts | undefined {
  return twoFrames(head, at, mp3Frame);
}

function mp3Frame(head: Buffer, at: number): FrameHeader | undefined {
  if (at + 4 > head.length || head[at] !== 0xff || (head[at + 1]! & 0xe6) !== 0xe2) return undefined;
  const version = (head[at + 1]! >> 3) & 3;
  const sampleRate = MP3_RATES_HZ[version]?.[(head[at + 2]! >> 2) & 3];
  const kbits = (version === 3 ? MP3_KBITS_V1 : MP3_KBITS_V2)[head[at + 2]! >> 4];
  if (sampleRate === undefined || kbits === undefined || kbits === 0) return undefined;
  const padding = (head[at + 2]! >> 1) & 1;
  const frameBytes = Math.floor(((version === 3 ? 144_000 : 72_000) * kbits) / sampleRate) + padding;
  const channels = head[at + 3]! >> 6 === 3 ? 1 : 2;
  return { format: 'mp3', name: 'MP3', sampleRate, channels, bytesPerSecond: kbits * 125, frameBytes };
}

const ADTS_RATES_HZ = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];

/** ISO 13818-7 §6.2. */
function readAdts(head: Buffer): AudioFacts | undefined {
  return twoFrames(head, 0, adtsFrame);
}

function adtsFrame(head: Buffer, at: number): FrameHeader | undefined {
  if (at + 7 > head.length || head[at] !== 0xff || (head[at + 1]! & 0xf6) !== 0xf0) return undefined;
  const sampleRate = ADTS_RATES_HZ[(head[at + 2]! >> 2) & 15];
  const channels = ((head[at + 2]! & 1) << 2) | (head[at + 3]! >> 6);
  const frameBytes = ((head[at + 3]! & 3) << 11) | (head[at + 4]! << 3) | (head[at + 5]! >> 5);
  if (sampleRate === undefined || frameBytes < 7) return undefined;
  return {
    format: 'aac',
    name: 'AAC',
    sampleRate,
    channels: channels === 0 ? undefined : channels,
    frameBytes,
  };
}

type ReadFrame = (head: Buffer, at: number) => FrameHeader | undefined;

function twoFrames(head: Buffer, at: number, readFrame: ReadFrame): AudioFacts | undefined {
  const first = readFrame(head, at);
  if (first === undefined) return undefined;
  const next = at + first.frameBytes;
  // A file of one frame, or a tag that fills the head, has to do with what is there.
  if (next < head.length - 7 && readFrame(head, next) === undefined) return undefined;
  const { frameBytes: _, ...facts } = first;
  return facts;
}
