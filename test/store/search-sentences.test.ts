import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { corpus, type CorpusSentence } from '../../src/bench/search-corpus.ts';
import type { CallRecord } from '../../src/call/record.ts';
import { type LegId, newCallId, newLegId, toCallId, toLegId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import { numberForm, plainForm } from '../../src/search/normal-form.ts';
import { parseQuery } from '../../src/search/query.ts';
import { seededRandom } from '../../src/seeded-random.ts';
import { makeMonths } from '../../src/store/months.ts';
import { createPool, type Pool } from '../../src/store/pool.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { saveSentences } from '../../src/store/save-sentence.ts';
import type {
  FoundSentence,
  SearchFilter,
  SearchOptions,
  SearchPosition,
} from '../../src/store/search-filter.ts';
import { searchSentences } from '../../src/store/search-sentences.ts';
import { withinCost } from '../../src/store/within-cost.ts';
import type { FinalSentence } from '../../src/transcript/sentence.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { aCall, aLeg, aSentence } from '../support/facts.ts';

const CALLS = 300;
const SENTENCES_A_CALL = 10;
const SENTENCES = CALLS * SENTENCES_A_CALL;
/** Less than the table, so that both ways are taken. */
const WINDOW_ROWS = 400;
const BEGIN_MS = Date.UTC(2026, 0, 15);
const DAY_MS = 86_400_000;
/** The first ids of all, from before they had a time. */
const RANDOM_CALLS = 5;

interface Said {
  readonly sentence: FinalSentence;
  readonly call: CallRecord;
}

let database: TestDatabase;
let pool: Pool;
const said: Said[] = [];

beforeAll(async () => {
  database = await createDatabase();
  pool = createPool({ databaseUrl: database.url, logger: silentLogger });
  const session = await pool.connect();
  for (const month of [0, 4, 8]) await makeMonths(session, new Date(Date.UTC(2026, month)));
  session.release();
  const texts = corpus(SENTENCES, 11);
  for (let no = 0; no < CALLS; no += 1) await store(someCall(no), texts);
}, 120_000);

afterAll(async () => {
  await pool.end();
  await database.drop();
});

function someCall(no: number): CallRecord {
  const startedAt = new Date(BEGIN_MS + no * DAY_MS);
  const isRandom = no < RANDOM_CALLS;
  const id = isRandom ? toCallId(randomUUID()) : newCallId(startedAt);
  const legId = (): LegId => (isRandom ? toLegId(`f${randomUUID().slice(1)}`) : newLegId(id));
  const customer = `sip:+8613800138${String(no % 50).padStart(3, '0')}@example.com`;
  return aCall({
    id,
    startedAt,
    tenant: ['a', 'a', 'b'][no % 3] ?? '',
    metadata: { category: ['sales', 'care'][no % 2] },
    identifiers: [{ kind: 'ucid', value: `ucid-${no % 40}` }],
    legs: [
      aLeg({
        id: legId(),
        legNo: 0,
        role: 'agent',
        name: `Agent ${no % 7}`,
        uri: `sip:${100 + (no % 7)}@example.com`,
      }),
      aLeg({ id: legId(), legNo: 1, role: 'customer', name: undefined, uri: customer }),
    ],
  });
}

/** Both speak in turn; so that the order rests on more than the time, some begin at the same moment. */
async function store(call: CallRecord, texts: Iterator<CorpusSentence>): Promise<void> {
  const sentences = Array.from({ length: SENTENCES_A_CALL }, (_, index) => {
    const { text, emotion } = texts.next().value as CorpusSentence;
    const leg = call.legs[index % 2]!;
    const beginAt = new Date(call.startedAt.getTime() + Math.floor(index / 3) * 60_000);
    return aSentence({
      callId: call.id,
      legId: leg.id,
      tenant: call.tenant,
      legNo: leg.legNo,
      sentenceNo: Math.floor(index / 2) + 1,
      beginAt,
      text,
      emoTag: emotion,
    });
  });
  await saveCall(pool, call);
  await saveSentences(pool, sentences);
  said.push(...sentences.map((sentence) => ({ sentence, call })));
}

const keyOf = ({ legId, sentenceNo }: SearchPosition): string => `${legId} ${sentenceNo}`;

/** What the search must find, by looking at every sentence. */
function scan(query: string, filter: SearchFilter): readonly string[] {
  const { wanted, unwanted } = parseQuery(query);
  return said
    .filter(({ sentence: { text, tenant, beginAt, emoTag, legNo, callId }, call }) => {
      const within = [plainForm(text).text, numberForm(text).text];
      const has = ({ forms }: { readonly forms: readonly string[] }): boolean =>
        forms.some((form) => within.some((whole) => whole.includes(form)));
      const [agent, customer] = call.legs;
      const { from, to, number } = filter;
      return (
        wanted.every(has) &&
        !unwanted.some(has) &&
        (filter.tenant === undefined || filter.tenant === tenant) &&
        (filter.role === undefined || filter.role === call.legs[legNo]?.role) &&
        (filter.emotion === undefined || filter.emotion === emoTag) &&
        (from === undefined || beginAt >= from) &&
        (to === undefined || beginAt < to) &&
        (filter.callId === undefined || filter.callId === callId) &&
        (filter.agent === undefined ||
          filter.agent === agent?.name ||
          agent?.uri?.includes(`:${filter.agent}@`) === true) &&
        (number === undefined || customer?.uri?.includes(`${number}@`) === true) &&
        (filter.identifier === undefined ||
          call.identifiers.some(({ value }) => value === filter.identifier)) &&
        (filter.category === undefined || filter.category === call.metadata['category'])
      );
    })
    .map(({ sentence }) => sentence)
    .toSorted(newestFirst)
    .map(keyOf);
}

/** Random ids come last. */
function newestFirst(a: SearchPosition, b: SearchPosition): number {
  if (a.legId === b.legId) return b.sentenceNo - a.sentenceNo;
  if (a.legId.startsWith('f') !== b.legId.startsWith('f')) return a.legId.startsWith('f') ? 1 : -1;
  return a.legId < b.legId ? 1 : -1;
}

const pageOf = (options: SearchOptions): Promise<readonly FoundSentence[]> =>
  withinCost(pool, 30_000, (db) => searchSentences(db, options));

async function search(query: string, filter: SearchFilter, limit: number): Promise<readonly FoundSentence[]> {
  const found: FoundSentence[] = [];
  for (;;) {
    const page = await pageOf({
      query: parseQuery(query),
      filter,
      after: found.at(-1),
      limit,
      windowRows: WINDOW_ROWS,
    });
    found.push(...page);
    if (page.length < limit) return found;
  }
}

it(
  '1,000 generated queries find what a look at every sentence finds, in its order, page by page',
  { timeout: 240_000 },
  async () => {
    const random = seededRandom(12);
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
    const piece = (): string => {
      for (;;) {
        const plain = plainForm(pick(said).sentence.text).text;
        const length = 2 + Math.floor(random() ** 2 * 8);
        if (plain.length < length) continue;
        const at = Math.floor(random() * (plain.length - length + 1));
        return plain.slice(at, at + length);
      }
    };
    const queries = Array.from({ length: 1_000 }, () => {
      const terms = [random() < 0.3 ? `"${piece()}"` : piece()];
      if (random() < 0.25) terms.push(piece().slice(0, 2));
      if (random() < 0.25) terms.push(`-${piece().slice(0, 2)}`);
      const anyTime = (): Date => new Date(BEGIN_MS + random() * CALLS * DAY_MS);
      const filter: SearchFilter = {
        tenant: random() < 0.3 ? pick(['a', 'b']) : undefined,
        role: random() < 0.2 ? pick(['agent', 'customer']) : undefined,
        emotion: random() < 0.2 ? pick(['positive', 'negative', 'neutral']) : undefined,
        from: random() < 0.2 ? anyTime() : undefined,
        to: random() < 0.2 ? anyTime() : undefined,
        callId: random() < 0.05 ? pick(said).call.id : undefined,
        agent: random() < 0.1 ? pick(['Agent 1', 'Agent 2', '103', '9']) : undefined,
        number: random() < 0.1 ? pick(['13800138007', '8613800138011', '8013']) : undefined,
        identifier: random() < 0.1 ? pick(['ucid-3', 'ucid-17', 'ucid-99']) : undefined,
        category: random() < 0.1 ? pick(['sales', 'care', 'other']) : undefined,
      };
      return { query: terms.join(' '), filter };
    });
    let matches = 0;
    for (const { query, filter } of queries) {
      const expected = scan(query, filter);
      matches += expected.length;
      const found = await search(query, filter, 200);
      expect(found.map(keyOf), `${query} ${JSON.stringify(filter)}`).toEqual(expected);
    }
    expect(matches).toBeGreaterThan(10_000);
  },
);

describe('numbers', () => {
  it('are found in digits and as they are said', async () => {
    const call = aCall({ tenant: 'numbers', startedAt: new Date() });
    const texts = ['一共是一百二十块。', '一共是120块。', '一共是102块。'];
    const sentences = texts.map((text, index) =>
      aSentence({ callId: call.id, legId: call.legs[0]!.id, tenant: 'numbers', sentenceNo: index + 1, text }),
    );
    await saveSentences(pool, sentences);
    const texted = async (query: string) =>
      (await search(query, { tenant: 'numbers' }, 10)).map(({ text }) => text).toSorted();
    expect(await texted('一百二十')).toEqual(texts.slice(0, 2).toSorted());
    expect(await texted('120')).toEqual(texts.slice(0, 2).toSorted());
    expect(await texted('是120块')).toEqual(texts.slice(0, 2).toSorted());
  });
});

it('a cursor stays where it is while new calls come', async () => {
  const query = { query: parseQuery('话费'), filter: { tenant: 'a' }, windowRows: WINDOW_ROWS };
  const expected = scan('话费', { tenant: 'a' });
  const first = await pageOf({ ...query, limit: 5 });
  const call = aCall({ tenant: 'late' });
  const late = { callId: call.id, legId: call.legs[0]!.id, tenant: 'a', text: '话费话费' };
  await saveSentences(pool, [aSentence(late)]);
  const second = await pageOf({ ...query, after: first.at(-1), limit: 5 });
  expect([...first, ...second].map(keyOf)).toEqual(expected.slice(0, 10));
});
