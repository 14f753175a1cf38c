import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { newCallId, newLegId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import {
  beginOfMonth,
  listPartitions,
  makeMonths,
  monthOf,
  monthOfPartition,
  MONTHS_AHEAD,
  monthsAfter,
  partitionName,
} from '../../src/store/months.ts';
import type { Pool } from '../../src/store/pool.ts';
import { createPool, toStoreError } from '../../src/store/pool.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { saveSentence } from '../../src/store/save-sentence.ts';
import type { TestDatabase } from '../support/database.ts';
import { createDatabase } from '../support/database.ts';
import { aCall, aLeg, aSentence } from '../support/facts.ts';

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await createDatabase();
  pool = createPool({ databaseUrl: database.url, logger: silentLogger });
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

/** The partition of each of a call's rows. */
async function partitionsOf(callId: string): Promise<Record<string, string>> {
  const { rows } = await pool.query<{ name: string }>(
    `select tableoid::regclass::text as name from calls where id = $1
     union all select tableoid::regclass::text from legs where call_id = $1
     union all select tableoid::regclass::text from sentences where call_id = $1
     union all select tableoid::regclass::text from call_identifiers where call_id = $1`,
    [callId],
  );
  return Object.fromEntries(rows.map(({ name }) => [/^(?:call_)?[a-z]+/.exec(name)?.[0] ?? '', name]));
}

async function withSession<T>(work: (session: Pick<Pool, 'query'>) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    return await work(client);
  } finally {
    client.release();
  }
}

async function storeCallAt(at: Date): Promise<ReturnType<typeof aCall>> {
  const call = aCall({ id: newCallId(at), startedAt: at });
  await saveSentence(pool, aSentence({ callId: call.id, legId: call.legs[0]!.id }));
  await saveCall(pool, call);
  return call;
}

describe('the months', () => {
  it('of now and of the time to come are there after the migration', async () => {
    const now = monthOf(new Date());
    const expected = Array.from({ length: MONTHS_AHEAD + 1 }, (_, ahead) =>
      partitionName('sentences', monthsAfter(now, ahead)),
    );
    expect(await listPartitions(pool, 'sentences')).toEqual([...expected, 'sentences_other']);
    expect(await withSession((session) => makeMonths(session, new Date()))).toEqual([]);
  });

  it('hold whole calls: whatever a call leaves is in one month', async () => {
    const lastOfMonth = new Date(beginOfMonth(monthsAfter(monthOf(new Date()), 1)).getTime() - 1);
    const call = await storeCallAt(lastOfMonth);
    const names = Object.values(await partitionsOf(call.id));
    expect(names).toHaveLength(4);
    expect(new Set(names.map((name) => JSON.stringify(monthOfPartition(name))))).toEqual(
      new Set([JSON.stringify(monthOf(new Date()))]),
    );
  });

  it('made late take over the rows that came before them', async () => {
    const at = new Date('2031-05-31T23:59:59.999Z');
    const call = await storeCallAt(at);
    const next = await storeCallAt(new Date('2031-06-01T00:00:00.000Z'));
    expect(await partitionsOf(call.id)).toMatchObject({ calls: 'calls_other', sentences: 'sentences_other' });
    const made = await withSession((session) => makeMonths(session, new Date('2031-02-10T12:00:00Z')));
    expect(made).toContain('sentences_2031_05');
    expect(await partitionsOf(call.id)).toMatchObject({
      calls: 'calls_2031_05',
      legs: 'legs_2031_05',
      sentences: 'sentences_2031_05',
    });
    expect(await partitionsOf(next.id)).toMatchObject({ sentences: 'sentences_other' });
    expect(await loadTranscript(pool, call.id)).toHaveLength(1);
  });

  it('are given up at once where a table is in use, and made later', async () => {
    const reader = await pool.connect();
    const later = new Date('2035-01-10T12:00:00Z');
    await reader.query(
      'begin; lock table calls_other in access share mode; lock table calls in exclusive mode',
    );
    const failure = await withSession((session) => makeMonths(session, later)).catch(toStoreError);
    expect(failure).toMatchObject({ code: 'DATABASE_REJECTED', retryable: true });
    await reader.query('rollback');
    reader.release();
    expect(await withSession((session) => makeMonths(session, later))).toContain('calls_2035_01');
  });

  it('refuse a leg whose id is not of its call', async () => {
    const call = aCall();
    const legs = [aLeg({ id: newLegId(newCallId(new Date(0))) })];
    await expect(saveCall(pool, { ...call, legs })).rejects.toMatchObject({ constraint: 'legs_id_of_call' });
  });
});
