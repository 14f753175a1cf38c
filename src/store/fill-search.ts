import { setTimeout as sleep } from 'node:timers/promises';

import type pg from 'pg';

import { pairsLiteral, searchText } from '../search/normal-form.ts';
import { LOCK_WAIT_MS } from './months.ts';
import type { Pool } from './pool.ts';

export interface FillSearchOptions {
  readonly signal: AbortSignal;
  readonly batchRows?: number;
}

const BATCH_ROWS = 1_000;
/** One process at a time; not the sweeper's, which would wait for hours. */
const LOCK_KEY = 3_914_677_203;

/** Indexes that a partition from before migrations 0009 and 0015 does not have. */
const INDEXES = {
  sentences_search: 'using gin (search_pairs) with (fastupdate = on)',
  sentences_tenant: '(tenant, leg_id, sentence_no)',
  sentences_emotion: "(emo_tag, leg_id, sentence_no) where emo_tag in ('positive', 'negative')",
} as const;

/** Partitions of `sentences` that lack one of them. */
const UNFILLED = `
select child.relname as name
  from pg_inherits join pg_class child on child.oid = inhrelid
 where inhparent = 'sentences'::regclass
   and (select count(*) from pg_index i join pg_inherits tie on tie.inhrelid = i.indexrelid
         where i.indrelid = child.oid and tie.inhparent = any ($1::regclass[])) < cardinality($1::regclass[])
 order by child.relname desc`;

/**
 * Makes the sentences of before migration 0009 searchable while calls run: fills their columns in batches, with a pause
 * as long as each batch took, then builds their indexes without a lock. Newest month first. What is broken off goes on
 * where it was; where all is filled, this is one look into the catalogue. Until then a word that is rare is not found in
 * a month of before, or found too slowly (QUERY_TOO_COSTLY).
 *
 * @returns partitions that are searchable now; undefined where another process is at it
 * @throws what `pg` throws; see `toStoreError`
 */
export async function fillSearch(
  pool: Pool,
  { signal, batchRows = BATCH_ROWS }: FillSearchOptions,
): Promise<readonly string[] | undefined> {
  const session = await pool.connect();
  // Its time limits and its lock go with it.
  let isClean = false;
  try {
    const { rows: unfilled } = await session.query<{ name: string }>(UNFILLED, [Object.keys(INDEXES)]);
    if (unfilled.length === 0) {
      isClean = true;
      return [];
    }
    const lock = await session.query<{ taken: boolean }>('select pg_try_advisory_lock($1) as taken', [
      LOCK_KEY,
    ]);
    if (lock.rows[0]?.taken !== true) return undefined;
    await session.query(`set statement_timeout = 0; set lock_timeout = ${LOCK_WAIT_MS}`);
    const done: string[] = [];
    for (const { name } of unfilled) {
      await fillRows(session, name, batchRows, signal);
      for (const [parent, definition] of Object.entries(INDEXES)) {
        if (signal.aborted) return done;
        await buildIndex(session, { parent, partition: name, definition });
      }
      done.push(name);
    }
    return done;
  } finally {
    session.release(!isClean);
  }
}

async function fillRows(
  session: pg.PoolClient,
  partition: string,
  batchRows: number,
  signal: AbortSignal,
): Promise<void> {
  let [legId, sentenceNo] = ['00000000-0000-0000-0000-000000000000', 0];
  while (!signal.aborted) {
    const began = performance.now();
    const { rows } = await session.query<{ leg_id: string; sentence_no: number; text: string }>(
      `select leg_id, sentence_no, text from ${partition}
        where (leg_id, sentence_no) > ($1, $2) and search_text is null order by leg_id, sentence_no limit ${batchRows}`,
      [legId, sentenceNo],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    const forms = rows.map(({ text }) => searchText(text));
    await session.query(
      `update ${partition} as s set search_text = given.form, search_pairs = given.pairs::integer[]
         from unnest($1::uuid[], $2::integer[], $3::text[], $4::text[]) as given (leg_id, sentence_no, form, pairs)
        where s.leg_id = given.leg_id and s.sentence_no = given.sentence_no`,
      [rows.map((row) => row.leg_id), rows.map((row) => row.sentence_no), forms, forms.map(pairsLiteral)],
    );
    [legId, sentenceNo] = [last.leg_id, last.sentence_no];
    await sleep(performance.now() - began, undefined, { signal }).catch(() => undefined);
  }
}

interface IndexToBuild {
  readonly parent: string;
  readonly partition: string;
  readonly definition: string;
}

async function buildIndex(
  session: pg.PoolClient,
  { parent, partition, definition }: IndexToBuild,
): Promise<void> {
  const index = partition.replace('sentences', parent);
  // One that was broken off stays behind, and is of no use.
  const { rows } = await session.query<{ valid: boolean }>(
    'select indisvalid as valid from pg_index where indexrelid = to_regclass($1)',
    [index],
  );
  if (rows[0]?.valid === false) await session.query(`drop index concurrently ${index}`);
  await session.query(`create index concurrently if not exists ${index} on ${partition} ${definition}`);
  await session.query(`alter index ${parent} attach partition ${index}`);
}
