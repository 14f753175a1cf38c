import process from 'node:process';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { type CallId, newCallId, newLegId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import { pairsLiteral, searchText } from '../../src/search/normal-form.ts';
import { parseQuery } from '../../src/search/query.ts';
import { completeCall } from '../../src/store/complete-call.ts';
import { deleteCall } from '../../src/store/delete-call.ts';
import { findCallsByIdentifier } from '../../src/store/find-calls-by-identifier.ts';
import { linkCalls } from '../../src/store/link-calls.ts';
import { type CallFilter, listCalls } from '../../src/store/list-calls.ts';
import { loadCall } from '../../src/store/load-call.ts';
import { loadEvents } from '../../src/store/load-events.ts';
import { loadFigures } from '../../src/store/load-figures.ts';
import { loadLegs } from '../../src/store/load-legs.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import { makeMonths, monthOf, monthOfPartition } from '../../src/store/months.ts';
import type { Pool, Queryable } from '../../src/store/pool.ts';
import { createPool } from '../../src/store/pool.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { saveEvent } from '../../src/store/save-event.ts';
import { saveSentence, saveSentences } from '../../src/store/save-sentence.ts';
import type { SearchFilter } from '../../src/store/search-filter.ts';
import { searchSentences } from '../../src/store/search-sentences.ts';
import { checkHealth } from '../../src/store/sweep.ts';
import { loadUnknownNames } from '../../src/store/webhook-names.ts';
import type { TestDatabase } from '../support/database.ts';
import { createDatabase } from '../support/database.ts';
import { explaining, type Plan } from '../support/explain.ts';
import { aCall, anEvent, aSentence, finishing } from '../support/facts.ts';

const MONTHS = 36;
const CALLS_A_MONTH = 700;
const SENTENCES_A_LEG = 2;

let database: TestDatabase;
let pool: Pool;
const plans: Plan[] = [];
let db: Queryable;

const FREQUENT = '您好，请问有什么可以帮您？';
/** Said in one call of 1,024. */
const RARE = '我要投诉你们';

const saidRows = (): string =>
  [FREQUENT, RARE]
    .map((text) =>
      [text, searchText(text), pairsLiteral(searchText(text))].map((column) => `'${column}'`).join(),
    )
    .map((columns, isRare) => `(${columns}, ${isRare === 1})`)
    .join();

/** Three years of calls of two legs. */
async function fill(): Promise<void> {
  const session = await pool.connect();
  const now = new Date();
  for (let ago = MONTHS; ago > 0; ago -= 4) {
    await makeMonths(session, new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - ago, 1)));
  }
  session.release();
  await pool.query(
    `create function pg_temp.id_at(at timestamptz) returns uuid language sql volatile as $$
       select (overlay(lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') placing '-' from 9 for 0)
               || '-7' || substr(md5(random()::text), 1, 3) || '-8' || substr(md5(random()::text), 1, 3) || '-'
               || substr(md5(random()::text), 1, 12))::uuid $$;
     insert into calls (id, revision, sip_call_id, tenant, direction, state, mapping, started_at, ended_at)
     select pg_temp.id_at(at), 1, 'x', 'default', 'inbound', 'complete', 'metadata', at, at + interval '5 minutes'
       from (select now() - month * interval '1 month' + call * interval '30 minutes' + random() * interval '1 hour' as at
               from generate_series(1, ${MONTHS}) as month, generate_series(1, ${CALLS_A_MONTH}) as call) as times;
     insert into legs (id, call_id, leg_no, role, sentence_count)
     select overlay(id::text placing substr(md5(id::text || no), 1, 12) from 25)::uuid, id, no,
            case no when 0 then 'agent' else 'customer' end, ${SENTENCES_A_LEG}
       from calls, generate_series(0, 1) as no;
     insert into sentences (leg_id, sentence_no, call_id, begin_ms, end_ms, begin_at, end_at, text, asr_task_id, tenant,
                            search_text, search_pairs)
     select legs.id, no, call_id, no * 1000, no * 1000 + 900, now(), now(), text, 't', 'default', form, pairs::integer[]
       from legs, generate_series(1, ${SENTENCES_A_LEG}) as no, (values ${saidRows()}) as said (text, form, pairs, is_rare)
      where is_rare = (no = 1 and substr(md5(call_id::text), 1, 3) in ('0ff', '1ff', '2ff', '3ff'));
     insert into call_identifiers select id, 'ucid', md5(id::text) from calls;
     insert into call_figures
     select id, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '[]' from calls;
     insert into call_events (call_id, event_no, at, kind) select id, 1, now(), 'hold' from calls;
     analyze`,
  );
}

