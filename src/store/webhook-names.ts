import { lowestIdAt } from '../ids.ts';
import type { Queryable } from './pool.ts';

/** A name that a routing rule gave to a call and that no endpoint of the call's tenant has. */
export interface UnknownEndpointName {
  readonly tenant: string;
  readonly name: string;
  /** The last call that it was given to. */
  readonly callId: string;
}

/** Of what was decided before, an operator knows or has forgotten. */
const LOOK_BACK_MS = 3_600_000;
/** The newest calls that are looked at: with many more an hour, a rule that seldom matches may be missed. */
const CALLS_MAX = 10_000;
const NAMES_MAX = 100;

/** By the primary key: ids of calls are in the order of time, and random ones of before lie beyond the second bound. */
const UNKNOWN_NAMES = {
  name: 'unknown-webhook-names',
  text: `
select tenant, name, max(id::text) as "callId"
  from (select id, tenant, metadata #> '{route,webhooks}' as names from calls where id >= $1 and id < $2
         order by id desc limit ${CALLS_MAX}) as newest,
       lateral jsonb_array_elements_text(case jsonb_typeof(names) when 'array' then names else '[]' end) as name
 where not exists (
   select from webhook_endpoints endpoint where endpoint.tenant = newest.tenant and endpoint.name = name.name)
 group by 1, 2
 order by 1, 2
 limit ${NAMES_MAX}`,
};

/**
 * Of the calls of the last hour. Nobody is told where a rule gives only such names, and the rules' file cannot be refused for it:
 * who reads it has no database.
 *
 * @throws what `pg` throws; see `toStoreError`
 */
export async function loadUnknownNames(db: Queryable, now: Date): Promise<readonly UnknownEndpointName[]> {
  const at = now.getTime();
  const values = [lowestIdAt(new Date(at - LOOK_BACK_MS)), lowestIdAt(new Date(at + LOOK_BACK_MS))];
  return (await db.query<UnknownEndpointName>({ ...UNKNOWN_NAMES, values })).rows;
}
