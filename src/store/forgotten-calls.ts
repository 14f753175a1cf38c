import type { CallId } from '../ids.ts';
import { deleteCall } from './delete-call.ts';
import type { Queryable } from './pool.ts';

/** From now on the writers drop whatever comes of these calls. @throws what `pg` throws; see `toStoreError` */
export async function rememberForgotten(db: Queryable, callIds: readonly CallId[]): Promise<void> {
  await db.query('insert into forgotten_calls (call_id) select unnest($1::uuid[]) on conflict do nothing', [
    callIds,
  ]);
}

/**
 * Deletes rows of forgotten calls that came in while they were being forgotten: a writer looks whether a call is
 * forgotten when its statement begins.
 *
 * @returns how many calls had any
 * @throws what `pg` throws; see `toStoreError`
 */
export async function deleteStragglers(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ id: CallId }>(
    'select id from calls where id in (select call_id from forgotten_calls)',
  );
  for (const { id } of rows) await deleteCall(db, id);
  return rows.length;
}

/** A call in which a number stands. */
export interface FoundCall {
  readonly id: CallId;
  readonly state: string;
  readonly startedAt: Date | null;
}

/**
 * Calls in which a number stands: as a leg's address now or before, among the call's identifiers, metadata or events.
 * The number may have a country or trunk prefix there (up to four digits) that is not given here, and separators
 * between its digits. Reads all rows of all months but sentences: minutes where there are millions.
 */
const FIND_BY_NUMBER = `
with found as (
  select call_id as id from legs where uri ~ $1 or name ~ $1 or role_evidence::text ~ $1
  union select call_id from call_identifiers where value ~ $1
  union select call_id from call_events where detail::text ~ $1
  union select id from calls where metadata::text ~ $1
)
select calls.id, state, started_at as "startedAt" from calls join found using (id) order by started_at, id`;

/** @param digits of the number, nothing else @throws what `pg` throws; see `toStoreError` */
export async function findCallsByNumber(db: Queryable, digits: string): Promise<readonly FoundCall[]> {
  const spelled = digits.split('').join('[-. ()]*');
  const { rows } = await db.query<FoundCall>(FIND_BY_NUMBER, [`(^|[^0-9])[0-9]{0,4}${spelled}([^0-9]|$)`]);
  return rows;
}

/** @throws what `pg` throws; see `toStoreError` */
export async function findCall(db: Queryable, callId: CallId): Promise<FoundCall | undefined> {
  const { rows } = await db.query<FoundCall>(
    'select id, state, started_at as "startedAt" from calls where id = $1',
    [callId],
  );
  return rows[0];
}
