import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { newCallId, newLegId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { callOfFile } from '../../src/transcribe/call-of-file.ts';
import { findFiles } from '../../src/transcribe/find-files.ts';
import { writeTranscript } from '../../src/transcribe/formats.ts';
import { openFile } from '../../src/transcribe/open-file.ts';
import { transcribeFile } from '../../src/transcribe/transcribe-file.ts';
import { inOrder } from '../../src/transcribe/transcript.ts';
import { stereoSample } from '../support/stereo-sample.ts';

const ROOT = join(import.meta.dirname, '../..');
const AGENT = join(ROOT, 'src/sample/agent.wav');
const CUSTOMER = join(ROOT, 'src/sample/customer.wav');
const FIRST = '您好，这里是客户服务中心，请问有什么可以帮您？';

let folder: string;
let sandbox: Sandbox;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'callscribe-transcribe-'));
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

const transcribe = (path: string, onProgress: (share: number) => void = () => undefined) =>
  transcribeFile(path, {
    service: { url: sandbox.url, apiKey: 'test' },
    model: undefined,
    vocabularyId: undefined,
    rawRateHz: 8_000,
    speed: 1_000,
    signal: AbortSignal.timeout(20_000),
    onProgress,
  });

describe('a file', () => {
  it('of G.711 is decoded on its way, and its progress told to the end', async () => {
    const shares: number[] = [];
    const { legs } = await transcribe(AGENT, (share) => shares.push(share));
    expect(legs).toHaveLength(1);
    expect(legs[0]).toMatchObject({ codec: 'PCMA', model: 'paraformer-realtime-8k-v2' });
    expect(legs[0]!.sentences[0]).toMatchObject({ text: FIRST, beginMs: 600, endMs: 5_050 });
    expect(shares.at(-1)).toBe(1);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
  });

  it('of two channels is two legs', async () => {
    const path = join(folder, 'stereo.wav');
    await writeFile(path, await stereoSample());
    const transcript = await transcribe(path);
    expect(transcript.legs.map(({ sentences }) => sentences.length)).toEqual([8, 6]);
    expect(
      inOrder(transcript)
        .map(({ legNo }) => legNo)
        .slice(0, 3),
    ).toEqual([0, 1, 0]);
    const callId = newCallId();
    const call = callOfFile(transcript, {
      callId,
      tenant: 'acme',
      legIds: [newLegId(callId), newLegId(callId)],
      startedAt: new Date(0),
    });
    expect(call.call).toMatchObject({
      state: 'finishing',
      tenant: 'acme',
      direction: 'unknown',
      metadata: { kind: 'file', name: 'stereo.wav' },
      legs: [{ sentenceCount: 8 }, { sentenceCount: 6 }],
    });
    expect(call.sentences[0]).toMatchObject({ sentenceNo: 1, legNo: 0, text: FIRST, beginAt: new Date(600) });
    expect(call.sentences[8]).toMatchObject({ sentenceNo: 1, legNo: 1 });
  });

  it('that ends in .pcm goes as it is, at the rate that was said', async () => {
    const path = join(folder, 'raw.pcm');
    await writeFile(path, Buffer.alloc(3_200));
    expect(await openFile(path, { rawRateHz: 16_000 })).toEqual([
      {
        legNo: 0,
        format: 'pcm',
        sampleRate: 16_000,
        codec: undefined,
        totalBytes: 3_200,
        audioMs: 100,
        audio: path,
      },
    ]);
  });

  it.each([
    ['empty.wav', Buffer.alloc(0), /the file is empty$/],
    ['noise.wav', Buffer.from('these are not samples'), /no header that is known.*; ffmpeg /],
    ['song.flac', Buffer.from('fLaC and more'), /FLAC (is not taken; |in which )ffmpeg /],
    ['cut.wav', Buffer.from('RIFF\0\0\0\0WAVEfmt ', 'latin1'), /ends.*; copy it again/],
  ])('named %s is refused with its reason', async (name, bytes, reason) => {
    const path = join(folder, name);
    await writeFile(path, bytes);
    await expect(openFile(path, { rawRateHz: 8_000 })).rejects.toMatchObject({
      code: 'AUDIO_UNSUPPORTED',
      message: expect.stringMatching(reason) as string,
    });
  });
});

describe('the formats', () => {
  it('hold the same sentences', async () => {
    const transcript = await transcribe(AGENT);
    expect(writeTranscript(transcript, 'txt').split('\n')[0]).toBe(FIRST);
    const json = JSON.parse(writeTranscript(transcript, 'json')) as { legs: { sentences: unknown[] }[] };
    expect(json.legs[0]!.sentences[0]).toMatchObject({
      begin_ms: 600,
      end_ms: 5_050,
      text: FIRST,
      emo_tag: 'neutral',
    });
    expect(writeTranscript(transcript, 'srt').match(/-->/g)).toHaveLength(8);
    expect(writeTranscript(transcript, 'vtt').match(/-->/g)).toHaveLength(8);
  });
});

