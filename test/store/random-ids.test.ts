import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { silentLogger } from '../../src/log.ts';
import { completeCall } from '../../src/store/complete-call.ts';
import { loadCall } from '../../src/store/load-call.ts';
import { loadLegs } from '../../src/store/load-legs.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import { migrate } from '../../src/store/migrate.ts';
import { listPartitions } from '../../src/store/months.ts';
import type { Pool } from '../../src/store/pool.ts';
import { createPool } from '../../src/store/pool.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { saveSentence } from '../../src/store/save-sentence.ts';
import type { TestDatabase } from '../support/database.ts';
import { createDatabase } from '../support/database.ts';
import { aCall, aLeg, aSentence, finishing } from '../support/facts.ts';

const MIGRATIONS = join(import.meta.dirname, '../../migrations');

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await createDatabase('empty');
  pool = createPool({ databaseUrl: database.url, logger: silentLogger });
});

afterAll(async () => {
  await pool.query('drop owned by crm_reader; drop role crm_reader');
  await pool.end();
  await database.drop();
});

/** The schema as it was before ids had a time. */
async function migrateUntil0005(): Promise<void> {
  const files = (await readdir(MIGRATIONS)).filter((file) => file < '0006').toSorted();
  await pool.query(
    'create table schema_migrations (id serial primary key, name varchar(255), run_on timestamp)',
  );
  for (const file of files) {
    await pool.query(await readFile(join(MIGRATIONS, file), 'utf8'));
    await pool.query('insert into schema_migrations (name, run_on) values ($1, now())', [
      file.replace('.sql', ''),
    ]);
  }
}

const counts = async (): Promise<unknown> => {
  const { rows } = await pool.query<pg.QueryResultRow>(
    `select (select count(*)::int from calls) as calls, (select count(*)::int from legs) as legs,
            (select count(*)::int from sentences) as sentences, (select count(*)::int from call_events) as events,
            (select count(*)::int from call_identifiers) as identifiers,
            (select md5(string_agg(row(leg_id, sentence_no, call_id, text)::text, ',' order by leg_id, sentence_no)) from sentences) as text`,
  );
  return rows[0];
};

it('rows of calls with random ids stay as they are, readable and writable, when months come', async () => {
  await migrateUntil0005();
  await pool.query(`create role crm_reader; grant select on sentences to crm_reader`).catch(() => undefined);
  await pool.query(`
    insert into calls (id, revision, sip_call_id, tenant, direction, mapping, started_at)
    select gen_random_uuid(), 1, 'x', 'default', 'inbound', 'metadata', '2026-01-01' from generate_series(1, 1500);
    insert into legs (id, call_id, leg_no) select gen_random_uuid(), id, no from calls, generate_series(0, 1) as no;
    insert into sentences (leg_id, sentence_no, call_id, begin_ms, end_ms, begin_at, end_at, text, asr_task_id)
    select id, no, call_id, 0, 1, '2026-01-01', '2026-01-01', '您好' || no, 't' from legs, generate_series(1, 3) as no;
    insert into call_identifiers select id, 'ucid', 'v' || id from calls;
    insert into call_events (call_id, event_no, at, kind) select id, 1, '2026-01-01', 'hold' from calls`);
  const before = await counts();

  expect(await migrate(database.url, silentLogger)).toContain('0006_months');
  expect(await counts()).toEqual(before);
  expect(await listPartitions(pool, 'sentences')).toEqual(
    expect.arrayContaining(['sentences_random_ids', 'sentences_other']),
  );
  const { rows } = await pool.query<{ low: number; high: number }>(
    `select (select count(*)::int from sentences_other) as low, (select count(*)::int from sentences_random_ids) as high`,
  );
  expect(rows[0]!.low).toBeGreaterThan(0);
  expect(rows[0]!.high).toBeGreaterThan(rows[0]!.low * 20);
  const mayRead = await pool.query(`select has_table_privilege('crm_reader', 'sentences', 'select') as may`);
  expect(mayRead.rows).toEqual([{ may: true }]);

  // Jobs of the version before are still in the queue; both halves of the ids are there.
  for (const start of ['00', 'fe']) {
    const callId = `${start}${randomUUID().slice(2)}` as ReturnType<typeof aCall>['id'];
    const legIds = ['01', 'ff'].map((head) => `${head}${randomUUID().slice(2)}`);
    const legs = legIds.map((id, legNo) => aLeg({ id: id as ReturnType<typeof aLeg>['id'], legNo }));
    const call = finishing(aCall({ id: callId, legs }), [1, 1]);
    for (const leg of legs) await saveSentence(pool, aSentence({ callId, legId: leg.id, legNo: leg.legNo }));
    await saveCall(pool, call);
    expect(await completeCall(pool, callId)).toBe('complete');
    expect(await loadCall(pool, callId)).toMatchObject({ state: 'complete' });
    expect(await loadLegs(pool, callId)).toHaveLength(2);
    expect(await loadTranscript(pool, callId)).toHaveLength(2);
  }
});
