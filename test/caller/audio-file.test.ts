import { describe, expect, test } from 'vitest';

import { encodeG711 } from '../../src/audio/g711.ts';
import { AudioFileRefused, readAudioFile, toG711 } from '../../src/caller/audio-file.ts';
import { encodeG711Wav } from '../../src/sample/g711-wav.ts';

interface WavFields {
  tag?: number;
  channels?: number;
  rate?: number;
  bits?: number;
  data?: Buffer;
  before?: Buffer;
}

const chunk = (name: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(8);
  head.write(name, 'latin1');
  head.writeUInt32LE(body.length, 4);
  return Buffer.concat([head, body, Buffer.alloc(body.length % 2)]);
};

function wav({
  tag = 1,
  channels = 1,
  rate = 8000,
  bits = 16,
  data = Buffer.alloc(4),
  before,
}: WavFields): Buffer {
  const format = Buffer.alloc(16);
  format.writeUInt16LE(tag, 0);
  format.writeUInt16LE(channels, 2);
  format.writeUInt32LE(rate, 4);
  format.writeUInt32LE((rate * channels * bits) / 8, 8);
  format.writeUInt16LE((channels * bits) / 8, 12);
  format.writeUInt16LE(bits, 14);
  const body = Buffer.concat([
    Buffer.from('WAVE'),
    before ?? Buffer.alloc(0),
    chunk('fmt ', format),
    chunk('data', data),
  ]);
  return chunk('RIFF', body);
}

const pcm = (...samples: number[]): Buffer => Buffer.from(Int16Array.from(samples).buffer);

const refusal = (file: string, bytes: Buffer): string => {
  try {
    readAudioFile(file, bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(AudioFileRefused);
    return (error as AudioFileRefused).message;
  }
  throw new Error('not refused');
};

describe('takes', () => {
  test('16-bit PCM, mono', () => {
    expect(readAudioFile('a.wav', wav({ data: pcm(1, -2, 30000) }))).toEqual([
      { kind: 'pcm', samples: Int16Array.of(1, -2, 30000) },
    ]);
  });

  test('stereo as two legs, left first', () => {
    expect(readAudioFile('a.wav', wav({ channels: 2, data: pcm(1, 2, 3, 4) }))).toEqual([
      { kind: 'pcm', samples: Int16Array.of(1, 3) },
      { kind: 'pcm', samples: Int16Array.of(2, 4) },
    ]);
  });

  test.each([
    [6, 'PCMA'],
    [7, 'PCMU'],
  ])('G.711 of format tag %i, bit for bit', (tag, codec) => {
    const codes = Buffer.from([...Array(256).keys()]);
    const [audio] = readAudioFile('a.wav', wav({ tag, bits: 8, data: codes }));
    expect(audio).toEqual({ kind: 'g711', codec, codes: new Uint8Array(codes) });
    expect(toG711(audio!).codes).toEqual(new Uint8Array(codes));
  });

  test.each([
    ['a.alaw', 'PCMA'],
    ['B.ULAW', 'PCMU'],
  ])('raw G.711 in %s', (file, codec) => {
    expect(readAudioFile(file, Buffer.of(1, 2))).toEqual([
      { kind: 'g711', codec, codes: Uint8Array.of(1, 2) },
    ]);
  });

  test('chunks before the format, of odd length too, and a data length that a pipe left open', () => {
    const bytes = wav({ data: pcm(5, 6), before: chunk('LIST', Buffer.from('odd')) });
    bytes.writeUInt32LE(0xffffffff, bytes.indexOf('data') + 4);
    expect(readAudioFile('a.wav', bytes)).toEqual([{ kind: 'pcm', samples: Int16Array.of(5, 6) }]);
  });

  test('a recording that was cut off within its audio, as far as it goes', () => {
    const bytes = wav({ data: pcm(5, 6, 7) });
    expect(readAudioFile('a.wav', bytes.subarray(0, -3))).toEqual([
      { kind: 'pcm', samples: Int16Array.of(5) },
    ]);
  });

  test('what our own writer makes', () => {
    const codes = Uint8Array.of(1, 2, 3);
    expect(readAudioFile('a.wav', encodeG711Wav('PCMU', codes))).toEqual([
      { kind: 'g711', codec: 'PCMU', codes },
    ]);
  });
});

describe('refuses, with the way out,', () => {
  test.each([
    ['16,000 Hz', 'call.wav', wav({ rate: 16_000 }), '16000 Hz, expected 8000 Hz'],
    ['24-bit PCM', 'call.wav', wav({ bits: 24 }), 'format tag 1 with 24 bits'],
    ['floating point', 'call.wav', wav({ tag: 3, bits: 32 }), 'format tag 3 with 32 bits'],
  ])('%s', (_, file, bytes, found) => {
    expect(refusal(file, bytes)).toContain(found);
    expect(refusal(file, bytes)).toContain('ffmpeg -i call.wav -ar 8000 -c:a pcm_s16le call.8k.wav');
  });

  test('mp3, with a name that needs quoting', () => {
    expect(refusal("it's a call.mp3", Buffer.from('ID3\x04mp3'))).toContain(
      `ffmpeg -i 'it'\\''s a call.mp3' -ar 8000 -c:a pcm_s16le 'it'\\''s a call.8k.wav'`,
    );
  });

  test('six channels, by mixing them', () => {
    expect(refusal('s.wav', wav({ channels: 6, data: Buffer.alloc(24) }))).toContain('-ar 8000 -ac 1 -c:a');
  });

  test.each([
    ['an empty file', Buffer.alloc(0), 'the file is empty'],
    ['a header cut off before the format', wav({}).subarray(0, 18), 'ends before its audio'],
    ['a header cut off within the format', wav({}).subarray(0, 30), 'ends within its format'],
    ['a header cut off before the audio', wav({}).subarray(0, 40), 'ends before its audio'],
    ['no audio at all', wav({ data: Buffer.alloc(0) }), 'without audio'],
    [
      'audio before its format',
      chunk('RIFF', Buffer.concat([Buffer.from('WAVE'), chunk('data', pcm(1))])),
      'without a format',
    ],
  ])('%s', (_, bytes, found) => {
    expect(refusal('a.wav', bytes)).toContain(found);
  });
});

test('PCM becomes A-law, or the law that is asked; the other law is transcoded', () => {
  const samples = Int16Array.of(0, 1000, -1000, 32767);
  expect(toG711({ kind: 'pcm', samples })).toEqual({ codec: 'PCMA', codes: encodeG711('PCMA', samples) });
  expect(toG711({ kind: 'pcm', samples }, 'PCMU').codes).toEqual(encodeG711('PCMU', samples));
  const alaw = { kind: 'g711', codec: 'PCMA', codes: encodeG711('PCMA', samples) } as const;
  expect(toG711(alaw, 'PCMU')).toMatchObject({ codec: 'PCMU' });
  expect(toG711(alaw, 'PCMA').codes).toBe(alaw.codes);
});
