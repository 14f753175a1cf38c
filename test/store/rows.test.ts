import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { silentLogger } from '../../src/log.ts';
import { pairsOf, searchText } from '../../src/search/normal-form.ts';
import { completeCall } from '../../src/store/complete-call.ts';
import { findCallsByIdentifier } from '../../src/store/find-calls-by-identifier.ts';
import { loadCall } from '../../src/store/load-call.ts';
import { loadEvents } from '../../src/store/load-events.ts';
import { loadLegs } from '../../src/store/load-legs.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import type { Pool, Queryable } from '../../src/store/pool.ts';
import { createPool } from '../../src/store/pool.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { saveEvent } from '../../src/store/save-event.ts';
import { saveSentence } from '../../src/store/save-sentence.ts';
import type { TestDatabase } from '../support/database.ts';
import { createDatabase } from '../support/database.ts';
import { aCall, aLeg, anEvent, aSentence, finishing } from '../support/facts.ts';

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

describe('a call snapshot', () => {
  it('is read back whole, with legs and identifiers', async () => {
    const call = finishing(
      aCall({
        identifiers: [
          { kind: 'ucid', value: '00001004321537894562' },
          { kind: 'sip-call-id', value: 'x' },
        ],
      }),
      [2, 0],
    );
    expect(await saveCall(pool, call)).toBe('written');
    const { legs, identifiers, ...rest } = call;
    expect(await loadCall(pool, call.id)).toEqual({ ...rest, identifiers: identifiers.toReversed() });
    expect(await loadLegs(pool, call.id)).toEqual(legs.map((leg) => ({ ...leg, vocabularyId: null })));
    expect(await loadCall(pool, aCall().id)).toBeUndefined();
  });

  it('replaces an older revision, leaves a newer one and itself alone', async () => {
    const first = aCall();
    const third = { ...finishing(first, [0, 0]), revision: 3, tenant: 'third' };
    expect(await saveCall(pool, third)).toBe('written');
    expect(await saveCall(pool, { ...first, revision: 2, tenant: 'second', legs: [aLeg()] })).toBe(
      'outdated',
    );
    expect(await saveCall(pool, third)).toBe('outdated');
    expect(await loadCall(pool, first.id)).toMatchObject({
      revision: 3,
      tenant: 'third',
      state: 'finishing',
    });
    expect(await loadLegs(pool, first.id)).toHaveLength(2);
  });

  it('takes identifiers away that a newer snapshot does not have', async () => {
    const call = aCall({
      identifiers: [
        { kind: 'a', value: 'gone' },
        { kind: 'b', value: 'kept' },
      ],
    });
    await saveCall(pool, call);
    const identifiers = [
      { kind: 'b', value: 'kept' },
      { kind: 'c', value: 'new' },
    ];
    await saveCall(pool, { ...call, revision: 2, identifiers: [...identifiers, ...identifiers] });
    expect((await loadCall(pool, call.id))?.identifiers).toEqual(identifiers);
  });

  it('is found by an identifier of any kind, or of one kind, newest first', async () => {
    const value = 'shared-by-two';
    const older = aCall({ identifiers: [{ kind: 'ucid', value }] });
    const newer = aCall({
      startedAt: new Date('2026-03-02T00:00:00Z'),
      identifiers: [{ kind: 'x-group', value }],
    });
    await saveCall(pool, older);
    await saveCall(pool, newer);
    expect(await findCallsByIdentifier(pool, value)).toEqual([newer.id, older.id]);
    expect(await findCallsByIdentifier(pool, value, 'ucid')).toEqual([older.id]);
    expect(await findCallsByIdentifier(pool, 'unheard of')).toEqual([]);
  });

  it('is filled in by its snapshot when a sentence or an event came first', async () => {
    const call = aCall();
    const [leg] = call.legs;
    await saveEvent(pool, anEvent({ callId: call.id }));
    await saveSentence(pool, aSentence({ callId: call.id, legId: leg!.id }));
    expect(await loadCall(pool, call.id)).toMatchObject({ revision: 0, state: 'active', tenant: null });
    expect(await saveCall(pool, call)).toBe('written');
    expect(await loadCall(pool, call.id)).toMatchObject({ revision: 1, tenant: 'default' });
    expect(await loadLegs(pool, call.id)).toMatchObject([{ role: 'agent' }, { role: 'customer' }]);
    expect(await loadTranscript(pool, call.id)).toMatchObject([{ role: 'agent', sentenceNo: 1 }]);
  });
});

