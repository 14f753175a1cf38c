import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { CallRecord } from '../../src/call/record.ts';
import { silentLogger } from '../../src/log.ts';
import { completeCall, refreshFigures } from '../../src/store/complete-call.ts';
import { loadEvents } from '../../src/store/load-events.ts';
import { loadFigures } from '../../src/store/load-figures.ts';
import { loadLegs } from '../../src/store/load-legs.ts';
import { createPool, type Pool } from '../../src/store/pool.ts';
import { relabelLeg } from '../../src/store/relabel-leg.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { saveSentence } from '../../src/store/save-sentence.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { aCall, aSentence, finishing } from '../support/facts.ts';

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

/** A complete call with one sentence of the agent, on the first leg. */
async function complete(): Promise<CallRecord> {
  const last = finishing(aCall(), [1, 0]);
  await saveCall(pool, last);
  await saveSentence(pool, aSentence({ callId: last.id, legId: last.legs[0]!.id }));
  expect(await completeCall(pool, last.id)).toBe('complete');
  return last;
}

const at = new Date('2026-11-22T10:00:00.000Z');
const to = (role: 'agent' | 'customer', legNo = 0): Parameters<typeof relabelLeg>[2] => ({
  legNo,
  role,
  by: 'desk',
  at,
});

describe('a role that somebody sets', () => {
  it('is the leg’s from then on, what it was stays in the history, and an event tells of it', async () => {
    const { id, legs } = await complete();
    const before = legs[0]!.role;
    expect(before).toBe('agent');
    expect(await relabelLeg(pool, id, to('customer'))).toBe('changed');
    const [leg] = await loadLegs(pool, id);
    expect(leg).toMatchObject({
      role: 'customer',
      roleEvidence: { rule: 'operator', saw: 'desk', setAt: at.toISOString() },
    });
    expect(leg?.roleEvidence['history']).toMatchObject([{ role: before }, { role: 'customer', saw: 'desk' }]);
    expect((await loadEvents(pool, id)).filter(({ kind }) => kind === 'party_changed')).toMatchObject([
      { legId: legs[0]!.id, detail: { before: { role: before }, role: 'customer', rule: 'operator' } },
    ]);
  });

  it('makes other figures', async () => {
    const { id } = await complete();
    const { agentTalkMs } = (await loadFigures(pool, id))!;
    expect(agentTalkMs).toBeGreaterThan(0);
    await relabelLeg(pool, id, to('customer'));
    await refreshFigures(pool, id);
    expect(await loadFigures(pool, id)).toMatchObject({ agentTalkMs: 0, customerTalkMs: agentTalkMs });
  });

  it('is not taken back by a snapshot that does not know of it, and is by one that was set later', async () => {
    const last = await complete();
    await relabelLeg(pool, last.id, to('customer'));
    await saveCall(pool, { ...last, revision: last.revision + 1 });
    expect((await loadLegs(pool, last.id))[0]).toMatchObject({ role: 'customer' });
    const setAt = new Date(at.getTime() + 1_000);
    const legs = last.legs.map((leg) => ({ ...leg, roleEvidence: { rule: 'operator', setAt } }));
    await saveCall(pool, { ...last, legs, revision: last.revision + 2 });
    expect((await loadLegs(pool, last.id))[0]).toMatchObject({ role: 'agent' });
  });

  it('changes nothing when it is set twice, or there is no such leg', async () => {
    const { id } = await complete();
    expect(await relabelLeg(pool, id, to('customer'))).toBe('changed');
    expect(await relabelLeg(pool, id, to('customer'))).toBe('unchanged');
    expect(await relabelLeg(pool, id, to('customer', 7))).toBe('unknown');
    expect((await loadEvents(pool, id)).filter(({ kind }) => kind === 'party_changed')).toHaveLength(1);
  });
});
