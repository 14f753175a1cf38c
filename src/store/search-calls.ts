import type { CallId } from '../ids.ts';
import type { Queryable } from './pool.ts';
import type { SearchFilter } from './search-filter.ts';

/** Calls that a filter names; more are found by looking at each sentence's call. */
export const CALLS_MAX = 1_000;

export interface NamedCalls {
  /** Only these; undefined: the filter names none, or too many. */
  readonly callIds: readonly CallId[] | undefined;
}

const CALLS_OF_AGENT = `
select distinct call_id as id
  from (select call_id from legs where role = 'agent' and lower(name) = lower($1)
        union all
        select call_id from legs where role = 'agent' and lower(uri_user(uri)) = lower($1)) as found
 limit ${CALLS_MAX + 1}`;
const CALLS_OF_NUMBER = `
select distinct call_id as id from legs where uri is not null and reversed_number(uri) like reverse($1) || '%' limit ${CALLS_MAX + 1}`;
const CALLS_OF_IDENTIFIER = `
select distinct call_id as id from call_identifiers where value = $1 limit ${CALLS_MAX + 1}`;

/** The calls to which an agent, a number or an id narrows a search. @throws what `pg` throws; see `toStoreError` */
export async function findCallsOf(db: Queryable, filter: SearchFilter): Promise<NamedCalls> {
  const named: (readonly CallId[])[] = [];
  if (filter.callId !== undefined) named.push([filter.callId]);
  if (filter.number !== undefined) named.push(await idsOf(db, CALLS_OF_NUMBER, filter.number));
  if (filter.identifier !== undefined) named.push(await idsOf(db, CALLS_OF_IDENTIFIER, filter.identifier));
  if (filter.agent !== undefined) named.push(await idsOf(db, CALLS_OF_AGENT, filter.agent));
  const few = named.filter((ids) => ids.length <= CALLS_MAX).sort((a, b) => a.length - b.length);
  return { callIds: few[0] };
}

async function idsOf(db: Queryable, statement: string, value: string): Promise<readonly CallId[]> {
  const { rows } = await db.query<{ id: CallId }>(statement, [value]);
  return rows.map(({ id }) => id);
}
