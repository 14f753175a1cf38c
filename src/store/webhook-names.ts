import { lowestIdAt } from '../ids.ts';
import type { Queryable } from './pool.ts';

/** A name that a routing rule gave to a call and that no endpoint of the call's tenant has. */
export interface UnknownEndpointName {
  readonly tenant: string;
  readonly name: string;
  /** The last call that it was given to. */
  readonly callId: string;
}

const LOOK_BACK_MS = 3_600_000;
/** The newest of them: where the look is repeated each minute, 30 new calls a second are all seen. */
const CALLS_MAX = 2_000;
const NAMES_MAX = 100;

/** By the primary key: ids of calls are in the order of time, and random ones of before lie beyond the second bound. */
const UNKNOWN_NAMES = {
  name: 'unknown-webhook-names',
  text: `
with newest as (
  select id, tenant, metadata #> '{route,webhooks}' as names from calls
   where id >= $1 and id < $2
   order by id desc limit ${CALLS_MAX}
), given as (
  select tenant, name, max(id::text) as call_id
    from newest, jsonb_array_elements_text(case jsonb_typeof(names) when 'array' then names else '[]' end) as name
   group by 1, 2
)
select tenant, name, call_id as "callId" from given
 where not exists (
   select from webhook_endpoints endpoint where endpoint.tenant = given.tenant and endpoint.name = given.name)
 order by 1, 2
 limit ${NAMES_MAX}`,
};

/**
 * In the newest calls of the last hour. Nobody is told where a rule gives only such names, and the rules' file cannot be refused for it:
 * who reads it has no database.
 *
 * @throws what `pg` throws; see `toStoreError`
 */
export async function loadUnknownNames(db: Queryable, now: Date): Promise<readonly UnknownEndpointName[]> {
  const at = now.getTime();
  const values = [lowestIdAt(new Date(at - LOOK_BACK_MS)), lowestIdAt(new Date(at + LOOK_BACK_MS))];
  return (await db.query<UnknownEndpointName>({ ...UNKNOWN_NAMES, values })).rows;
}
