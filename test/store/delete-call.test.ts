import { afterAll, beforeAll, expect, it } from 'vitest';

import type { CallRecord } from '../../src/call/record.ts';
import { newCallId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import { logRead } from '../../src/store/access-log.ts';
import { countCallRows, deleteCall, KEPT_TABLES, sumOfRows } from '../../src/store/delete-call.ts';
import { rememberForgotten } from '../../src/store/forgotten-calls.ts';
import { createPool, type Pool } from '../../src/store/pool.ts';
import { saveEvent } from '../../src/store/save-event.ts';
import { settleVoicemail } from '../../src/store/settle-voicemail.ts';
import { createTranscription, endTranscription } from '../../src/store/transcriptions.ts';
import { storeCompleteCall } from '../support/api-calls.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { anEvent } from '../support/facts.ts';

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

/** Tables, partitioned ones as one. */
async function tablesOf(columns = '.*'): Promise<readonly string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `select distinct relname as name
       from pg_class join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
      where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
        and attname ~ $1
      order by relname`,
    [columns],
  );
  return rows.map(({ name }) => name);
}

/** Tables in which one of these ids stands, in whatever column. */
async function mentionsOf(ids: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const table of await tablesOf()) {
    const { rowCount } = await pool.query(
      `select 1 from ${table} as row where row::text like any ($1) limit 1`,
      [ids.map((id) => `%${id}%`)],
    );
    if (rowCount === 1) found.push(table);
  }
  return found;
}

/** A call that has rows in every table that can name one. */
async function storeCallEverywhere(): Promise<CallRecord> {
  await pool.query(
    `insert into webhook_endpoints (id, url, secret, event_types)
     values (gen_random_uuid(), 'https://crm.example.com', 's', '{sentence.final,call.complete}')`,
  );
  const call = await storeCompleteCall(pool);
  const { id, legs } = call;
  await saveEvent(pool, anEvent({ callId: id, legId: legs[0]!.id }));
  await pool.query(
    `insert into call_links (call_id, linked_id, kind, identifier_kind, identifier_value) values ($1, $2, 'continues', 'ucid', '1'), ($2, $1, 'continues', 'ucid', '1')`,
    [id, newCallId()],
  );
  await pool.query(
    `insert into dead_letters (queue, fact_id, name, call_id, data, code, reason)
     values ('calls', '1', 'call', $1, '{}', 'X', 'x'), ('calls', '2', 'call', null, $2, 'X', 'x')`,
    [id, JSON.stringify({ callId: id })],
  );
  const onLeg = { callId: id, legId: legs[0]!.id };
  const detail = { mailbox: '1001', beginMs: 0, mailTo: ['a@example.com'] };
  await saveEvent(pool, anEvent({ ...onLeg, eventNo: 2, kind: 'voicemail_began', detail }));
  expect(await settleVoicemail(pool, id, 'give-up')).toMatchObject({ kind: 'made' });
  await pool.query('insert into awaited_voicemails values ($1)', [id]);
  await createTranscription(pool, { id, tenant: 'default', bytes: 1 });
  await endTranscription(pool, id, { callId: id, sentences: 4 });
  const reader = { tokenId: 't', tokenName: 't', tenant: undefined, requestId: 'r', peer: '127.0.0.1' };
  await logRead(pool, { kind: 'transcript', callIds: [id], ...reader });
  await rememberForgotten(pool, [id]);
  return call;
}

it('a deleted call is named in no table but those that say who read it, and that it was deleted', async () => {
  const other = await storeCompleteCall(pool);
  const { id, legs } = await storeCallEverywhere();
  const ids = [id, ...legs.map((leg) => leg.id)];
  // A new table that names calls must be filled above, and either be deleted from or be among those that stay.
  expect(await mentionsOf(ids)).toEqual(
    expect.arrayContaining([...(await tablesOf('(^|_)(call|leg|linked)_id$'))]),
  );
  expect(Object.values(await countCallRows(pool, id))).not.toContain(0);
  const deleted = await deleteCall(pool, id);
  expect(Object.values(deleted)).not.toContain(0);
  expect(await mentionsOf(ids)).toEqual([...KEPT_TABLES].sort());
  expect(sumOfRows(await countCallRows(pool, id))).toBe(0);
  expect(await countCallRows(pool, other.id)).toMatchObject({ calls: 1, legs: 2, sentences: 4 });
});

it('what stays of a deleted call holds nothing that was said in it, or by whom', async () => {
  const columns = await pool.query<{ name: string }>(
    `select distinct column_name as name from information_schema.columns
      where table_name = any ($1) and table_schema = 'public' order by 1`,
    [KEPT_TABLES],
  );
  expect(columns.rows.map(({ name }) => name)).toEqual([
    'at',
    'call_id',
    'forgotten_at',
    'id',
    'kind',
    'peer',
    'request_id',
    'tenant',
    'token_id',
    'token_name',
  ]);
});
