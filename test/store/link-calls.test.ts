import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';

import type { CallRecord } from '../../src/call/record.ts';
import { newCallId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import { linkCalls } from '../../src/store/link-calls.ts';
import type { Pool } from '../../src/store/pool.ts';
import { createPool } from '../../src/store/pool.ts';
import { saveCalls } from '../../src/store/save-call.ts';
import type { TestDatabase } from '../support/database.ts';
import { createDatabase } from '../support/database.ts';
import { aCall } from '../support/facts.ts';

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await createDatabase();
  pool = createPool({ databaseUrl: database.url, logger: silentLogger });
});

beforeEach(async () => {
  await pool.query('truncate call_links, call_identifiers, legs, calls');
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

/** A call of a minute with this UCID, begun so many minutes after nine. */
function callAt(minute: number, ucid: string): CallRecord {
  const startedAt = new Date(Date.UTC(2026, 10, 2, 9, minute));
  const endedAt = new Date(startedAt.getTime() + 60_000);
  const identifiers = [{ kind: 'ucid', value: ucid } as const];
  return aCall({ id: newCallId(startedAt), startedAt, endedAt, identifiers });
}

const links = async (): Promise<unknown[]> =>
  (await pool.query<object>('select * from call_links order by call_id, linked_id')).rows;

it('calls of one batch that share ids are linked as they are one by one', async () => {
  const calls = [
    callAt(0, 'ucid-of-two-1'),
    callAt(3, 'ucid-of-two-1'),
    callAt(0, 'ucid-of-three'),
    callAt(0, 'ucid-of-three'),
    callAt(5, 'ucid-of-three'),
    callAt(1, 'ucid-of-nobody-else'),
  ];
  await saveCalls(pool, calls);
  await linkCalls(
    pool,
    calls.map(({ id }) => id),
  );
  const together = await links();
  await pool.query('truncate call_links');
  for (const { id } of calls) await linkCalls(pool, [id]);
  expect(await links()).toEqual(together);
  const kinds = together.map((link) => (link as { kind: string }).kind).sort();
  expect(kinds).toEqual(['continues', 'continues', 'continues', 'duplicate']);
});

it('an id that a peer puts into every call links none, and costs no more with each of them', async () => {
  const sharing = Array.from({ length: 1_000 }, (_, minute) => callAt(minute, 'the-same-in-all'));
  const [one, other] = [callAt(500, 'ucid-of-two-1'), callAt(503, 'ucid-of-two-1')];
  await saveCalls(pool, [...sharing, one, other]);
  const session = await pool.connect();
  await session.query('begin');
  await linkCalls(session, [sharing[700]!.id, other.id]);
  const { rows } = await session.query<{ rows: number }>(
    `select sum(idx_tup_fetch + seq_tup_read)::int as rows from pg_stat_xact_user_tables
      where relname like 'call_identifiers%'`,
  );
  await session.query('commit');
  session.release();
  expect(await links()).toMatchObject([{ call_id: other.id, linked_id: one.id, kind: 'continues' }]);
  expect(rows[0]?.rows).toBeLessThan(600);
});

it('no calls need no links', async () => {
  await linkCalls(pool, []);
  expect(await links()).toEqual([]);
});
