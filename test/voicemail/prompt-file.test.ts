import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { decodeG711, encodeG711 } from '../../src/audio/g711.ts';
import { CallscribeError } from '../../src/errors.ts';
import type { Prompt } from '../../src/rtp/prompt.ts';
import { readPromptFile } from '../../src/voicemail/prompt-file.ts';

const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;
const MAX_MS = 3_000;

let root: string;
let directory: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'callscribe-prompts-'));
  directory = join(root, 'rules');
  await mkdir(directory);
});

afterAll(async () => {
  await rm(root, { recursive: true });
});

interface WavForm {
  readonly tag: number;
  readonly bits: number;
  readonly rateHz: number;
  readonly channels: number;
}

function wav({ tag, bits, rateHz, channels }: WavForm, data: Buffer): Buffer {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(36 + data.length, 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(tag, 20);
  header.writeUInt16LE(channels, 22);
  header.writeUInt32LE(rateHz, 24);
  header.writeUInt32LE((rateHz * channels * bits) / 8, 28);
  header.writeUInt16LE((channels * bits) / 8, 32);
  header.writeUInt16LE(bits, 34);
  header.write('data', 36, 'latin1');
  header.writeUInt32LE(data.length, 40);
  return Buffer.concat([header, data]);
}

const AMPLITUDE = 0.4;
const sample = (no: number, rateHz: number): number =>
  AMPLITUDE * Math.sin((2 * Math.PI * 700 * no) / rateHz);

/** A second of 700 Hz on each channel, but on the second one nothing. */
function tone({ tag, bits, rateHz, channels }: WavForm): Buffer {
  const bytes = bits / 8;
  const data = Buffer.alloc(rateHz * channels * bytes);
  for (let no = 0; no < rateHz; no++) {
    for (let channel = 0; channel < channels; channel++) {
      const at = (no * channels + channel) * bytes;
      const value = channel === 1 ? 0 : sample(no, rateHz);
      if (tag === 3) {
        if (bits === 32) data.writeFloatLE(value, at);
        else data.writeDoubleLE(value, at);
      } else if (bits === 8) data.writeUInt8(128 + Math.round(value * 127), at);
      else data.writeIntLE(Math.round(value * (2 ** (bits - 1) - 1)), at, bytes);
    }
  }
  return data;
}

async function read(name: string, bytes: Buffer): Promise<Prompt> {
  await writeFile(join(directory, name), bytes);
  return readPromptFile(name, { directory, maxMs: MAX_MS, ffmpeg: 'ffmpeg' });
}

const refusal = async (asked: Promise<Prompt>): Promise<string> =>
  asked.then(
    () => 'taken',
    (error: unknown) => {
      expect(error).toBeInstanceOf(CallscribeError);
      return (error as Error).message;
    },
  );

/** How far it is from the tone, without the ends: rms, full scale is 1. */
function distance(law: 'PCMU' | 'PCMA', codes: Uint8Array, gain: number): number {
  const samples = decodeG711(law, codes);
  let squares = 0;
  for (let no = 400; no < samples.length - 400; no++) {
    squares += (samples[no]! / 32_768 - gain * sample(no, 8_000)) ** 2;
  }
  return Math.sqrt(squares / (samples.length - 800));
}

describe('any WAV becomes G.711 of both laws', () => {
  it.each<[string, WavForm]>([
    ['16 bits at 8 kHz', { tag: 1, bits: 16, rateHz: 8_000, channels: 1 }],
    ['16 bits at 44.1 kHz, two channels', { tag: 1, bits: 16, rateHz: 44_100, channels: 2 }],
    ['24 bits at 48 kHz, two channels', { tag: 1, bits: 24, rateHz: 48_000, channels: 2 }],
    ['32 bits at 16 kHz', { tag: 1, bits: 32, rateHz: 16_000, channels: 1 }],
    ['8 bits at 11.025 kHz', { tag: 1, bits: 8, rateHz: 11_025, channels: 1 }],
    ['floating point at 96 kHz', { tag: 3, bits: 32, rateHz: 96_000, channels: 1 }],
    ['long floating point at 22.05 kHz, two channels', { tag: 3, bits: 64, rateHz: 22_050, channels: 2 }],
  ])('%s', async (_name, form) => {
    const prompt = await read('tone.wav', wav(form, tone(form)));
    expect(prompt.PCMU).toHaveLength(8_000);
    const gain = 1 / form.channels;
    expect(distance('PCMU', prompt.PCMU, gain)).toBeLessThan(0.006);
    expect(distance('PCMA', prompt.PCMA, gain)).toBeLessThan(0.006);
  });

  it.each(['PCMU', 'PCMA'] as const)('%s at 8 kHz stays as it is, bit for bit', async (law) => {
    const codes = Uint8Array.from({ length: 8_000 }, (_, no) => (no * 37) & 0xff);
    const form = { tag: law === 'PCMA' ? 6 : 7, bits: 8, rateHz: 8_000, channels: 1 };
    const prompt = await read('codes.wav', wav(form, Buffer.from(codes)));
    expect(Buffer.from(prompt[law])).toEqual(Buffer.from(codes));
    const other = law === 'PCMA' ? 'PCMU' : 'PCMA';
    expect(Buffer.from(prompt[other])).toEqual(Buffer.from(encodeG711(other, decodeG711(law, codes))));
  });

  it.skipIf(!hasFfmpeg)('and what ffmpeg reads, where there is one', async () => {
    const form = { tag: 1, bits: 16, rateHz: 44_100, channels: 2 };
    const flac = spawnSync('ffmpeg', ['-loglevel', 'quiet', '-i', '-', '-f', 'flac', '-'], {
      input: wav(form, tone(form)),
    }).stdout;
    const prompt = await read('tone.flac', flac);
    expect(prompt.PCMU).toHaveLength(8_000);
    expect(distance('PCMA', prompt.PCMA, 0.5)).toBeLessThan(0.01);
  });
});

describe('what cannot be played is named', () => {
  const form: WavForm = { tag: 1, bits: 16, rateHz: 8_000, channels: 1 };

  it.each<[string, Buffer, RegExp]>([
    ['an empty file', Buffer.alloc(0), /empty/],
    ['a text', Buffer.from('hello, you have reached nobody'), /no WAV file/],
    ['a WAV without audio', wav(form, Buffer.alloc(0)), /no audio|without audio/],
    ['one that is cut off in its header', wav(form, Buffer.alloc(0)).subarray(0, 30), /ends/],
    ['one that is too long', wav(form, Buffer.alloc(16_000 * 3 + 2)), /longer than 3 s/],
    ['ADPCM', wav({ ...form, tag: 17, bits: 4 }, Buffer.alloc(4_000)), /format tag 17 with 4 bits/],
    ['no bits at all', wav({ ...form, bits: 0 }, Buffer.alloc(4_000)), /0 bits/],
    ['no channels', wav({ ...form, channels: 0 }, Buffer.alloc(4_000)), /0 channels/],
    ['a rate of 1 Hz', wav({ ...form, rateHz: 1 }, Buffer.alloc(4_000)), /1 Hz/],
  ])('%s', async (_name, bytes, message) => {
    expect(await refusal(read('bad.wav', bytes))).toMatch(message);
  });

  it.skipIf(!hasFfmpeg)('one that ffmpeg makes too long', async () => {
    const flac = spawnSync('ffmpeg', ['-loglevel', 'quiet', '-i', '-', '-f', 'flac', '-'], {
      input: wav(form, Buffer.alloc(16_000 * 4)),
    }).stdout;
    expect(await refusal(read('long.flac', flac))).toMatch(/longer than 3 s/);
  });

  it('ffmpeg that is not there', async () => {
    await writeFile(join(directory, 'text'), 'text');
    const options = { directory, maxMs: MAX_MS, ffmpeg: join(directory, 'no-ffmpeg') };
    expect(await refusal(readPromptFile('text', options))).toMatch(/not installed/);
  });

  it('a path that leads out of the directory, by itself or by a link', async () => {
    const outside = wav(form, tone(form));
    await writeFile(join(root, 'outside.wav'), outside);
    await symlink(join(root, 'outside.wav'), join(directory, 'link.wav'));
    const options = { directory, maxMs: MAX_MS, ffmpeg: 'ffmpeg' };
    expect(await refusal(readPromptFile('../outside.wav', options))).toMatch(/leads out/);
    expect(await refusal(readPromptFile('link.wav', options))).toMatch(/leads out/);
    expect(await refusal(readPromptFile('.', options))).toMatch(/no file/);
    expect(await refusal(readPromptFile('absent.wav', options))).toMatch(/ENOENT/);
  });
});
