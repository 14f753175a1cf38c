import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { SearchBenchOptions } from '../src/bench/search.ts';
import { batches, FIRST_DAY, rows, SEARCH_DAYS } from '../src/bench/search-rows.ts';
import { startEmbeddedPostgres } from '../src/embedded/postgres.ts';
import { silentLogger } from '../src/log.ts';
import { pairsOf, plainForm, searchText } from '../src/search/normal-form.ts';
import { parseQuery } from '../src/search/query.ts';
import { seededRandom } from '../src/seeded-random.ts';
import { migrate } from '../src/store/migrate.ts';
import { makeMonths } from '../src/store/months.ts';
import { createPool, type Pool } from '../src/store/pool.ts';
import type { SearchFilter, SearchPosition } from '../src/store/search-filter.ts';
import { SEARCH_MAX_MS, searchSentences } from '../src/store/search-sentences.ts';
import { withinCost } from '../src/store/within-cost.ts';

const BATCH = 1_000;
const INSERTED = 60_000;

type Print = (line: string) => void;

/** `npm run bench -- search`. */
export async function benchSearch(options: SearchBenchOptions, print: Print): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'callscribe-bench-'));
  const postgres = await startEmbeddedPostgres({
    dataDir,
    logger: silentLogger,
    settings: { shared_buffers: '2GB', max_wal_size: '4GB', synchronous_commit: 'off' },
  });
  const pool = createPool({ databaseUrl: postgres.url, logger: silentLogger, max: 2 });
  try {
    await migrate(postgres.url, silentLogger);
    await makeMonthsOf(pool);
    const inserts = await measureInserts(pool, options.seed, print);
    await load(pool, options, print);
    const sizes = await measureSizes(pool, print);
    const queries = await measureQueries(pool, options, print);
    print(JSON.stringify({ bench: 'search', options, inserts, sizes, queries }));
  } finally {
    await pool.end();
    await postgres.close();
    await rm(postgres.clusterDir, { recursive: true, force: true });
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function makeMonthsOf(pool: Pool): Promise<void> {
  const session = await pool.connect();
  await makeMonths(session, FIRST_DAY);
  session.release();
}

const TABLES = {
  bare: '',
  ours: `create index on t_ours using gin (search_pairs)`,
  trgm: `create index on t_trgm using gin (search_text gin_trgm_ops)`,
} as const;

/** The same rows into three tables that differ in the index only; ours makes its forms here as well. */
async function measureInserts(pool: Pool, seed: number, print: Print): Promise<Record<string, number>> {
  await pool.query('create extension if not exists pg_trgm');
  const seconds: Record<string, number> = { bare: 0, ours: 0, trgm: 0 };
  for (const [name, index] of Object.entries(TABLES)) {
    await pool.query(
      `create table t_${name} (leg_id uuid, sentence_no int, call_id uuid, begin_at timestamptz, text text,
         ${name === 'bare' ? '' : 'search_text text,'} ${name === 'ours' ? 'search_pairs int[],' : ''} primary key (leg_id, sentence_no))`,
    );
    await pool.query(`create index on t_${name} (begin_at desc)`);
    if (index !== '') await pool.query(index);
  }
  for (const batch of batches(rows(INSERTED, seed + 7, 10), BATCH)) {
    for (const name of Object.keys(TABLES)) {
      const began = performance.now();
      const columns = [
        batch.map((row) => row.legId),
        batch.map((row) => row.sentenceNo),
        batch.map((row) => row.callId),
        batch.map((row) => row.beginAt),
        batch.map((row) => row.text),
      ];
      if (name === 'ours') {
        const forms = batch.map((row) => searchText(row.text));
        await pool.query(
          `insert into t_ours select a, b, c, d, e, f, g::int[]
             from unnest($1::uuid[], $2::int[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[])
               as u (a, b, c, d, e, f, g)`,
          [...columns, forms, forms.map((form) => `{${pairsOf(form).join(',')}}`)],
        );
      } else if (name === 'trgm') {
        await pool.query(
          `insert into t_trgm select * from unnest($1::uuid[], $2::int[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[])`,
          [...columns, batch.map((row) => searchText(row.text))],
        );
      } else {
        await pool.query(
          `insert into t_${name} select * from unnest($1::uuid[], $2::int[], $3::uuid[], $4::timestamptz[], $5::text[])`,
          columns,
        );
      }
      seconds[name] = (seconds[name] ?? 0) + (performance.now() - began) / 1_000;
    }
  }
  // What is still on the pending list is paid for as well.
  for (const name of ['ours', 'trgm']) {
    const index = name === 'ours' ? 't_ours_search_pairs_idx' : 't_trgm_search_text_idx';
    const began = performance.now();
    await pool.query(`select gin_clean_pending_list('${index}')`);
    seconds[name] = (seconds[name] ?? 0) + (performance.now() - began) / 1_000;
  }
  const perSecond = Object.fromEntries(
    Object.entries(seconds).map(([name, spent]) => [name, Math.round(INSERTED / spent)]),
  );
  print(
    `inserting, sentences/s: bare ${perSecond['bare']}, ours ${perSecond['ours']}, pg_trgm ${perSecond['trgm']}`,
  );
  for (const name of Object.keys(TABLES)) await pool.query(`drop table t_${name}`);
  return perSecond;
}

async function load(pool: Pool, { sentences, seed }: SearchBenchOptions, print: Print): Promise<void> {
  const began = performance.now();
  let loaded = 0;
  for (const batch of batches(rows(sentences, seed, SEARCH_DAYS), 5_000)) {
    const forms = batch.map((row) => searchText(row.text));
    await pool.query(
      `insert into sentences (leg_id, sentence_no, call_id, begin_ms, end_ms, begin_at, end_at, text, asr_task_id, emo_tag,
                              search_text, search_pairs)
       select a, b, c, 0, 1000, d, d, e, 'bench', h, f, g::int[]
         from unnest($1::uuid[], $2::int[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[])
           as u (a, b, c, d, e, f, g, h)`,
      [
        batch.map((row) => row.legId),
        batch.map((row) => row.sentenceNo),
        batch.map((row) => row.callId),
        batch.map((row) => row.beginAt),
        batch.map((row) => row.text),
        forms,
        forms.map((form) => `{${pairsOf(form).join(',')}}`),
        batch.map((row) => row.emotion),
      ],
    );
    loaded += batch.length;
    if (loaded % 250_000 === 0) print(`${loaded} of ${sentences} sentences loaded`);
  }
  await pool.query(
    `insert into legs (id, call_id, leg_no, role)
     select leg_id, (array_agg(call_id))[1], 0, case when hashtext(leg_id::text) % 2 = 0 then 'agent' else 'customer' end
       from sentences group by leg_id`,
  );
  await pool.query(
    'create table scan as select leg_id, sentence_no, begin_at, text, search_text from sentences',
  );
  await pool.query('create index on scan (begin_at desc)');
  await pool.query('create index scan_trgm on scan using gin (search_text gin_trgm_ops)');
  await pool.query('vacuum analyze');
  print(`loaded in ${Math.round((performance.now() - began) / 1_000)} s`);
}

async function measureSizes(pool: Pool, print: Print): Promise<Record<string, number>> {
  const { rows: sized } = await pool.query<Record<string, number>>(
    `select (select sum(octet_length(text)) from sentences)::float as "textBytes",
            (select sum(octet_length(search_text)) from sentences)::float as "searchTextBytes",
            (select sum(pg_column_size(search_pairs)) from sentences)::float as "pairsBytes",
            (select sum(pg_relation_size(relid)) from pg_partition_tree('sentences_search'))::float as "indexBytes",
            pg_relation_size('scan_trgm')::float as "trgmIndexBytes"`,
  );
  const found = sized[0] ?? {};
  print(JSON.stringify(found));
  return found;
}

interface Kind {
  readonly name: string;
  readonly queries: readonly string[];
  readonly filter?: SearchFilter;
  readonly deepPages?: number;
}

async function measureQueries(
  pool: Pool,
  { seed }: SearchBenchOptions,
  print: Print,
): Promise<Record<string, unknown>> {
  const results: Record<string, unknown> = {};
  const sample = await pool.query<{ text: string }>(
    'select text from sentences tablesample bernoulli (0.5) limit 2000',
  );
  const random = seededRandom(seed + 3);
  const pieces = (length: number, count: number): string[] => {
    const found: string[] = [];
    while (found.length < count) {
      const row = sample.rows[Math.floor(random() * sample.rows.length)];
      const plain = plainForm(row?.text ?? '').text;
      if (plain.length < length) continue;
      const at = Math.floor(random() * (plain.length - length + 1));
      found.push(plain.slice(at, at + length));
    }
    return found;
  };
  const frequent = ['您好', '话费', '查询', '请问', '可以', '套餐', '我们', '一下', '帮您', '谢谢'];
  const fromDay = new Date(Date.UTC(2026, 9, 20));
  const toDay = new Date(Date.UTC(2026, 9, 22));
  const two = pieces(2, 40);
  const kinds: Kind[] = [
    { name: 'two characters, frequent', queries: frequent },
    { name: 'two characters, any', queries: two },
    { name: 'two characters, as rare as can be', queries: await rarest(pool, pieces(2, 400)) },
    { name: 'four characters', queries: pieces(4, 40) },
    { name: 'phrase of eight', queries: pieces(8, 40).map((text) => `"${text}"`) },
    { name: 'a phrase that everybody says', queries: ['请问有什么可以帮您', '感谢您的来电', '请稍等'] },
    { name: 'numbers', queries: ['一百二十', '120元', '99', '1016', '三百'] },
    { name: 'two words', queries: pieces(2, 20).map((text, at) => `${text} ${frequent[at % 10] ?? ''}`) },
    {
      name: 'one without another',
      queries: two.slice(0, 20).map((text, at) => `${text} -${frequent[at % 10] ?? ''}`),
    },
    { name: 'not there', queries: ['龘靐', '鱻麤齉', '没有这样的一句话'] },
    { name: 'any, of one role', queries: two, filter: { role: 'agent' } },
    { name: 'any, negative', queries: two, filter: { emotion: 'negative' } },
    { name: 'any, two days', queries: two, filter: { from: fromDay, to: toDay } },
    { name: 'frequent, two days', queries: frequent, filter: { from: fromDay, to: toDay } },
    {
      name: 'frequent, negative, page 10',
      queries: frequent,
      filter: { emotion: 'negative' },
      deepPages: 10,
    },
    { name: 'frequent, page 50', queries: frequent, deepPages: 50 },
    { name: 'any, page 10', queries: two, deepPages: 10 },
  ];
  for (const kind of kinds) {
    const ours: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      for (const query of kind.queries) {
        const ms = await timeOurs(pool, kind, query);
        if (round > 0) ours.push(ms);
      }
    }
    const few = kind.queries.slice(0, 3).map((query) => parseQuery(query).wanted[0]?.forms[0] ?? '');
    const like: number[] = [];
    const trgm: number[] = [];
    for (const form of few) {
      like.push(await timeLike(pool, form, 'off'));
      trgm.push(await timeLike(pool, form, 'on'));
    }
    const figure = { p50Ms: rank(ours, 50), p95Ms: rank(ours, 95), maxMs: rank(ours, 100) };
    const beside = { likeMs: rank(like, 50), trgmMs: rank(trgm, 50) };
    results[kind.name] = { ...figure, ...beside };
    print(
      `${kind.name.padEnd(36)} p50 ${figure.p50Ms} p95 ${figure.p95Ms} max ${figure.maxMs} ms; LIKE ${beside.likeMs}, pg_trgm ${beside.trgmMs} ms`,
    );
  }
  return results;
}

