import { describe, expect, it } from 'vitest';

import { checkAudio, DashScopeAudioMismatch } from '../../src/dashscope/audio-check.ts';
import { readAudioHeader } from '../../src/dashscope/audio-header.ts';
import type { AudioFormat } from '../../src/dashscope/models.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');
const text = (latin1: string): Buffer => Buffer.from(latin1, 'latin1');
const u16 = (value: number): Buffer => Buffer.from([value & 255, value >> 8]);
const u32 = (value: number): Buffer => Buffer.concat([u16(value & 0xffff), u16(value >>> 16)]);

interface WavChange {
  readonly tag?: number;
  readonly channels?: number;
  readonly rate?: number;
  readonly bits?: number;
  readonly before?: Buffer;
  readonly extension?: Buffer;
}

function wav(change: WavChange = {}): Buffer {
  const { tag = 1, channels = 1, rate = 8_000, bits = 16, before, extension } = change;
  const frame = (channels * bits) / 8;
  const body = [u16(tag), u16(channels), u32(rate), u32(rate * frame), u16(frame), u16(bits)];
  const fmt = Buffer.concat([...body, extension ?? Buffer.alloc(0)]);
  return Buffer.concat([
    text('RIFF'),
    u32(1_000),
    text('WAVE'),
    before ?? Buffer.alloc(0),
    text('fmt '),
    u32(fmt.length),
    fmt,
    text('data'),
    u32(4),
    Buffer.alloc(4),
  ]);
}

/** One Ogg page that holds one packet. */
const ogg = (packet: Buffer): Buffer =>
  Buffer.concat([text('OggS'), Buffer.alloc(22), Buffer.from([1, packet.length]), packet]);
const opus = (channels: number, rate: number): Buffer =>
  ogg(Buffer.concat([text('OpusHead'), Buffer.from([1, channels]), u16(312), u32(rate), Buffer.alloc(3)]));
const speex = (channels: number, rate: number): Buffer =>
  ogg(
    Buffer.concat([
      text('Speex   '),
      Buffer.alloc(28),
      u32(rate),
      u32(0),
      u32(4),
      u32(channels),
      Buffer.alloc(28),
    ]),
  );

/** Two frames of MPEG-2 layer III, 16 kHz, mono, 32 kbit/s: 72000 × 32 / 16000 = 144 bytes each. */
const MP3_FRAME = Buffer.concat([bytes('fff3 48c4'), Buffer.alloc(140)]);
const mp3 = (frame = MP3_FRAME): Buffer => Buffer.concat([frame, frame, frame]);
/** A tag of 20 bytes, the length in 7 bits a byte. */
const id3 = (bytesOfTag: number): Buffer =>
  Buffer.concat([
    text('ID3'),
    Buffer.from([4, 0, 0, 0, 0, bytesOfTag >> 7, bytesOfTag & 127]),
    Buffer.alloc(bytesOfTag),
  ]);

/** ADTS, AAC-LC, 8 kHz (index 11), mono, 64 bytes a frame. */
const ADTS_FRAME = Buffer.concat([bytes('fff1 6c40 081f fc'), Buffer.alloc(57)]);
const adts = (frame = ADTS_FRAME): Buffer => Buffer.concat([frame, frame]);

const PCM = Buffer.from(Array.from({ length: 3_200 }, (_, at) => (at * 37) & 255));

describe('readAudioHeader', () => {
  it.each<[string, Buffer, object]>([
    ['wav', wav(), { format: 'wav', name: 'WAV with 16-bit PCM', sampleRate: 8_000, channels: 1 }],
    [
      'wav with another chunk first',
      wav({ before: Buffer.concat([text('LIST'), u32(3), Buffer.alloc(4)]) }),
      { format: 'wav', sampleRate: 8_000 },
    ],
    [
      'wav extensible',
      wav({ tag: 0xfffe, extension: Buffer.concat([u16(22), u16(16), u32(4), u16(1), Buffer.alloc(14)]) }),
      { format: 'wav' },
    ],
    ['wav with A-law', wav({ tag: 6, bits: 8 }), { format: undefined, name: 'WAV with A-law' }],
    ['wav with 24 bits', wav({ bits: 24 }), { format: undefined, name: 'WAV with 24-bit PCM' }],
    ['wav in stereo', wav({ channels: 2 }), { format: 'wav', channels: 2 }],
    ['wav cut off', wav().subarray(0, 20), { format: undefined, name: 'WAV without a format' }],
    ['mp3', mp3(), { format: 'mp3', sampleRate: 16_000, channels: 1, bytesPerSecond: 4_000 }],
    [
      'mp3 in stereo at 44.1 kHz',
      mp3(Buffer.concat([bytes('fffb 9044'), Buffer.alloc(413)])),
      { format: 'mp3', sampleRate: 44_100, channels: 2, bytesPerSecond: 16_000 },
    ],
    ['mp3 behind a tag', Buffer.concat([id3(300), mp3()]), { format: 'mp3', sampleRate: 16_000 }],
    ['mp3 behind a tag that is all there is', id3(300).subarray(0, 100), { format: 'mp3', name: 'MP3' }],
    ['opus', opus(1, 16_000), { format: 'opus', channels: 1, sampleRate: 16_000, rateIsAdvice: true }],
    ['opus that does not say its rate', opus(1, 0), { format: 'opus', sampleRate: undefined }],
    ['speex', speex(1, 8_000), { format: 'speex', channels: 1, sampleRate: 8_000 }],
    ['vorbis', ogg(text('\x01vorbis.....')), { format: undefined, name: 'Ogg Vorbis' }],
    ['aac', adts(), { format: 'aac', sampleRate: 8_000, channels: 1 }],
    ['amr', text('#!AMR\n\x3c....'), { format: 'amr', sampleRate: 8_000, channels: 1 }],
    ['wide-band amr', text('#!AMR-WB\n....'), { format: undefined, name: 'AMR-WB' }],
    ['flac', text('fLaC....'), { format: undefined, name: 'FLAC' }],
    ['m4a', Buffer.concat([u32(0), text('ftypM4A ')]), { format: undefined, name: 'MP4 (M4A)' }],
    ['webm', bytes('1a45dfa3 01000000'), { format: undefined, name: 'Matroska or WebM' }],
    ['raw samples', PCM, { format: undefined, name: undefined }],
    ['samples that look like one mp3 frame', Buffer.concat([MP3_FRAME, PCM]), { name: undefined }],
    ['samples that look like one adts frame', Buffer.concat([ADTS_FRAME, PCM]), { name: undefined }],
    ['nothing', Buffer.alloc(0), { format: undefined, name: undefined }],
  ])('%s', (_case, head, facts) => {
    expect(readAudioHeader(head)).toMatchObject(facts);
  });

  it('does not read behind the end, wherever a file is cut', () => {
    for (const file of [wav(), opus(1, 1), speex(1, 1), mp3(), adts(), Buffer.concat([id3(20), mp3()])]) {
      for (let length = 0; length <= Math.min(file.length, 200); length += 1) {
        expect(() => readAudioHeader(file.subarray(0, length))).not.toThrow();
      }
    }
  });
});

