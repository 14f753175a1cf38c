import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { newCallId, timeOfId, toCallId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import { completeCall } from '../../src/store/complete-call.ts';
import { countCallRows, deleteCall, sumOfRows } from '../../src/store/delete-call.ts';
import { findCallsByNumber, rememberForgotten } from '../../src/store/forgotten-calls.ts';
import { loadCall } from '../../src/store/load-call.ts';
import { listPartitions } from '../../src/store/months.ts';
import type { Pool } from '../../src/store/pool.ts';
import { createPool } from '../../src/store/pool.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { saveEvent } from '../../src/store/save-event.ts';
import { saveSentence } from '../../src/store/save-sentence.ts';
import type { SweepOptions } from '../../src/store/sweep.ts';
import { checkHealth, sweep } from '../../src/store/sweep.ts';
import type { TestDatabase } from '../support/database.ts';
import { createDatabase } from '../support/database.ts';
import { aCall, anEvent, aSentence, finishing } from '../support/facts.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

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

const options = (over: Partial<SweepOptions> = {}): SweepOptions => ({
  now: new Date(),
  giveUpAfterMs: DAY_MS,
  lookAgainAfterMs: HOUR_MS,
  keepDays: undefined,
  keepReadsDays: undefined,
  ...over,
});

const inDays = (days: number): Date => new Date(Date.now() + days * DAY_MS);

describe('a sweep', () => {
  it('gives up a call of which nothing comes any more, until something does', async () => {
    const silent = aCall({ startedAt: new Date() });
    const heard = aCall({ startedAt: new Date() });
    for (const call of [silent, heard]) await saveCall(pool, call);
    // A sentence of two days later, as far as the rows can tell.
    await saveSentence(pool, aSentence({ callId: heard.id, legId: heard.legs[0]!.id }));
    await pool.query('update sentences set stored_at = $2 where call_id = $1', [heard.id, inDays(2)]);

    expect((await sweep(pool, options()))?.givenUp.lost).toEqual([]);
    expect((await sweep(pool, options({ now: inDays(2) })))?.givenUp.lost).toEqual([silent.id]);
    const { rows } = await pool.query('select state, fault, end_reason from calls where id = $1', [
      silent.id,
    ]);
    expect(rows).toEqual([{ state: 'failed', fault: 'lost', end_reason: 'lost' }]);
    expect(await loadCall(pool, heard.id)).toMatchObject({ state: 'active' });

    await saveCall(pool, finishing(silent, [0, 0]));
    expect(await completeCall(pool, silent.id)).toBe('complete');
    expect(await loadCall(pool, silent.id)).toMatchObject({ state: 'complete', endReason: 'bye' });
  });

  it('completes a call whose last check was cut off, and gives up one whose sentences do not come', async () => {
    const cutOff = finishing(aCall(), [0, 0]);
    const lacking = finishing(aCall(), [1, 0]);
    for (const call of [cutOff, lacking]) await saveCall(pool, call);
    expect((await sweep(pool, options()))?.givenUp).toMatchObject({ completed: [], sentencesMissing: [] });
    const soon = new Date(Date.now() + 2 * HOUR_MS);
    expect((await sweep(pool, options({ now: soon })))?.givenUp).toMatchObject({
      completed: [cutOff.id],
      sentencesMissing: [],
    });
    expect((await sweep(pool, options({ now: inDays(2) })))?.givenUp.sentencesMissing).toEqual([lacking.id]);
    expect(await loadCall(pool, lacking.id)).toMatchObject({ state: 'failed' });
    await saveSentence(pool, aSentence({ callId: lacking.id, legId: lacking.legs[0]!.id }));
    expect(await completeCall(pool, lacking.id)).toBe('complete');
  });

  it('is done by one process at a time', async () => {
    const holder = await pool.connect();
    await holder.query('select pg_advisory_lock(3914677202)');
    expect(await sweep(pool, options())).toBeUndefined();
    await holder.query('select pg_advisory_unlock(3914677202)');
    holder.release();
    expect(await sweep(pool, options())).toBeDefined();
  });

  it('makes the months that come, and tells how many there are', async () => {
    expect(await checkHealth(pool, new Date())).toMatchObject({ monthsAhead: 3, sentencesInNoMonth: 0 });
    expect((await sweep(pool, options({ now: inDays(32) })))?.madePartitions).not.toEqual([]);
    expect((await checkHealth(pool, new Date())).monthsAhead).toBeGreaterThan(3);
  });
});

describe('rows beyond their time', () => {
  it('go by the month, whole calls at once, and so do those in no month', async () => {
    const store = async (
      id: ReturnType<typeof newCallId>,
      startedAt: Date,
    ): Promise<ReturnType<typeof aCall>> => {
      const call = aCall({ id, startedAt });
      await saveCall(pool, call);
      await saveSentence(pool, aSentence({ callId: call.id, legId: call.legs[0]!.id }));
      await saveEvent(pool, anEvent({ callId: call.id }));
      return call;
    };
    const now = new Date();
    const monthly = await store(newCallId(now), now);
    const late = await store(newCallId(new Date('2024-05-05')), new Date('2024-05-05'));
    const random = await store(toCallId('fb83b9a0-baeb-4fda-8d9a-95a5ea0b2c1d'), new Date('2024-05-05'));
    const youngRandom = await store(toCallId('fb83b9a0-baeb-4fda-8d9a-95a5ea0b2c1e'), now);

    const year = await sweep(pool, options({ keepDays: 365 }));
    expect(year?.dropped).toMatchObject({ partitions: [], calls: 2 });
    for (const { id } of [late, random]) expect(sumOfRows(await countCallRows(pool, id))).toBe(0);
    for (const { id } of [monthly, youngRandom]) expect((await countCallRows(pool, id)).sentences).toBe(1);

    const later = await sweep(pool, options({ now: inDays(100), keepDays: 60 }));
    for (const { id } of [monthly, youngRandom]) expect(sumOfRows(await countCallRows(pool, id))).toBe(0);
    const month = timeOfId(monthly.id)!.toISOString().slice(0, 7).replace('-', '_');
    expect(later?.dropped?.partitions).toContain(`calls_${month}`);
    expect(await listPartitions(pool, 'sentences')).not.toContain(`sentences_${month}`);
  });
});

describe('the access log', () => {
  it('loses its old rows in batches where it may, and no other', async () => {
    const callId = newCallId();
    await pool.query(
      `insert into access_log (at, token_id, token_name, kind, call_id, request_id, peer)
       select now() - days * interval '1 day', 't', 't', 'transcript', $1, 'r', '::1'
         from unnest(array[29, 31]) as days, generate_series(1, 12000)`,
      [callId],
    );
    expect((await sweep(pool, options()))?.reads).toBe(0);
    expect((await sweep(pool, options({ keepReadsDays: 30 })))?.reads).toBe(12_000);
    const { rows } = await pool.query('select count(*)::int as rows, min(at) > $1 as young from access_log', [
      inDays(-30),
    ]);
    expect(rows).toEqual([{ rows: 12_000, young: true }]);
  });
});

describe('a forgotten call', () => {
  it('is found by a number wherever it stands, and by no longer number', async () => {
    const now = aCall({ legs: [] });
    const spelled = aCall({ legs: [], metadata: { caller: 'tel:+86-138-0013-8000' } });
    const before = aCall({ legs: [], identifiers: [{ kind: 'x-called', value: '013800138000' }] });
    const other = aCall({ legs: [], identifiers: [{ kind: 'ucid', value: '0000113800138000999' }] });
    const uri = 'sip:+8613800138000@pbx.example.com;user=phone';
    const { legs } = aCall({ id: now.id });
    await saveCall(pool, { ...now, legs: [{ ...legs[0]!, uri }] });
    for (const call of [spelled, before, other]) await saveCall(pool, call);
    const found = await findCallsByNumber(pool, '13800138000');
    expect(new Set(found.map(({ id }) => id))).toEqual(new Set([now.id, spelled.id, before.id]));
    const { rows } = await pool.query(
      `select call_id from legs where reversed_number(uri) like reverse('13800138000') || '%'`,
    );
    expect(rows).toEqual([{ call_id: now.id }]);
  });

  it('leaves nothing, and nothing that comes later is written', async () => {
    const whole = finishing(aCall(), [1, 0]);
    const sentence = aSentence({ callId: whole.id, legId: whole.legs[0]!.id });
    await saveCall(pool, whole);
    await saveSentence(pool, sentence);
    await completeCall(pool, whole.id);
    await rememberForgotten(pool, [whole.id]);
    expect(await deleteCall(pool, whole.id)).toMatchObject({
      calls: 1,
      legs: 2,
      sentences: 1,
      call_figures: 1,
    });
    await saveCall(pool, { ...whole, revision: 9 });
    await saveSentence(pool, sentence);
    await saveEvent(pool, anEvent({ callId: whole.id }));
    expect(sumOfRows(await countCallRows(pool, whole.id))).toBe(0);
    expect(await completeCall(pool, whole.id)).toBe('unchanged');
  });

  it('is swept when something came in while it was being forgotten', async () => {
    const call = aCall();
    await saveCall(pool, call);
    await rememberForgotten(pool, [call.id]);
    expect(await sweep(pool, options())).toMatchObject({ stragglers: 1 });
    expect(sumOfRows(await countCallRows(pool, call.id))).toBe(0);
  });
});