async function rarest(pool: Pool, forms: readonly string[]): Promise<string[]> {
  const counted: { form: string; count: number }[] = [];
  for (const form of [...new Set(forms)].slice(0, 60)) {
    const { rows: found } = await pool.query<{ count: number }>(
      'select count(*)::int as count from sentences where search_pairs @> $1::int[]',
      [pairsOf(form)],
    );
    counted.push({ form, count: found[0]?.count ?? 0 });
  }
  return counted
    .sort((a, b) => a.count - b.count)
    .slice(0, 20)
    .map(({ form }) => form);
}

async function timeOurs(pool: Pool, { filter = {}, deepPages = 1 }: Kind, query: string): Promise<number> {
  let after: SearchPosition | undefined;
  let ms = 0;
  for (let page = 0; page < deepPages; page += 1) {
    const began = performance.now();
    const found = await withinCost(pool, SEARCH_MAX_MS, (db) =>
      searchSentences(db, { query: parseQuery(query), filter, after, limit: 20 }),
    );
    ms = performance.now() - began;
    const last = found.at(-1);
    if (found.length < 20 || last === undefined) break;
    after = last;
  }
  return ms;
}

async function timeLike(pool: Pool, form: string, index: 'on' | 'off'): Promise<number> {
  const client = await pool.connect();
  try {
    await client.query(
      `begin; set local enable_indexscan = ${index}; set local enable_bitmapscan = ${index}; set local statement_timeout = 20000`,
    );
    const began = performance.now();
    await client.query(
      'select leg_id, sentence_no, text from scan where search_text like $1 order by begin_at desc limit 20',
      [`%${form}%`],
    );
    return performance.now() - began;
  } finally {
    await client.query('rollback');
    client.release();
  }
}

function rank(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round((sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? 0) * 10) / 10;
}
