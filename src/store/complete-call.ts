import { figuresOf } from '../figures/call-figures.ts';
import type { CallId } from '../ids.ts';
import { loadCallFacts } from './load-figures.ts';
import type { Queryable } from './pool.ts';
import { saveFigures } from './save-figures.ts';

/**
 * Calls whose figures can be computed: `finishing` (or given up by the sweeper, which may have been too early), every
 * leg has told how many sentences it gave, and that many rows are there. And those that are complete and got a newer
 * snapshot since.
 *
 * Run it after the commit of every write to the call (a sentence, a snapshot), in a statement of its own. No
 * lock is needed then: of any set of concurrent writes one commits last, and the check that follows it takes
 * its snapshot after that commit and sees them all. A check inside the writing transaction would not do: the
 * last sentence and the finishing snapshot could each miss the other. A process that dies between write and
 * check leaves its job unfinished; the job runs again, and with it the check.
 */
const READY_CALL = {
  name: 'ready-call',
  text: `
select revision, state = 'complete' as "isComplete" from calls
 where id = $1
   and (state = 'finishing' or state = 'failed' and fault is not null
        or state = 'complete'
           and not exists (select from call_figures where call_id = $1 and call_figures.revision = calls.revision))
   and not exists (
     select from legs
      where call_id = $1 and id between leg_ids_from($1) and leg_ids_to($1)
        and (sentence_count is null
             or sentence_count > (select count(*) from sentences where leg_id = legs.id)))`,
};

/** A snapshot may come between the check and the figures; its own check may have come before the figures' rows. */
const ATTEMPTS = 3;

/**
 * Computes the figures of a complete call again, because what they were computed from was changed by hand.
 *
 * @throws what `pg` throws; see `toStoreError`
 */
export async function refreshFigures(db: Queryable, callId: CallId): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const { rows } = await db.query<{ revision: number }>(
      "select revision from calls where id = $1 and state = 'complete'",
      [callId],
    );
    const [call] = rows;
    if (call === undefined) return;
    const { legs, sentences } = await loadCallFacts(db, callId);
    if ((await saveFigures(db, callId, call.revision, figuresOf(legs, sentences))) === 'written') return;
  }
}

/**
 * Computes the figures of a call that has all its rows, and turns it `complete` in the same statement that writes them.
 *
 * @returns `complete` when this call of the function made it so
 * @throws what `pg` throws; see `toStoreError`
 */
export async function completeCall(db: Queryable, callId: CallId): Promise<'complete' | 'unchanged'> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const { rows } = await db.query<{ revision: number; isComplete: boolean }>({
      ...READY_CALL,
      values: [callId],
    });
    const [ready] = rows;
    if (ready === undefined) return 'unchanged';
    const { legs, sentences } = await loadCallFacts(db, callId);
    const outcome = await saveFigures(db, callId, ready.revision, figuresOf(legs, sentences));
    if (outcome === 'written') return ready.isComplete ? 'unchanged' : 'complete';
  }
  return 'unchanged';
}