beforeAll(async () => {
  database = await createDatabase();
  // One session: it has the function that makes ids.
  pool = createPool({ databaseUrl: database.url, logger: silentLogger, max: 1 });
  await fill();
  db = explaining(pool, plans);
}, 120_000);

afterAll(async () => {
  if (process.env['PRINT_PLANS'] !== undefined) {
    for (const { name, relations, scanned, planningMs, executionMs } of plans) {
      process.stdout.write(
        `${name}: ${planningMs.toFixed(2)} ms planning, ${executionMs.toFixed(2)} ms; ${relations.length} relations` +
          `${scanned.length > 0 ? `; scanned ${scanned.join(', ')}` : ''}\n`,
      );
    }
  }
  await pool.end();
  await database.drop();
});

async function plansOf(work: () => Promise<unknown>): Promise<readonly Plan[]> {
  const before = plans.length;
  await work();
  return plans.slice(before);
}

/** Small, or empty here. */
const SMALL =
  /^(calls|legs|sentences|call_events|call_identifiers|call_figures)_other$|^(forgotten_calls|dead_letters|call_links|webhook_(endpoints|messages)|transcriptions|(awaited_)?voicemails|voicemail_mails)$/;

/** Row by row are read the months that are made ahead, and where the years begin: there is next to nothing in them. */
function expectByIndex({ name, scanned }: Plan): void {
  const large = scanned.filter(
    (relation) => !SMALL.test(relation) && monthOfPartition(relation) !== undefined,
  );
  expect(large.length, `${name}: ${large.join()}`).toBeLessThan(6);
}

const monthsOf = ({ relations }: Plan): number =>
  new Set(
    relations.flatMap((relation) => monthOfPartition(relation) ?? []).map((month) => JSON.stringify(month)),
  ).size;

it('what asks for one call reads one month, by index, after years of calls', async () => {
  const at = new Date();
  at.setUTCMonth(at.getUTCMonth() - MONTHS / 2);
  const old = await pool.query<{ id: CallId }>(
    'select id from calls where started_at < $1 order by started_at desc limit 1',
    [at],
  );
  const { id } = old.rows[0]!;
  const call = finishing(aCall({ id: newCallId(), startedAt: new Date() }), [2, 0]);
  const ids = { callId: call.id, legId: call.legs[0]!.id };
  const batch = Array.from({ length: 100 }, () => newCallId()).flatMap((callId) => [
    aSentence({ callId, legId: newLegId(callId) }),
    aSentence({ callId, legId: newLegId(callId), legNo: 1 }),
  ]);
  const works: Readonly<Record<string, () => Promise<unknown>>> = {
    saveSentence: () => saveSentence(db, aSentence(ids)),
    saveBatch: () => saveSentences(db, batch),
    saveBatchAgain: () => saveSentences(db, batch),
    saveEvent: () => saveEvent(db, anEvent({ callId: call.id })),
    saveCall: () => saveCall(db, call),
    checkNotYet: () => completeCall(db, call.id),
    saveLast: () => saveSentence(pool, aSentence({ ...ids, sentenceNo: 2 })),
    complete: () => completeCall(db, call.id),
    loadCall: () => loadCall(db, id),
    loadLegs: () => loadLegs(db, id),
    loadTranscript: () => loadTranscript(db, id),
    loadEvents: () => loadEvents(db, id),
    loadFigures: () => loadFigures(db, id),
    linkCalls: () => linkCalls(db, [id]),
    unknownNames: () => loadUnknownNames(db, new Date()),
    deleteCall: () => deleteCall(db, call.id),
  };
  for (const work of Object.values(works)) {
    for (const plan of await plansOf(work)) {
      const { name, relations, scanned } = plan;
      expect(monthsOf(plan), `${name}: ${relations.join()}`).toBeLessThan(2);
      // A month of a test has few rows: of the present one alone the planner may know nothing yet.
      const present = JSON.stringify(monthOf(new Date()));
      const large = scanned.filter(
        (relation) => !SMALL.test(relation) && JSON.stringify(monthOfPartition(relation)) !== present,
      );
      expect(large, name).toEqual([]);
    }
  }
  expect(plans.length).toBeGreaterThan(10);
});

