import type { CallId } from '../ids.ts';
import { pairsOf } from '../search/normal-form.ts';
import type { SearchTerm } from '../search/query.ts';
import type { SearchOptions } from './search-filter.ts';
import { type IdSpan, isWithin } from './search-spans.ts';

/**
 * - `window`: looks through the newest rows of a span
 * - `index`: asks the index of pairs
 * - `calls`: looks through the calls that the filter names
 */
export type SearchWay = 'window' | 'index' | 'calls';

export interface SearchScope extends SearchOptions {
  /** Only in these. */
  readonly callIds: readonly CallId[] | undefined;
  readonly windowRows: number;
}

export interface Statement {
  readonly text: string;
  readonly values: unknown[];
}

const ORDER = 'leg_id desc, sentence_no desc';
const READ = `leg_id, sentence_no, call_id, tenant, begin_ms, end_ms, begin_at, end_at, text, emo_tag, search_text`;
const COLUMNS = `s.leg_id as "legId", s.sentence_no as "sentenceNo", s.call_id as "callId", s.tenant, legs.leg_no as "legNo",
       legs.role, s.begin_ms as "beginMs", s.end_ms as "endMs", s.begin_at as "beginAt", s.end_at as "endAt", s.text,
       s.emo_tag as "emoTag"`;

/**
 * One way through one span, newest first. What stands in the sentence's own row is asked first; what stands in its leg
 * or call is looked up in order, row by row, until the page is full.
 */
export function searchStatement(
  way: SearchWay,
  { query, filter, after, limit, callIds, windowRows }: SearchScope,
  { from, to }: IdSpan,
): Statement {
  const values: unknown[] = [];
  const value = (given: unknown): string => `$${values.push(given)}`;
  const [lowest, highest] = [`${value(from)}::uuid`, `${value(to)}::uuid`];

  const span = [`leg_id >= ${lowest}`];
  if (after !== undefined && isWithin({ from, to }, after.legId)) {
    const legId = `${value(after.legId)}::uuid`;
    // The first follows from the second, but by it alone months are left out, and an index is entered at the cursor.
    span.push(`leg_id <= ${legId}`, `(leg_id, sentence_no) < (${legId}, ${value(after.sentenceNo)})`);
  } else span.push(`leg_id < ${highest}`);
  if (filter.tenant !== undefined) span.push(`tenant = ${value(filter.tenant)}`);
  if (filter.from !== undefined) span.push(`begin_at >= ${value(filter.from)}`);
  if (filter.to !== undefined) span.push(`begin_at < ${value(filter.to)}`);
  if (callIds !== undefined) span.push(`call_id = any (${value(callIds)}::uuid[])`);

  const holds = (term: SearchTerm): string =>
    `(${term.forms.map((form) => `strpos(search_text, ${value(form)}) > 0`).join(' or ')})`;
  const said = [...query.wanted.map(holds), ...query.unwanted.map((term) => `not ${holds(term)}`)];
  if (filter.emotion !== undefined) {
    // The few that are not neutral have an index in the order of the result, which is of use for that order alone.
    if (way === 'window') span.push(`emo_tag = ${value(filter.emotion)}`);
    else said.push(`emo_tag is not distinct from ${value(filter.emotion)}`);
  }

  const indexed = (term: SearchTerm): string =>
    `(${term.forms.map((form) => `search_pairs @> ${value(pairsOf(form))}::int[]`).join(' or ')})`;

  const legOfCall = `from legs where legs.call_id = s.call_id and legs.id between leg_ids_from(s.call_id) and leg_ids_to(s.call_id)`;
  const around: string[] = [];
  if (filter.role !== undefined) {
    around.push(`(select legs.role from legs where legs.id = s.leg_id) = ${value(filter.role)}`);
  }
  if (filter.agent !== undefined) {
    const agent = value(filter.agent);
    around.push(`(select true ${legOfCall} and legs.role = 'agent'
        and (lower(legs.name) = lower(${agent}) or lower(uri_user(legs.uri)) = lower(${agent})) limit 1)`);
  }
  if (filter.number !== undefined) {
    around.push(
      `(select true ${legOfCall} and starts_with(reversed_number(legs.uri), reverse(${value(filter.number)})) limit 1)`,
    );
  }
  if (filter.identifier !== undefined) {
    around.push(
      `(select true from call_identifiers as i where i.call_id = s.call_id and i.value = ${value(filter.identifier)} limit 1)`,
    );
  }
  if (filter.category !== undefined) {
    around.push(
      `(select metadata ->> 'category' from calls where calls.id = s.call_id) = ${value(filter.category)}`,
    );
  }

  const given =
    way === 'window'
      ? `(select ${READ} from (select ${READ} from sentences ${all(span)} order by ${ORDER} limit ${windowRows}) as newest
            ${all(said)} order by ${ORDER})`
      : `(select * from hits order by ${ORDER})`;
  const hits =
    way === 'window'
      ? ''
      : `with hits as materialized (
  select ${READ} from sentences ${all([...(way === 'index' ? query.wanted.map(indexed) : []), ...span, ...said])})`;
  return {
    text: `${hits}
select ${COLUMNS}
  from (select * from ${given} as s ${all(around)} order by ${ORDER} limit ${value(limit)}) as s
  join legs on legs.id = s.leg_id and legs.id >= ${lowest} and legs.id < ${highest}
 order by s.leg_id desc, s.sentence_no desc`,
    values,
  };
}

const all = (conditions: readonly string[]): string =>
  conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`;
