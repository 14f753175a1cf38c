import type { CallId } from '../ids.ts';
import type { Queryable } from './pool.ts';

/**
 * Turns `finishing` into `complete` once every leg has told how many sentences it gave and that many rows are
 * there.
 *
 * Run it after the commit of every write to the call (a sentence, a snapshot), in a statement of its own. No
 * lock is needed then: of any set of concurrent writes one commits last, and the check that follows it takes
 * its snapshot after that commit and sees them all. A check inside the writing transaction would not do: the
 * last sentence and the finishing snapshot could each miss the other. A process that dies between write and
 * check leaves its job unfinished; the job runs again, and with it the check.
 */
const COMPLETE_CALL = {
  name: 'complete-call',
  text: `
update calls set state = 'complete'
 where id = $1
   and state = 'finishing'
   and not exists (
     select from legs
      where call_id = $1 and id between leg_ids_from($1) and leg_ids_to($1)
        and (sentence_count is null
             or sentence_count > (select count(*) from sentences where leg_id = legs.id)))`,
};

/**
 * @returns `complete` when this call of the function made it so
 * @throws what `pg` throws; see `toStoreError`
 */
export async function completeCall(db: Queryable, callId: CallId): Promise<'complete' | 'unchanged'> {
  const result = await db.query({ ...COMPLETE_CALL, values: [callId] });
  return result.rowCount === 1 ? 'complete' : 'unchanged';
}
