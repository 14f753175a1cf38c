import { CallscribeError } from '../errors.ts';
import type { CallId, LegId } from '../ids.ts';
import { pairsOf } from '../search/normal-form.ts';
import type { SearchQuery, SearchTerm } from '../search/query.ts';
import type { Pool, Queryable } from './pool.ts';
import { withTransaction } from './pool.ts';

/** What a sentence must be besides holding the words. Left out: any. */
export interface SearchFilter {
  /** Tenants that may be seen; undefined sees all. An empty list sees none. */
  readonly tenants?: readonly string[] | undefined;
  /** Said at or after. */
  readonly from?: Date | undefined;
  /** Said before. */
  readonly to?: Date | undefined;
  readonly role?: string | undefined;
  /** `positive`, `negative` or `neutral`. */
  readonly emotion?: string | undefined;
  /** Only in these calls; at most {@link CALLS_MAX}. */
  readonly callIds?: readonly CallId[] | undefined;
}

/** The place of a sentence in the order of a result. */
export interface SearchPosition {
  readonly beginAt: Date;
  readonly legId: LegId;
  readonly sentenceNo: number;
}

export interface FoundSentence extends SearchPosition {
  readonly callId: CallId;
  readonly legNo: number;
  readonly role: string;
  readonly beginMs: number;
  readonly endMs: number;
  readonly text: string;
  readonly emoTag: string | null;
}

export interface SearchOptions {
  readonly query: SearchQuery;
  readonly filter: SearchFilter;
  /** Sentences said before this one; undefined begins with the newest. */
  readonly after?: SearchPosition | undefined;
  readonly limit: number;
  /** Default {@link WINDOW_ROWS}. */
  readonly windowRows?: number;
}

export const CALLS_MAX = 1_000;
/** So many of the newest sentences are looked through before the index is asked. */
export const WINDOW_ROWS = 5_000;
/** A search that takes longer is ended by the server. */
export const SEARCH_MAX_MS = 2_000;

/**
 * Sentences that hold all wanted terms and no unwanted one, newest first.
 *
 * Two ways lead there, and neither is good alone: the index of pairs finds what is rare, but gives all that it finds
 * before it can be ordered; looking from the newest on finds what is frequent after a few rows, but reads everything for
 * what is rare. So the newest {@link WINDOW_ROWS} are looked through first. Where they do not fill the page, less than
 * `limit` in so many rows match, and the index has little to give.
 *
 * @throws {CallscribeError} QUERY_TOO_COSTLY; else what `pg` throws, see `toStoreError`
 */
export async function searchSentences(pool: Pool, options: SearchOptions): Promise<readonly FoundSentence[]> {
  if (options.filter.tenants?.length === 0) return [];
  return withTransaction(pool, async (client) => {
    await client.query(SESSION);
    if (options.filter.callIds !== undefined) return find(client, 'calls', options);
    const newest = await find(client, 'window', options);
    return newest.length === options.limit ? newest : find(client, 'index', options);
  }).catch((error: unknown) => {
    throw tooCostly(error) ?? error;
  });
}

/** Never through all rows by accident: what the planner thinks is cheap rests on guesses about pairs. */
const SESSION = `set local statement_timeout = ${SEARCH_MAX_MS}; set local enable_seqscan = off; set local jit = off`;

type Way = 'window' | 'index' | 'calls';

async function find(db: Queryable, way: Way, options: SearchOptions): Promise<readonly FoundSentence[]> {
  const { text, values } = statementFor(way, options);
  const result = await db.query<FoundSentence>({ text, values: [...values] });
  return result.rows;
}

const COLUMNS = `s.begin_at as "beginAt", s.leg_id as "legId", s.sentence_no as "sentenceNo", s.call_id as "callId",
       legs.leg_no as "legNo", legs.role, s.begin_ms as "beginMs", s.end_ms as "endMs", s.text,
       s.emo_tag as "emoTag"`;
const ORDER = 'begin_at desc, leg_id desc, sentence_no desc';

/** The statement and its values; for whoever wants to see the plan. */
export function statementFor(
  way: Way,
  { query, filter, after, limit, windowRows = WINDOW_ROWS }: SearchOptions,
): { readonly text: string; readonly values: readonly unknown[] } {
  const values: unknown[] = [];
  const value = (given: unknown): string => `$${values.push(given)}`;

  const span: string[] = [];
  if (filter.tenants !== undefined) span.push(`tenant = any (${value(filter.tenants)})`);
  if (filter.from !== undefined) span.push(`begin_at >= ${value(filter.from)}`);
  if (filter.to !== undefined) span.push(`begin_at < ${value(filter.to)}`);
  if (filter.callIds !== undefined) span.push(`call_id = any (${value(filter.callIds)}::uuid[])`);
  if (after !== undefined) {
    const { beginAt, legId, sentenceNo } = after;
    span.push(
      `(begin_at, leg_id, sentence_no) < (${value(beginAt)}, ${value(legId)}::uuid, ${value(sentenceNo)})`,
    );
  }

  const holds = (term: SearchTerm): string =>
    `(${term.forms.map((form) => `strpos(search_text, ${value(form)}) > 0`).join(' or ')})`;
  const said = [...query.wanted.map(holds), ...query.unwanted.map((term) => `not ${holds(term)}`)];
  if (filter.emotion !== undefined) said.push(`emo_tag = ${value(filter.emotion)}`);

  const indexed = (term: SearchTerm): string =>
    `(${term.forms.map((form) => `search_pairs @> ${value(pairsOf(form))}::int[]`).join(' or ')})`;
  const role = filter.role === undefined ? '' : `where legs.role = ${value(filter.role)}`;
  const all = (conditions: readonly string[]): string =>
    conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`;

  const found =
    way === 'window'
      ? `select * from (select * from sentences ${all(span)} order by ${ORDER} limit ${windowRows}) newest
          ${all(said)}`
      : `select * from sentences ${all([...(way === 'index' ? query.wanted.map(indexed) : []), ...span, ...said])}`;
  return {
    text: `
with s as ${way === 'window' ? 'not materialized' : 'materialized'} (${found})
select ${COLUMNS}
  from s join legs on legs.id = s.leg_id
 ${role}
 order by s.begin_at desc, s.leg_id desc, s.sentence_no desc
 limit ${value(limit)}`,
    values,
  };
}

function tooCostly(error: unknown): CallscribeError | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  if (code !== QUERY_CANCELED) return undefined;
  return new CallscribeError(
    'QUERY_TOO_COSTLY',
    `search: found too much in ${SEARCH_MAX_MS / 1_000} s to order it; narrow the time, or add a rarer word`,
    { cause: error },
  );
}

/** SQLSTATE of a statement that ran into its time limit. */
const QUERY_CANCELED = '57014';