it('what looks through all months does so by index', async () => {
  const value = await pool.query<{ value: string }>('select value from call_identifiers limit 1');
  const { value: identifier } = value.rows[0]!;
  const works = [
    () => findCallsByIdentifier(db, identifier),
    () => checkHealth(db, new Date()),
    () => db.query(`select call_id from legs where reversed_number(uri) like '83100083%'`),
    () =>
      db.query(`select id from calls where started_at < '2099-01-01' order by started_at desc, id limit 50`),
  ];
  for (const work of works) {
    (await plansOf(work)).forEach(expectByIndex);
  }
});

describe('over years of calls', () => {
  const at = new Date();
  at.setUTCMonth(at.getUTCMonth() - MONTHS / 2);
  const position = { startedAt: at.toISOString(), id: newCallId(at) };

  const filters: Readonly<Record<string, CallFilter>> = {
    none: {},
    state: { state: 'complete' },
    tenant: { tenant: 'default' },
    agent: { agent: 'nobody' },
    number: { numberDigits: '13800138000' },
    identifier: { identifier: 'nothing' },
    time: { from: at, to: new Date(at.getTime() + 3_600_000) },
  };
  it.each(Object.entries(filters))('a page of the list is read by index: %s', async (_name, filter) => {
    for (const after of [undefined, position]) {
      const [plan] = await plansOf(() => listCalls(db, { filter, after, limit: 51 }));
      expectByIndex(plan!);
    }
  });

  const searches: Readonly<Record<string, readonly [string, SearchFilter, number?]>> = {
    'what is said everywhere': [FREQUENT, {}, 50],
    'what is rare': [RARE, {}],
    'what nobody says': ['天气预报', {}, 0],
    'in the calls of a number': [FREQUENT, { number: '13800138000' }, 0],
    'in a month': [RARE, { from: at, to: new Date(at.getTime() + 30 * 86_400_000) }, 0],
  };
  it.each(Object.entries(searches))('a search reads by index: %s', async (_name, [text, filter, count]) => {
    const query = parseQuery(text);
    const saidRarely = await pool.query<{ count: number }>(
      'select count(*)::int from sentences where text = $1',
      [RARE],
    );
    await pool.query('begin');
    const found = await plansOf(async () => {
      const sentences = await searchSentences(db, { query, filter, limit: 50 });
      expect(sentences).toHaveLength(count ?? Math.min(50, saidRarely.rows[0]!.count));
    }).finally(() => pool.query('rollback'));
    found.forEach(expectByIndex);
    // What is on the first page does not wait for what is old.
    if (text === FREQUENT && filter.number === undefined) {
      expect(found).toHaveLength(1);
      expect(monthsOf(found[0]!)).toBeLessThan(8);
    }
  });
});

it('a leg of a call is found by the range of ids alone', () => {
  const callId = newCallId();
  const legId = newLegId(callId);
  expect(legId.slice(0, 13)).toBe(callId.slice(0, 13));
});
