import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { corpus } from '../../src/bench/search-corpus.ts';
import { type CallId, type LegId, newCallId, newLegId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import { numberForm, pairsOf, plainForm, searchText } from '../../src/search/normal-form.ts';
import { parseQuery } from '../../src/search/query.ts';
import { seededRandom } from '../../src/seeded-random.ts';
import { createPool, type Pool } from '../../src/store/pool.ts';
import {
  type FoundSentence,
  type SearchFilter,
  type SearchPosition,
  searchSentences,
} from '../../src/store/search-sentences.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const SENTENCES = 3_000;
/** Less than the table, so that both ways are taken. */
const WINDOW_ROWS = 400;
const BEGIN_MS = Date.UTC(2026, 9, 20);
const MINUTE_MS = 60_000;

interface Said extends SearchPosition {
  readonly callId: CallId;
  readonly text: string;
  readonly tenant: string;
  readonly role: string;
  readonly emotion: string | undefined;
}

let database: TestDatabase;
let pool: Pool;
const said: Said[] = [];

beforeAll(async () => {
  database = await createDatabase();
  pool = createPool({ databaseUrl: database.url, logger: silentLogger });
  let callId = newCallId(new Date(BEGIN_MS));
  let legId: LegId = newLegId(callId);
  let no = 0;
  for (const { text, emotion } of corpus(SENTENCES, 11)) {
    const at = new Date(BEGIN_MS + no * MINUTE_MS);
    if (no % 10 === 0) {
      callId = newCallId(at);
      legId = newLegId(callId);
    }
    const call = Math.floor(no / 10);
    const tenant = ['a', 'a', 'b'][call % 3] ?? '';
    const role = call % 2 === 0 ? 'agent' : 'customer';
    // Several at the same moment: the order must not rest on the time alone.
    const beginAt = new Date(BEGIN_MS + Math.floor(no / 3) * MINUTE_MS);
    said.push({ callId, legId, sentenceNo: (no % 10) + 1, beginAt, text, tenant, role, emotion });
    no += 1;
  }
  await insert(said);
}, 60_000);

afterAll(async () => {
  await pool.end();
  await database.drop();
});

async function insert(rows: readonly Said[]): Promise<void> {
  await pool.query(
    `insert into sentences (leg_id, sentence_no, call_id, begin_ms, end_ms, begin_at, end_at, text, asr_task_id, emo_tag, tenant,
                            search_text, search_pairs)
     select a, b, c, 0, 1000, d, d, e, 'test', f, g, h, i::int[]
       from unnest($1::uuid[], $2::int[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
         as u (a, b, c, d, e, f, g, h, i)`,
    [
      rows.map((row) => row.legId),
      rows.map((row) => row.sentenceNo),
      rows.map((row) => row.callId),
      rows.map((row) => row.beginAt),
      rows.map((row) => row.text),
      rows.map((row) => row.emotion),
      rows.map((row) => row.tenant),
      rows.map((row) => searchText(row.text)),
      rows.map((row) => `{${pairsOf(searchText(row.text)).join(',')}}`),
    ],
  );
  await pool.query(
    `insert into legs (id, call_id, leg_no, role)
     select distinct on (a) a, b, 0, c from unnest($1::uuid[], $2::uuid[], $3::text[]) as u (a, b, c) on conflict do nothing`,
    [rows.map((row) => row.legId), rows.map((row) => row.callId), rows.map((row) => row.role)],
  );
}

const keyOf = ({ legId, sentenceNo }: SearchPosition): string => `${legId} ${sentenceNo}`;

/** What the search must find, by looking at every sentence. */
function scan(query: string, filter: SearchFilter): readonly string[] {
  const { wanted, unwanted } = parseQuery(query);
  return said
    .filter(({ text, ...row }) => {
      const within = [plainForm(text).text, numberForm(text).text];
      const has = ({ forms }: { readonly forms: readonly string[] }): boolean =>
        forms.some((form) => within.some((whole) => whole.includes(form)));
      return (
        wanted.every(has) &&
        !unwanted.some(has) &&
        (filter.tenants === undefined || filter.tenants.includes(row.tenant)) &&
        (filter.role === undefined || filter.role === row.role) &&
        (filter.emotion === undefined || filter.emotion === row.emotion) &&
        (filter.from === undefined || row.beginAt >= filter.from) &&
        (filter.to === undefined || row.beginAt < filter.to) &&
        (filter.callIds === undefined || filter.callIds.includes(row.callId))
      );
    })
    .toSorted(newestFirst)
    .map(keyOf);
}

function newestFirst(a: SearchPosition, b: SearchPosition): number {
  const byTime = b.beginAt.getTime() - a.beginAt.getTime();
  if (byTime !== 0) return byTime;
  if (a.legId !== b.legId) return a.legId < b.legId ? 1 : -1;
  return b.sentenceNo - a.sentenceNo;
}

async function search(query: string, filter: SearchFilter, limit: number): Promise<readonly FoundSentence[]> {
  const found: FoundSentence[] = [];
  for (;;) {
    const page = await searchSentences(pool, {
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
        const plain = plainForm(pick(said).text).text;
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
      const from = random() < 0.2 ? new Date(BEGIN_MS + random() * SENTENCES * 20_000) : undefined;
      const filter: SearchFilter = {
        tenants: random() < 0.3 ? [pick(['a', 'b'])] : undefined,
        role: random() < 0.2 ? pick(['agent', 'customer']) : undefined,
        emotion: random() < 0.2 ? pick(['positive', 'negative', 'neutral']) : undefined,
        from,
        to: random() < 0.2 ? new Date(BEGIN_MS + random() * SENTENCES * 20_000) : undefined,
        callIds: random() < 0.1 ? Array.from({ length: 20 }, () => pick(said).callId) : undefined,
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
    const callId = newCallId(new Date(BEGIN_MS));
    const legId = newLegId(callId);
    const texts = ['一共是一百二十块。', '一共是120块。', '一共是102块。'];
    const rows = texts.map((text, at) => ({
      callId,
      legId,
      sentenceNo: at + 1,
      beginAt: new Date(Date.UTC(2026, 10, 1)),
      text,
      tenant: 'numbers',
      role: 'agent',
      emotion: undefined,
    }));
    await insert(rows);
    const filter = { tenants: ['numbers'] };
    const texted = async (query: string) =>
      (await search(query, filter, 10)).map(({ text }) => text).toSorted();
    expect(await texted('一百二十')).toEqual(texts.slice(0, 2).toSorted());
    expect(await texted('120')).toEqual(texts.slice(0, 2).toSorted());
    expect(await texted('是120块')).toEqual(texts.slice(0, 2).toSorted());
  });
});

it('a cursor stays where it is while newer sentences come', async () => {
  const query = { query: parseQuery('话费'), filter: { tenants: ['a'] }, windowRows: WINDOW_ROWS };
  const first = await searchSentences(pool, { ...query, limit: 5 });
  const callId = newCallId();
  await insert([
    {
      callId,
      legId: newLegId(callId),
      sentenceNo: 1,
      beginAt: new Date(),
      text: '话费话费',
      tenant: 'a',
      role: 'agent',
      emotion: undefined,
    },
  ]);
  const second = await searchSentences(pool, { ...query, after: first.at(-1), limit: 5 });
  const expected = scan('话费', { tenants: ['a'] });
  expect([...first, ...second].map(keyOf)).toEqual(expected.slice(0, 10));
});

it('who may see no tenant sees nothing', async () => {
  expect(await search('话费', { tenants: [] }, 10)).toEqual([]);
});
