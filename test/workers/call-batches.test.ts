import { afterAll, beforeAll, expect, it } from 'vitest';

import type { CallRecord } from '../../src/call/record.ts';
import { newCallId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import type { Job } from '../../src/queue/jobs.ts';
import { createPool, type Pool } from '../../src/store/pool.ts';
import { writeCallJobs } from '../../workers/calls.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { aCall, anEvent } from '../support/facts.ts';

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

const BATCHES = 8;
const CALLS = 40;

/** Facts of the same new calls in every batch: of some the snapshot, of the others an event. */
function batchesOf(calls: readonly CallRecord[]): Job[][] {
  return Array.from({ length: BATCHES }, (_, batchNo) =>
    calls.map((call, callNo): Job =>
      (callNo + batchNo) % 2 === 0
        ? { name: 'call', payload: { ...call, revision: batchNo + 1 } }
        : { name: 'call-event', payload: anEvent({ callId: call.id, eventNo: batchNo + 1 }) },
    ),
  );
}

it('batches that make the same calls at the same time do not wait for each other for ever', async () => {
  for (let round = 0; round < 5; round += 1) {
    const calls = Array.from({ length: CALLS }, () => aCall({ id: newCallId(), legs: [] }));
    const written = batchesOf(calls).map((jobs) =>
      writeCallJobs({ pool, logger: silentLogger }, jobs, { isSingle: false, attempt: 1 }),
    );
    await Promise.all(written);
    const { rows } = await pool.query<{ revision: number; events: number }>(
      `select revision, (select count(*)::int from call_events where call_id = calls.id) as events
         from calls where id = any ($1) order by id`,
      [calls.map(({ id }) => id)],
    );
    expect(rows.map(({ events }) => events)).toEqual(calls.map(() => BATCHES / 2));
    expect(rows.map(({ revision }) => revision)).toEqual(
      calls.map((_, callNo) => (callNo % 2 === 0 ? BATCHES - 1 : BATCHES)),
    );
  }
});
