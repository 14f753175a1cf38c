import type { Queryable } from './pool.ts';
import { findCallsOf } from './search-calls.ts';
import { type FoundSentence, type SearchOptions, WINDOW_ROWS } from './search-filter.ts';
import { type IdSpan, isWithin, newestSpan, searchSpans } from './search-spans.ts';
import { type SearchScope, searchStatement, type SearchWay } from './search-statement.ts';

/** How long each of its statements may take, at most. */
export const SEARCH_MAX_MS = 2_000;

/** In place of `WINDOW_ROWS` for rows that lie apart, because they have an emotion in common: they cost more. */
const APART_ROWS = 2_000;
/** Words are spread unevenly. */
const WIDER_MARGIN = 1.5;
/** Hits lie all over the table, and are put in order. */
const ROWS_A_HIT = 8;
const APART_ROWS_A_HIT = 3;
/** Whatever the index costs. */
const WIDER_TIMES_MAX = 16;

/**
 * Sentences that hold all wanted terms and no unwanted one: the newest call first, and its last sentence first. That is
 * the order of the primary key, backwards, so no other index is needed for it, and a month that is not needed is not read.
 *
 * Two ways lead there, and neither is good alone: the index of pairs finds what is rare, but gives all that it finds
 * before it can be ordered; looking from the newest on finds what is frequent after a few rows, but reads everything for
 * what is rare. So the newest `WINDOW_ROWS` are looked through first. Where they do not fill the page, what was found
 * tells how frequent the words are, and hence which costs less: a window so wide that it will fill it, or the index.
 *
 * @param db within a transaction, see `withinCost`
 * @throws what `pg` throws, see `toStoreError`
 */
export async function searchSentences(
  db: Queryable,
  options: SearchOptions,
): Promise<readonly FoundSentence[]> {
  // Never through all rows by accident: what the planner thinks is cheap rests on guesses about pairs.
  await db.query('set local enable_seqscan = off');
  const { filter, after, limit } = options;
  const calls = await findCallsOf(db, filter);
  if (calls.callIds?.length === 0) return [];
  const { windowRows = filter.emotion === undefined ? WINDOW_ROWS : APART_ROWS } = options;
  const scope: SearchScope = { ...options, ...calls, windowRows };
  const spans = searchSpans(filter, after, new Date());
  const newest = newestSpan(spans);
  if (newest !== undefined && calls.callIds === undefined) {
    const page = await fullWindow(db, scope, newest);
    if (page !== undefined) return page;
  }
  const found: FoundSentence[] = [];
  for (const span of spans) {
    const rest = { ...scope, limit: limit - found.length };
    found.push(...(await searchBy(calls.callIds === undefined ? 'index' : 'calls', db, rest, span)));
    if (found.length === limit) break;
  }
  return found;
}

async function searchBy(
  way: SearchWay,
  db: Queryable,
  scope: SearchScope,
  span: IdSpan,
): Promise<readonly FoundSentence[]> {
  return (await db.query<FoundSentence>(searchStatement(way, scope, span))).rows;
}

/** A page out of the newest rows; undefined where the index gives it sooner. */
async function fullWindow(
  db: Queryable,
  scope: SearchScope,
  span: IdSpan,
): Promise<readonly FoundSentence[] | undefined> {
  const rows = await searchBy('window', db, scope, span);
  if (rows.length === scope.limit) return rows;
  if (rows.length === 0) return undefined;
  const windowRows = widerWindow(rows.length, scope, await estimateRows(db, leftOf(span, scope.after)));
  if (windowRows === undefined) return undefined;
  const wider = await searchBy('window', db, { ...scope, windowRows }, span);
  return wider.length === scope.limit ? wider : undefined;
}

/** Rows that will fill the page where words go on as they did; undefined: the index is cheaper. */
function widerWindow(
  found: number,
  { limit, windowRows, filter }: SearchScope,
  spanRows: number,
): number | undefined {
  const times = (limit / found) * WIDER_MARGIN;
  const wider = Math.ceil(times * windowRows);
  const hits = (found / windowRows) * spanRows;
  const rowsAHit = filter.emotion === undefined ? ROWS_A_HIT : APART_ROWS_A_HIT;
  return times <= WIDER_TIMES_MAX && wider <= hits * rowsAHit ? wider : undefined;
}

/** What of a span lies behind the cursor. */
const leftOf = (span: IdSpan, after: SearchOptions['after']): IdSpan =>
  after !== undefined && isWithin(span, after.legId) ? { ...span, to: after.legId } : span;

/** Sentences of a span, as the planner has it. */
async function estimateRows(db: Queryable, { from, to }: IdSpan): Promise<number> {
  const { rows } = await db.query<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    'explain (format json) select from sentences where leg_id >= $1::uuid and leg_id < $2::uuid',
    [from, to],
  );
  return rows[0]?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? 0;
}
