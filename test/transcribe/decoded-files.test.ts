import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { silentLogger } from '../../src/log.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { openFile } from '../../src/transcribe/open-file.ts';
import { transcribeFile } from '../../src/transcribe/transcribe-file.ts';
import type { FileTranscript } from '../../src/transcribe/transcript.ts';
import { stereoSample } from '../support/stereo-sample.ts';

const HAS_FFMPEG = spawnSync('ffmpeg', ['-version']).status === 0;
const SAMPLE_MS = 40_160;

let folder: string;
let sandbox: Sandbox;
let wav: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'callscribe-decoded-'));
  wav = join(folder, 'call.wav');
  await writeFile(wav, await stereoSample());
  sandbox = await startSandbox({
    host: '127.0.0.1',
    port: 0,
    recogniser: captionsRecogniser,
    logger: silentLogger,
  });
});
afterAll(async () => {
  await sandbox.close();
  await rm(folder, { recursive: true, force: true });
});

const transcribe = (
  path: string,
  onProgress: (share: number) => void = () => undefined,
  hoursMax?: number,
): Promise<FileTranscript> =>
  transcribeFile(path, {
    service: { url: sandbox.url, apiKey: 'test' },
    model: undefined,
    vocabularyId: undefined,
    rawRateHz: 8_000,
    hoursMax,
    speed: 1_000,
    signal: AbortSignal.timeout(50_000),
    onProgress,
  });
const said = ({ legs }: FileTranscript): unknown =>
  legs.map(({ sentences }) => sentences.map(({ text, beginMs, endMs }) => [text, beginMs, endMs]));

async function convert(name: string, ...options: readonly string[]): Promise<string> {
  const path = join(folder, name);
  await promisify(execFile)('ffmpeg', ['-nostdin', '-loglevel', 'error', '-y', '-i', wav, ...options, path]);
  return path;
}

describe.runIf(HAS_FFMPEG)('what only ffmpeg reads', { timeout: 60_000 }, () => {
  it.each([
    ['call.flac', []],
    ['call.m4a', ['-c:a', 'alac']],
    ['call.mka', ['-c:a', 'flac']],
    ['call-24-bit.wav', ['-c:a', 'pcm_s24le']],
    ['call-float.wav', ['-c:a', 'pcm_f32le']],
    ['call.aiff', []],
    ['call.au', ['-c:a', 'pcm_s16be']],
  ])('%s has the sentences of the WAV file that it was made of, one leg a channel', async (name, options) => {
    const shares: number[] = [];
    const transcript = await transcribe(await convert(name, ...options), (share) => shares.push(share));
    expect(said(transcript)).toEqual(said(await transcribe(wav)));
    expect(transcript.legs.map(({ sentences, audioMs }) => [sentences.length, audioMs])).toEqual([
      [8, SAMPLE_MS],
      [6, SAMPLE_MS],
    ]);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect(shares.at(-1)).toBe(1);
  });

  it('MP3 has its speech at the same times: as it is where it is mono, a leg a channel where it is stereo', async () => {
    const mono = await openFile(await convert('mono.mp3', '-ac', '1'), { rawRateHz: 8_000 });
    expect(mono).toMatchObject([{ format: 'mp3', audio: join(folder, 'mono.mp3') }]);
    expect(Math.abs((mono[0]?.audioMs ?? 0) - SAMPLE_MS)).toBeLessThan(200);
    const stereo = await transcribe(await convert('stereo.mp3'));
    const whole = await transcribe(wav);
    for (const [legNo, { sentences }] of stereo.legs.entries()) {
      expect(sentences[0]?.text).toMatch(/^\[speech /);
      const first = whole.legs[legNo]?.sentences[0];
      expect(Math.abs((sentences[0]?.beginMs ?? 0) - (first?.beginMs ?? 0))).toBeLessThan(300);
    }
    expect(stereo.legs).toHaveLength(2);
  });

  it('leads to no other file', async () => {
    const flac = await convert('secret.flac');
    for (const [name, text] of [
      ['list.flac', 'ffconcat version 1.0\nfile secret.flac\n'],
      ['list.mp3', `#EXTM3U\n#EXTINF:1,\n${flac}\n`],
      ['list.m4a', `#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n`],
    ] as const) {
      const path = join(folder, name);
      await writeFile(path, text);
      await expect(openFile(path, { rawRateHz: 8_000 })).rejects.toMatchObject({ code: 'AUDIO_UNSUPPORTED' });
    }
  });

  it('has two channels at most', async () => {
    const path = await convert('surround.flac', '-af', 'pan=5.1|c0=c0|c1=c1');
    await expect(openFile(path, { rawRateHz: 8_000 })).rejects.toThrow('6 channels, expected 1 or 2');
  });

  it('is refused where it is longer than may be, however small it is', async () => {
    const path = join(folder, 'silence.flac');
    const silence = ['-f', 'lavfi', '-i', 'anullsrc=r=8000:cl=mono', '-t', String(9 * 3_600)];
    await promisify(execFile)('ffmpeg', ['-nostdin', '-loglevel', 'error', ...silence, path]);
    await expect(openFile(path, { rawRateHz: 8_000, hoursMax: 8 })).rejects.toMatchObject({
      code: 'AUDIO_UNSUPPORTED',
      message: `${path}: 9.0 hours of audio, allowed are 8; cut it`,
    });
    expect(await openFile(path, { rawRateHz: 8_000 })).toMatchObject([{ audioMs: 9 * 3_600_000 }]);
  });

  it('is refused while it is decoded where it did not say how long it is', async () => {
    const { stdout } = spawnSync(
      'ffmpeg',
      ['-loglevel', 'quiet', '-i', wav, '-f', 'matroska', '-c:a', 'flac', 'pipe:1'],
      {
        maxBuffer: 10_000_000,
      },
    );
    const path = join(folder, 'streamed.mka');
    await writeFile(path, stdout);
    expect(await openFile(path, { rawRateHz: 8_000 })).toMatchObject([{ audioMs: undefined }, {}]);
    expect((await transcribe(path)).legs.map(({ audioMs }) => audioMs)).toEqual([SAMPLE_MS, SAMPLE_MS]);
    await expect(transcribe(path, undefined, 0.01)).rejects.toMatchObject({
      code: 'AUDIO_UNSUPPORTED',
      message: `${path}: more than 0.01 hours of audio; cut it`,
    });
  });

  it('ends its process where nobody reads on', async () => {
    const [leg] = await openFile(await convert('left.flac'), { rawRateHz: 8_000 });
    const pieces = (leg?.audio as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
    expect((await pieces.next()).value?.length).toBeGreaterThan(0);
    await pieces.return?.();
    expect(await pieces.next()).toMatchObject({ done: true });
  });
});