describe('a sentence', () => {
  it('is read back as it was said, in the order of speaking', async () => {
    const call = aCall();
    await saveCall(pool, call);
    const [agent, customer] = call.legs;
    const later = aSentence({ callId: call.id, legId: agent!.id, sentenceNo: 2 });
    const first = aSentence({
      callId: call.id,
      legId: customer!.id,
      legNo: 1,
      emoTag: 'neutral',
      emoConfidence: 0.75,
    });
    expect(await saveSentence(pool, later)).toBe('written');
    expect(await saveSentence(pool, first)).toBe('written');
    const stored = await loadTranscript(pool, call.id);
    const storedAt = expect.any(Date) as Date;
    const { tenant: _, ...told } = first;
    expect({ ...stored[0], callId: call.id }).toEqual({ ...told, role: 'customer', storedAt });
    expect(stored[1]).toMatchObject({ legNo: 0, sentenceNo: 2, emoTag: null, emoConfidence: null });
  });

  it('is written with what it is searched by', async () => {
    const call = aCall({ tenant: 'acme' });
    const said = aSentence({ callId: call.id, legId: call.legs[0]!.id, tenant: 'acme', text: '一共120块。' });
    await saveSentence(pool, said);
    const { rows } = await pool.query(
      'select tenant, search_text as text, search_pairs as pairs from sentences where call_id = $1',
      [call.id],
    );
    const text = searchText(said.text);
    expect(rows).toEqual([{ tenant: 'acme', text, pairs: pairsOf(text) }]);
  });

  it('delivered twice stays one row, even at the same moment', async () => {
    const call = aCall();
    const sentence = aSentence({ callId: call.id, legId: call.legs[0]!.id });
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => saveSentence(pool, sentence)));
    expect(outcomes.filter((outcome) => outcome === 'written')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'repeated')).toHaveLength(7);
    expect(await loadTranscript(pool, call.id)).toHaveLength(1);
  });

  it('with the number of another stays out, and the first wins', async () => {
    const call = aCall();
    const sentence = aSentence({ callId: call.id, legId: call.legs[0]!.id });
    await saveSentence(pool, sentence);
    expect(await saveSentence(pool, { ...sentence, text: '别的话。' })).toBe('different');
    expect(await saveSentence(pool, { ...sentence, endMs: sentence.endMs + 1 })).toBe('different');
    expect(await loadTranscript(pool, call.id)).toMatchObject([{ text: sentence.text }]);
  });
});

describe('an event', () => {
  it('is written once and read in order', async () => {
    const callId = aCall().id;
    const legId = aLeg().id;
    expect(await saveEvent(pool, anEvent({ callId, eventNo: 2, kind: 'hold', legId }))).toBe('written');
    expect(await saveEvent(pool, anEvent({ callId, eventNo: 1 }))).toBe('written');
    expect(await saveEvent(pool, anEvent({ callId, eventNo: 1 }))).toBe('repeated');
    expect(await loadEvents(pool, callId)).toMatchObject([
      { eventNo: 1, kind: 'reinvite', legId: null, detail: { lines: 2 } },
      { eventNo: 2, kind: 'hold', legId },
    ]);
  });
});

