import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { muteRecogniser } from '../../src/bench/scripted-recogniser.ts';
import { type CallId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import { encodeG711Wav } from '../../src/sample/g711-wav.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import type { SandboxRecogniser } from '../../src/sandbox/recogniser.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import { createPool, type Pool } from '../../src/store/pool.ts';
import { makeCodes } from '../support/captioned-audio.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { endRoots, logged, type RunningRoot, start } from '../support/root-process.ts';

let database: TestDatabase;
let dataDir: string;
let pool: Pool;

beforeEach(async () => {
  database = await createDatabase();
  pool = createPool({ databaseUrl: database.url, logger: silentLogger });
  dataDir = await mkdtemp(join(tmpdir(), 'callscribe-transcriptions-'));
});

afterEach(async () => {
  await endRoots();
  await pool.end();
  await database.drop();
  await rm(dataDir, { recursive: true, force: true });
});

const openSandbox = (recogniser: SandboxRecogniser): Promise<Sandbox> =>
  startSandbox({ host: '127.0.0.1', port: 0, recogniser, rateLimit: 'off', logger: silentLogger });

interface Api {
  readonly root: RunningRoot;
  readonly url: string;
}

async function startApi(sandbox: Sandbox): Promise<Api> {
  const root = start('role.ts', ['api'], {
    DATABASE_URL: database.url,
    DATA_DIR: dataDir,
    DASHSCOPE_WS_URL: sandbox.url,
    API_REQUESTS_PER_MINUTE: '100000',
  });
  const { http } = await logged(root, 'ready');
  return { root, url: `${String(http)}/v1/transcriptions` };
}

interface Answer {
  readonly status: number;
  readonly id: string;
  readonly state: string;
  readonly code?: string;
  readonly call_id: CallId | null;
}

async function answerOf(response: Response): Promise<Answer> {
  return { ...((await response.json()) as Answer), status: response.status };
}

async function handIn({ url }: Api, name: string, content: Uint8Array): Promise<Answer> {
  const body = new FormData();
  body.set('file', new Blob([Buffer.from(content)]), name);
  return answerOf(await fetch(url, { method: 'POST', body }));
}

async function inState({ url }: Api, id: string, state: string): Promise<Answer> {
  for (;;) {
    const answer = await answerOf(await fetch(`${url}/${id}`));
    if (answer.state === state) return answer;
    if (answer.state === 'failed') throw new Error(JSON.stringify(answer));
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** The most memory that the process ever had, in bytes. */
async function peakBytesOf({ root }: Api): Promise<number> {
  const status = await readFile(`/proc/${root.child.pid ?? 0}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024;
}

/** A form with a file of zeros, sent piece by piece. */
function longForm(name: string, fileBytes: number): RequestInit {
  const boundary = 'x-boundary';
  const piece = new Uint8Array(1_000_000);
  async function* parts(): AsyncGenerator<Uint8Array> {
    const head = `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="${name}"\r\n\r\n`;
    yield Buffer.from(head);
    for (let left = fileBytes; left > 0; left -= piece.length) yield piece.subarray(0, left);
    yield Buffer.from(`\r\n--${boundary}--\r\n`);
    await Promise.resolve();
  }
  return {
    method: 'POST',
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: parts(),
    duplex: 'half',
  };
}

/** Of G.711; of 16-bit samples they would be more than may be. */
const SIX_HOURS_BYTES = 6 * 3_600 * 8_000;

const uploads = (): Promise<string[]> => readdir(join(dataDir, 'uploads'));

describe('files that were handed in', { timeout: 90_000 }, () => {
  it('are recognised by the next process where the first one was killed, and stored once', async () => {
    await using sandbox = await openSandbox(captionsRecogniser);
    const first = await startApi(sandbox);
    const text = '您好，请问有什么可以帮您？';
    const codes = makeCodes('PCMA', 20_000, [{ beginMs: 500, endMs: 2_300, text }]);
    const taken = await handIn(first, 'a.wav', encodeG711Wav('PCMA', codes));
    await inState(first, taken.id, 'running');
    first.root.child.kill('SIGKILL');
    await first.root.ended;
    expect(await uploads()).toEqual([taken.id]);

    const next = await startApi(sandbox);
    const done = await inState(next, taken.id, 'complete');
    const said = await loadTranscript(pool, done.call_id!);
    expect(said.map((sentence) => sentence.text)).toEqual([text]);
    while ((await uploads()).length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  });

  it('beyond those that may wait are refused, and told when to ask again', async () => {
    await using sandbox = await openSandbox(muteRecogniser);
    const api = await startApi(sandbox);
    const tenMinutes = new Uint8Array(600 * 16_000);
    for (let no = 0; no < 2; no += 1) {
      await inState(api, (await handIn(api, 'long.pcm', tenMinutes)).id, 'running');
    }
    const short = new Uint8Array(1_600);
    const answers = await Promise.all(Array.from({ length: 110 }, () => handIn(api, 'short.pcm', short)));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 202)).toHaveLength(100);
    expect(statuses.filter((status) => status === 503)).toHaveLength(10);
    expect(new Set(answers.flatMap(({ code }) => code ?? []))).toEqual(new Set(['TRANSCRIPTIONS_FULL']));
    const refused = await fetch(api.url, longForm('short.pcm', 1_600));
    expect(refused.headers.get('retry-after')).not.toBeNull();
    await refused.body?.cancel();
    expect(await uploads()).toHaveLength(102);
  });

  it('beyond the size are refused, without a place in memory or on disk', async () => {
    await using sandbox = await openSandbox(muteRecogniser);
    const api = await startApi(sandbox);
    await handIn(api, 'warm-up.txt', new Uint8Array(1_600));
    const before = await peakBytesOf(api);
    const answer = await answerOf(await fetch(api.url, longForm('a.pcm', 201_000_000)));
    expect(answer).toMatchObject({ status: 413, code: 'BODY_TOO_LARGE' });
    expect((await peakBytesOf(api)) - before).toBeLessThan(80_000_000);
    expect(await uploads()).toEqual([]);
  });

  it('of six hours are taken without a place in memory', async () => {
    await using sandbox = await openSandbox(muteRecogniser);
    const api = await startApi(sandbox);
    await handIn(api, 'warm-up.txt', new Uint8Array(1_600));
    const before = await peakBytesOf(api);
    const answer = await answerOf(await fetch(api.url, longForm('a.alaw', SIX_HOURS_BYTES)));
    expect(answer).toMatchObject({ status: 202, bytes: SIX_HOURS_BYTES });
    await inState(api, answer.id, 'running');
    expect((await peakBytesOf(api)) - before).toBeLessThan(80_000_000);
  });
});
