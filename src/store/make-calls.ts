import type { CallId } from '../ids.ts';
import type { Queryable } from './pool.ts';

const MAKE_CALLS = {
  name: 'make-calls',
  text: `
insert into calls (id)
select distinct id from unnest($1::uuid[]) as given (id)
 where not exists (select from forgotten_calls where call_id = given.id)
   and not exists (select from calls where calls.id = given.id and calls.id = any($1))
 order by id
on conflict do nothing`,
};

/**
 * Makes calls that are not there as skeletons, in the order of their ids. To be done first in a transaction whose
 * statements each make calls: one that makes some in each of two waits in the second for those of another transaction,
 * which waits for those of the first. Whoever makes them looks before: `on conflict` waits for who writes a row just now.
 *
 * @throws what `pg` throws; see `toStoreError`
 */
export async function makeCalls(db: Queryable, callIds: readonly CallId[]): Promise<void> {
  if (callIds.length > 0) await db.query({ ...MAKE_CALLS, values: [callIds] });
}
