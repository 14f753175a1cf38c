import type { CallId } from '../ids.ts';
import type { Queryable } from './pool.ts';

/** At most this many; an identifier that many calls share (a campaign, a group) is read page by page elsewhere. */
export const FOUND_CALLS_MAX = 100;

const FIND_CALLS = {
  name: 'find-calls-by-identifier',
  text: `
select id
  from (select distinct call_id from call_identifiers where value = $1 and ($2::text is null or kind = $2)) as found,
       -- One by one, each in its month; "offset 0" keeps the planner from reading all months for a join.
       lateral (select id, started_at from calls where id = found.call_id offset 0) as call
 order by started_at desc nulls last, id
 limit ${FOUND_CALLS_MAX}`,
};

/**
 * The calls that a CRM knows by this id, newest first, at most {@link FOUND_CALLS_MAX}.
 *
 * @param kind such as `sip-call-id`; any kind where it is left out
 * @throws what `pg` throws; see `toStoreError`
 */
export async function findCallsByIdentifier(
  db: Queryable,
  value: string,
  kind?: string,
): Promise<readonly CallId[]> {
  const result = await db.query<{ id: CallId }>({ ...FIND_CALLS, values: [value, kind ?? null] });
  return result.rows.map((row) => row.id);
}
