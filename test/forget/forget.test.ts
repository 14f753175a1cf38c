import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';

import type { CallRecord } from '../../src/call/record.ts';
import { readForgetCommandLine } from '../../src/forget/command-line.ts';
import { silentLogger } from '../../src/log.ts';
import { encodeJob } from '../../src/queue/jobs.ts';
import { redisBackend } from '../../src/queue/redis-backend.ts';
import { recordingFile } from '../../src/recording/recording-file.ts';
import { countCallRows, sumOfRows } from '../../src/store/delete-call.ts';
import type { Pool } from '../../src/store/pool.ts';
import { createPool } from '../../src/store/pool.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { saveSentence } from '../../src/store/save-sentence.ts';
import { startSentencesRole } from '../../workers/sentences.ts';
import type { TestDatabase } from '../support/database.ts';
import { createDatabase } from '../support/database.ts';
import { aCall, aSentence, finishing } from '../support/facts.ts';

const run = promisify(execFile);
const NUMBER = '13912345678';

let database: TestDatabase;
let pool: Pool;
let dataDir: string;

beforeAll(async () => {
  database = await createDatabase();
  pool = createPool({ databaseUrl: database.url, logger: silentLogger });
  dataDir = await mkdtemp(join(tmpdir(), 'callscribe-forget-'));
});

afterAll(async () => {
  await pool.end();
  await database.drop();
  await rm(dataDir, { recursive: true });
});

const redisUrl = (): string => `${inject('redisUrl')}/11`;

async function forget(...args: string[]): Promise<{ readonly code: number; readonly stdout: string }> {
  const env = { ...process.env, DATABASE_URL: database.url, REDIS_URL: redisUrl(), DATA_DIR: dataDir };
  const script = join(import.meta.dirname, '../../workers/forget.ts');
  return run(process.execPath, ['--import', 'tsx', script, ...args], { env }).then(
    ({ stdout }) => ({ code: 0, stdout }),
    (error: unknown) => {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      return { code, stdout: stdout + stderr };
    },
  );
}

/** An ended call of the number, with a row, a recording, and a sentence that could not be published. */
async function leaveCall(user: string): Promise<{ readonly call: CallRecord; readonly recording: string }> {
  const { id, legs } = aCall();
  const [agent, customer] = legs;
  const uri = `sip:${user}@pbx.example.com`;
  const call = finishing(aCall({ id, legs: [agent!, { ...customer!, uri }] }), [1, 0]);
  await saveCall(pool, call);
  await saveSentence(pool, aSentence({ callId: id, legId: agent!.id }));
  const recording = join(dataDir, 'recordings', recordingFile(id, call.startedAt));
  await mkdir(dirname(recording), { recursive: true });
  await writeFile(recording, 'RIFF');
  return { call, recording };
}

describe('npm run forget', () => {
  it('deletes all calls of a number, wherever they are, and proves it; others stay', async () => {
    const mine = [await leaveCall(`+86${NUMBER}`), await leaveCall(`0${NUMBER}`)];
    const other = await leaveCall('+8613900000000');
    const refused = join(dataDir, 'outbox', 'refused.ndjson');
    await mkdir(dirname(refused), { recursive: true });
    await writeFile(refused, `{"callId":"${mine[0]!.call.id}"}\n{"callId":"${other.call.id}"}\n`);
    const backend = redisBackend({ redisUrl: redisUrl() });
    const queue = await backend.openQueue('sentences', () => undefined);
    const [leg] = mine[0]!.call.legs;
    const late = aSentence({ callId: mine[0]!.call.id, legId: leg!.id, sentenceNo: 2 });
    await queue.add([encodeJob({ name: 'sentence', payload: late })]);

    const tried = await forget('--number', `+86 ${NUMBER}`, '--dry-run');
    expect(tried).toMatchObject({ code: 0, stdout: expect.stringContaining('1 calls would be') as string });
    const dry = await forget('--number', NUMBER, '--dry-run');
    expect(dry.stdout).toContain('2 calls would be forgotten');
    expect(existsSync(mine[0]!.recording)).toBe(true);

    const role = await startSentencesRole({ pool, backend, logger: silentLogger });
    const done = await forget('--number', NUMBER);
    expect(done.stdout).toContain('2 calls forgotten; nothing of them is left');
    expect(done.code).toBe(0);
    await role.close();
    await queue.close();
    for (const { call, recording } of mine) {
      expect(sumOfRows(await countCallRows(pool, call.id))).toBe(0);
      expect(existsSync(recording)).toBe(false);
    }
    expect(await readFile(refused, 'utf8')).toBe(`{"callId":"${other.call.id}"}\n`);
    expect(existsSync(other.recording)).toBe(true);
    expect(await countCallRows(pool, other.call.id)).toMatchObject({ calls: 1, sentences: 1 });
  });

  it('leaves a call alone that still goes on, and says so', async () => {
    const call = aCall();
    await saveCall(pool, call);
    const { code, stdout } = await forget('--call', call.id);
    expect(code).toBe(1);
    expect(stdout).toContain('still goes on');
    expect(await countCallRows(pool, call.id)).toMatchObject({ calls: 1 });
  });

  it.each([
    ['nobody is named', []],
    ['the number is short', ['--number', '123']],
    ['the number is a word', ['--number', 'anna']],
    ['the call is no id', ['--call', 'x']],
    ['there is no such option', ['--all']],
    ['a value is missing', ['--number']],
  ])('refuses when %s', (_, args) => {
    expect(() => readForgetCommandLine(args)).toThrow(expect.objectContaining({ code: 'USAGE' }) as Error);
  });
});
