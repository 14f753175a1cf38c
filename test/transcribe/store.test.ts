import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { toCallId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { loadCall } from '../../src/store/load-call.ts';
import { loadLegs } from '../../src/store/load-legs.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import { createPool, type Pool } from '../../src/store/pool.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const ROOT = join(import.meta.dirname, '../..');

let database: TestDatabase;
let pool: Pool;
let sandbox: Sandbox;
let folder: string;
beforeAll(async () => {
  database = await createDatabase();
  pool = createPool({ databaseUrl: database.url, logger: silentLogger });
  sandbox = await startSandbox({
    host: '127.0.0.1',
    port: 0,
    recogniser: captionsRecogniser,
    logger: silentLogger,
  });
  folder = await mkdtemp(join(tmpdir(), 'callscribe-transcribe-store-'));
});
afterAll(async () => {
  await sandbox.close();
  await pool.end();
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

/** @returns the ids of the calls, in the order of the files */
async function store(...files: string[]): Promise<readonly string[]> {
  const { stderr } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', join(ROOT, 'workers/transcribe.ts'), '--store', '--speed', '1000', ...files],
    {
      cwd: ROOT,
      env: {
        ...process.env,
        DASHSCOPE_API_KEY: 'test',
        DASHSCOPE_WS_URL: sandbox.url,
        DATABASE_URL: database.url,
      },
    },
  );
  return [...stderr.matchAll(/: call (\S+)/g)].map((match) => match[1]!);
}

describe('npm run transcribe -- --store', () => {
  it('writes a complete call with a leg and its sentences', async () => {
    const [id = ''] = await store(join(ROOT, 'src/sample/agent.wav'));
    const callId = toCallId(id);
    expect(await loadCall(pool, callId)).toMatchObject({
      state: 'complete',
      direction: 'unknown',
      metadata: { kind: 'file', name: 'agent.wav' },
    });
    expect(await loadLegs(pool, callId)).toMatchObject([
      { legNo: 0, codec: 'PCMA', model: 'paraformer-realtime-8k-v2', sentenceCount: 8 },
    ]);
    const sentences = await loadTranscript(pool, callId);
    expect(sentences).toHaveLength(8);
    expect(sentences[0]).toMatchObject({
      sentenceNo: 1,
      beginMs: 600,
      endMs: 5_050,
      text: '您好，这里是客户服务中心，请问有什么可以帮您？',
      emoTag: 'neutral',
    });
  });

  it('writes one without sentences for silence, and no codec where the file has none of a call', async () => {
    const path = join(folder, 'silence.pcm');
    await writeFile(path, Buffer.alloc(16_000));
    const [id = ''] = await store(path);
    expect(await loadCall(pool, toCallId(id))).toMatchObject({ state: 'complete' });
    expect(await loadLegs(pool, toCallId(id))).toMatchObject([{ codec: null, sentenceCount: 0 }]);
  });
});