describe('checkAudio', () => {
  const check = (head: Buffer, format: AudioFormat, sampleRate: number, totalBytes?: number): string => {
    try {
      return checkAudio(readAudioHeader(head), { format, sampleRate, totalBytes }) ?? 'fine';
    } catch (thrown) {
      if (!(thrown instanceof DashScopeAudioMismatch)) throw thrown;
      expect(thrown).toMatchObject({ code: 'AUDIO_UNSUPPORTED', kind: 'usage', retryable: false });
      expect(thrown.message).toContain(thrown.ffmpeg);
      return thrown.message;
    }
  };

  it.each<[AudioFormat, Buffer, number]>([
    ['pcm', PCM, 8_000],
    ['wav', wav(), 8_000],
    ['mp3', mp3(), 16_000],
    ['mp3', id3(300).subarray(0, 100), 8_000],
    ['opus', opus(1, 8_000), 8_000],
    ['speex', speex(1, 16_000), 16_000],
    ['aac', adts(), 8_000],
    ['amr', text('#!AMR\n...'), 8_000],
  ])('lets %s pass that is what it is said to be', (format, head, rate) => {
    expect(check(head, format, rate)).toBe('fine');
  });

  it('knows that the rate of opus is advice', () => {
    expect(check(opus(1, 48_000), 'opus', 8_000)).toMatch(/48000 Hz as the rate before coding/);
  });

  it.each<[string, Buffer, AudioFormat, number, RegExp]>([
    [
      'a wav header under pcm',
      wav(),
      'pcm',
      8_000,
      /is WAV with 16-bit PCM, 8000 Hz, mono, but pcm .* declare format wav and sampleRate 8000, or convert it: ffmpeg -i INPUT -ac 1 -ar 8000 -f s16le OUTPUT.pcm/,
    ],
    [
      'an mp3 that is called wav',
      mp3(),
      'wav',
      16_000,
      /is MP3, 16000 Hz, mono, but wav .* declare format mp3 .*-c:a pcm_s16le OUTPUT.wav/,
    ],
    [
      'another rate',
      wav({ rate: 16_000 }),
      'wav',
      8_000,
      /16000 Hz, mono, but wav at 8000 Hz.*declare format wav and sampleRate 16000/,
    ],
    [
      'two channels',
      wav({ channels: 2 }),
      'wav',
      8_000,
      /2 channels, but .* was claimed; convert it: ffmpeg -i INPUT -ac 1/,
    ],
    ['µ-law in wav', wav({ tag: 7, bits: 8 }), 'wav', 8_000, /is WAV with µ-law/],
    ['another rate of mp3', mp3(), 'mp3', 8_000, /is MP3, 16000 Hz/],
    ['another rate of speex', speex(1, 16_000), 'speex', 8_000, /is Ogg Speex, 16000 Hz.*-c:a libspeex/],
    ['another rate of aac', adts(), 'aac', 16_000, /is AAC, 8000 Hz.*-c:a aac -f adts/],
    ['vorbis under opus', ogg(text('\x01vorbis')), 'opus', 16_000, /is Ogg Vorbis.*-c:a libopus/],
    ['stereo opus', opus(2, 48_000), 'opus', 48_000, /2 channels/],
    ['wide-band amr', text('#!AMR-WB\n'), 'amr', 8_000, /is AMR-WB.*-c:a libopencore_amrnb/],
    ['m4a under aac', Buffer.concat([u32(0), text('ftypM4A ')]), 'aac', 8_000, /is MP4 \(M4A\), but aac/],
    ['flac under pcm', text('fLaC....'), 'pcm', 8_000, /is FLAC, but pcm/],
    ['raw samples under wav', PCM, 'wav', 8_000, /no header that is known \(raw samples, maybe\)/],
  ])('names %s, and the way out', (_case, head, format, rate, message) => {
    expect(check(head, format, rate)).toMatch(message);
  });

  it('takes no odd number of bytes for 16-bit samples', () => {
    expect(check(PCM, 'pcm', 8_000, 3_201)).toMatch(/3201 bytes, an odd number/);
    expect(check(PCM, 'pcm', 8_000, 3_200)).toBe('fine');
  });

  it('lets a format of tomorrow pass', () => {
    expect(check(text('fLaC'), 'flac' as AudioFormat, 8_000)).toBe('fine');
  });
});
