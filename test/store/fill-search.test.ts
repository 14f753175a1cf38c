import { afterAll, beforeAll, expect, it } from 'vitest';

import { silentLogger } from '../../src/log.ts';
import { parseQuery } from '../../src/search/query.ts';
import { fillSearch } from '../../src/store/fill-search.ts';
import { createPool, type Pool } from '../../src/store/pool.ts';
import { saveSentences } from '../../src/store/save-sentence.ts';
import { searchSentences } from '../../src/store/search-sentences.ts';
import { withinCost } from '../../src/store/within-cost.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { aCall, aSentence } from '../support/facts.ts';

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

const never = new AbortController().signal;

async function found(query: string): Promise<readonly string[]> {
  const options = { query: parseQuery(query), filter: {}, limit: 100, windowRows: 1 };
  const hits = await withinCost(pool, 10_000, (db) => searchSentences(db, options));
  return hits.map(({ text }) => text);
}

/** As a migration finds them: rows of calls that began long ago, without what they are searched by. */
async function makeOld(texts: readonly string[]): Promise<void> {
  const call = aCall({ startedAt: new Date('2026-03-01T08:00:00Z') });
  const legId = call.legs[0]!.id;
  await saveSentences(
    pool,
    texts.map((text, index) => aSentence({ callId: call.id, legId, sentenceNo: index + 1, text })),
  );
  await pool.query(`
    update sentences set search_text = null, search_pairs = null;
    drop index sentences_search, sentences_tenant, sentences_emotion;
    create index sentences_search on only sentences using gin (search_pairs);
    create index sentences_tenant on only sentences (tenant, leg_id, sentence_no);
    create index sentences_emotion on only sentences (emo_tag, leg_id, sentence_no)
      where emo_tag in ('positive', 'negative')`);
}

it('rows of before become searchable, also where it was broken off, and all indexes whole', async () => {
  const texts = ['我要退款', '一百二十块', '。', '再见', '退款了'];
  await makeOld(texts);
  expect(await found('退款')).toEqual([]);

  const broken = new AbortController();
  broken.abort();
  expect(await fillSearch(pool, { signal: broken.signal })).toEqual([]);
  const elsewhere = await pool.connect();
  await elsewhere.query('select pg_advisory_lock(3914677203)');
  expect(await fillSearch(pool, { signal: never })).toBeUndefined();
  elsewhere.release(true);

  await expect
    .poll(async () => await fillSearch(pool, { signal: never, batchRows: 2 }), { timeout: 30_000 })
    .toContain('sentences_other');
  expect(await found('退款')).toEqual(['退款了', '我要退款']);
  expect(await found('120')).toEqual(['一百二十块']);
  const { rows } = await pool.query(
    `select count(*)::int as broken from pg_index where indrelid in
       (select 'sentences'::regclass union select inhrelid from pg_inherits where inhparent = 'sentences'::regclass)
       and not indisvalid`,
  );
  expect(rows).toEqual([{ broken: 0 }]);
  expect(await fillSearch(pool, { signal: never })).toEqual([]);
});