describe('a directory', () => {
  it('gives its audio files and those below, by name; what is missing is a fault and no end', async () => {
    const root = join(folder, 'calls');
    await mkdir(join(root, 'b'), { recursive: true });
    for (const name of ['c.wav', 'b/a.mp3', 'd.flac', 'notes.txt']) await writeFile(join(root, name), 'x');
    const found = await findFiles([root, join(root, 'no.wav')]);
    expect(found.map(({ kind, path }) => [kind, path.slice(root.length + 1)])).toEqual([
      ['file', 'b/a.mp3'],
      ['file', 'c.wav'],
      ['file', 'd.flac'],
      ['fault', 'no.wav'],
    ]);
  });

  it('is read, a pipe is not: nobody knows when its header comes', async () => {
    const pipe = join(folder, 'pipe');
    await promisify(execFile)('mkfifo', [pipe]);
    expect(await findFiles([pipe])).toMatchObject([{ kind: 'fault', error: { code: 'AUDIO_UNSUPPORTED' } }]);
  });
});

describe('the command', () => {
  const command = async (
    ...given: (string | Readonly<Record<string, string>>)[]
  ): Promise<{ code: number; stdout: string; stderr: string }> => {
    const args = given.filter((arg) => typeof arg === 'string');
    const own = given.filter((arg) => typeof arg !== 'string');
    const env = Object.assign(
      { ...process.env, DASHSCOPE_API_KEY: 'test', DASHSCOPE_WS_URL: sandbox.url },
      ...own,
    ) as NodeJS.ProcessEnv;
    try {
      const root = join(ROOT, 'workers/transcribe.ts');
      const run = await promisify(execFile)(process.execPath, ['--import', 'tsx', root, ...args], {
        env,
        cwd: ROOT,
      });
      return { code: 0, ...run };
    } catch (thrown) {
      return thrown as { code: number; stdout: string; stderr: string };
    }
  };

  const start = (...args: string[]) => {
    const child = spawn(process.execPath, ['--import', 'tsx', join(ROOT, 'workers/transcribe.ts'), ...args], {
      cwd: ROOT,
      env: { ...process.env, DASHSCOPE_API_KEY: 'test', DASHSCOPE_WS_URL: sandbox.url },
    });
    const output = { stdout: '', stderr: '' };
    child.stdout.on('data', (text: Buffer) => (output.stdout += text.toString()));
    child.stderr.on('data', (text: Buffer) => (output.stderr += text.toString()));
    return { child, output, ended: once(child, 'close').then(([code]) => code as number | null) };
  };

  it('goes on after a bad file and ends with 1', async () => {
    const bad = join(folder, 'bad.wav');
    await writeFile(bad, 'not audio');
    const { code, stdout, stderr } = await command('--speed', '1000', bad, AGENT);
    expect(code).toBe(1);
    expect(stdout.split('\n')[0]).toBe(FIRST);
    expect(stderr).toContain(`${bad}: no header that is known`);
    expect(stderr).toContain('1 of 2 files done');
  });

  it('says how to convert what only ffmpeg reads, where that is not installed', async () => {
    const path = join(folder, 'call.flac');
    await writeFile(path, 'fLaC and more');
    const { code, stderr } = await command({ PATH: folder }, path);
    expect(code).toBe(1);
    expect(stderr).toContain(`${path}: FLAC is not taken; ffmpeg -i INPUT `);
  });

  it('writes files where it is told to, and ends with 0', async () => {
    const out = join(folder, 'out');
    const { code } = await command('--speed', '1000', '--format', 'srt', '--output', out, AGENT);
    expect(code).toBe(0);
    expect(await readFile(join(out, 'agent.wav.srt'), 'utf8')).toContain('00:00:00,600 --> 00:00:05,050');
  });

  it('ends with 2 when it is used wrongly', async () => {
    expect((await command('--format', 'doc')).code).toBe(2);
    expect(await command('--output', AGENT, AGENT)).toMatchObject({
      code: 2,
      stderr: `--output: ${AGENT} cannot be a directory (a file has that name); name another\n`,
    });
  });

  it('repeats the service’s own words', async () => {
    const { code, stderr } = await command('--model', 'nonsense', AGENT);
    expect(code).toBe(1);
    expect(stderr).toContain('failed with ModelNotFound (“Model can not be found.”)');
  });

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'is ended by %s: what is open is ended, nothing of it is written, the rest is left',
    async (name) => {
      const { child, output, ended } = start('--speed', '1', AGENT, CUSTOMER);
      while (!output.stderr.includes('10%')) await once(child.stderr, 'data');
      child.kill(name);
      expect(await ended).toBe(1);
      expect(output.stderr).toContain(`${AGENT}: stopped before its end\n0 of 2 files done\n`);
      expect(output.stdout).toBe('');
    },
  );

  it('ends quietly when nobody reads its output', async () => {
    const { child, output, ended } = start('--speed', '1000', AGENT, CUSTOMER, AGENT);
    child.stdout.destroy();
    await ended;
    expect(output.stderr).not.toMatch(/EPIPE|at .*\.ts/);
  });
});