describe('a call is complete', () => {
  it('only when it is finishing, every leg has told its count, and that many sentences are in', async () => {
    const call = aCall();
    const [agent, customer] = call.legs;
    const state = async (): Promise<string | undefined> => (await loadCall(pool, call.id))?.state;
    await saveCall(pool, call);
    expect(await completeCall(pool, call.id)).toBe('unchanged');

    const last = finishing(call, [1, 2]);
    const oneLegOpen = { ...last, legs: [last.legs[0]!, { ...last.legs[1]!, sentenceCount: undefined }] };
    await saveCall(pool, oneLegOpen);
    await saveSentence(pool, aSentence({ callId: call.id, legId: agent!.id }));
    expect(await completeCall(pool, call.id)).toBe('unchanged');

    await saveCall(pool, { ...last, revision: 3 });
    await saveSentence(pool, aSentence({ callId: call.id, legId: customer!.id, sentenceNo: 2 }));
    expect(await completeCall(pool, call.id)).toBe('unchanged');
    expect(await state()).toBe('finishing');

    await saveSentence(pool, aSentence({ callId: call.id, legId: customer!.id, sentenceNo: 1 }));
    expect(await completeCall(pool, call.id)).toBe('complete');
    expect(await completeCall(pool, call.id)).toBe('unchanged');

    await saveCall(pool, { ...last, revision: 4, metadata: { late: true } });
    expect(await loadCall(pool, call.id)).toMatchObject({ state: 'complete', metadata: { late: true } });
  });

  it('at once when nobody spoke, and never when it failed', async () => {
    const silent = finishing(aCall(), [0, 0]);
    await saveCall(pool, silent);
    expect(await completeCall(pool, silent.id)).toBe('complete');
    const failed = { ...finishing(aCall(), [0, 0]), state: 'failed' as const };
    await saveCall(pool, failed);
    expect(await completeCall(pool, failed.id)).toBe('unchanged');
  });

  it.each([
    ['the last sentence', 'the finishing snapshot'],
    ['the finishing snapshot', 'the last sentence'],
  ])('when %s commits after %s, though neither transaction saw the other', async (last) => {
    const call = aCall();
    await saveCall(pool, call);
    const [leg] = call.legs;
    const sentence = await openTransaction((db) =>
      saveSentence(db, aSentence({ callId: call.id, legId: leg!.id })),
    );
    const snapshot = await openTransaction((db) => saveCall(db, finishing(call, [1, 0])));
    const inOrder = last === 'the last sentence' ? [snapshot, sentence] : [sentence, snapshot];
    await inOrder[0]!.commit();
    expect(await completeCall(pool, call.id)).toBe('unchanged');
    await inOrder[1]!.commit();
    expect(await completeCall(pool, call.id)).toBe('complete');
  });

  it('after any race of sentences, snapshots and repeats, each followed by its own check', async () => {
    const calls = Array.from({ length: 150 }, () => aCall());
    const works = calls.flatMap((call) => [
      () => saveCall(pool, call).then(() => completeCall(pool, call.id)),
      () => saveCall(pool, finishing(call, [2, 1])).then(() => completeCall(pool, call.id)),
      ...[1, 2, 2].map(
        (sentenceNo) => () =>
          saveSentence(pool, aSentence({ callId: call.id, legId: call.legs[0]!.id, sentenceNo })).then(() =>
            completeCall(pool, call.id),
          ),
      ),
      () =>
        saveSentence(pool, aSentence({ callId: call.id, legId: call.legs[1]!.id, legNo: 1 })).then(() =>
          completeCall(pool, call.id),
        ),
    ]);
    await Promise.all(works.toSorted(() => Math.random() - 0.5).map((work) => work()));
    const states = await Promise.all(calls.map(async (call) => (await loadCall(pool, call.id))?.state));
    expect(new Set(states)).toEqual(new Set(['complete']));
  });
});

/** A write whose transaction stays open until `commit`. */
async function openTransaction(
  write: (db: Queryable) => Promise<unknown>,
): Promise<{ commit(): Promise<void> }> {
  const client = await pool.connect();
  await client.query('begin');
  await write(client);
  return {
    commit: async () => {
      await client.query('commit');
      client.release();
    },
  };
}
