import { execFile } from 'node:child_process';
import process from 'node:process';
import { promisify } from 'node:util';

import { afterEach, beforeEach, expect, it } from 'vitest';

import type { CallRecord } from '../../src/call/record.ts';
import { CallscribeError } from '../../src/errors.ts';
import { silentLogger as logger } from '../../src/log.ts';
import { encodeJob } from '../../src/queue/jobs.ts';
import { loadCall } from '../../src/store/load-call.ts';
import { createPool, type Pool } from '../../src/store/pool.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { bury } from '../../workers/bury.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { aCall, aSentence, finishing } from '../support/facts.ts';
import { leaveMessage } from '../support/voicemails.ts';

const run = promisify(execFile);
let database: TestDatabase;
let pool: Pool;
let call: CallRecord;

beforeEach(async () => {
  database = await createDatabase();
  pool = createPool({ databaseUrl: database.url, logger });
  call = finishing(aCall(), [1, 0]);
  await saveCall(pool, call);
  const error = new CallscribeError('DATABASE_REJECTED', 'Postgres answered with SQLSTATE 23514');
  const sentence = aSentence({ callId: call.id, legId: call.legs[0]!.id });
  const good = encodeJob({ name: 'sentence', payload: sentence });
  await bury(pool, { ...good, queue: 'sentences', error });
  await bury(pool, {
    ...good,
    id: 'bad',
    data: { callId: 'nobody', text: '秘密\0' },
    queue: 'sentences',
    error,
  });
});

afterEach(async () => {
  await pool.end();
  await database.drop();
});

async function deadLetters(...args: string[]): Promise<{ readonly out: string; readonly code: number }> {
  const env = { ...process.env, DATABASE_URL: database.url };
  try {
    const { stdout } = await run('node', ['--import', 'tsx', 'workers/dead-letters.ts', ...args], { env });
    return { out: stdout, code: 0 };
  } catch (failure) {
    const { stdout, stderr, code } = failure as { stdout: string; stderr: string; code: number };
    return { out: stdout + stderr, code };
  }
}

it('shows what is dead, writes what can be written, and drops on request', async () => {
  const listed = await deadLetters('list');
  expect(listed.out).toContain('2 dead letters');
  expect(listed.out).toContain(call.id);
  expect(listed.out).not.toContain('秘密');
  expect((await deadLetters('show', 'all')).out).toContain('秘密');

  const replayed = await deadLetters('replay', 'all');
  expect(replayed.out).toContain('1 replayed, 1 cannot be written and stay');
  expect(replayed.code).toBe(1);
  // It was all that was missing.
  expect((await loadCall(pool, call.id))?.state).toBe('complete');

  expect((await deadLetters('drop', 'all')).out).toContain('1 dropped');
  expect((await deadLetters('list')).out).toContain('0 dead letters');
});

it('shows, sends again and drops e-mails that no mail server took', async () => {
  const callId = await leaveMessage(pool, { mailTo: ['a@example.com', 'b@example.com'] });
  await deadLetters('drop', 'all');
  await pool.query(
    `update voicemail_mails set state = 'dead', failure = 'EENVELOPE 550', failed_at = now(), attempts = 4`,
  );
  const { out } = await deadLetters('list');
  expect(out).toContain('2 e-mails');
  expect(out).toContain(callId);
  const [first = '', second = ''] = out.match(/mail-\d+/g) ?? [];
  expect(JSON.parse((await deadLetters('show', first)).out)).toMatchObject({ id: first, attempts: 4 });
  expect((await deadLetters('replay', first)).out).toContain('1 e-mail to be sent again');
  expect((await deadLetters('drop', second)).out).toContain('1 e-mail dropped');
  const { rows } = await pool.query('select state, attempts, recipient from voicemail_mails');
  expect(rows).toEqual([{ state: 'pending', attempts: 0, recipient: 'a@example.com' }]);
});

it('says what is wrong with its arguments', async () => {
  expect((await deadLetters('drop')).code).toBe(2);
  expect((await deadLetters('drop', 'x')).code).toBe(2);
  expect((await deadLetters('drop', 'mail-x')).code).toBe(2);
  expect((await deadLetters('burn')).code).toBe(2);
  expect((await deadLetters('--help')).code).toBe(0);
});
