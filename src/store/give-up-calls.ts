import type { CallId } from '../ids.ts';
import { completeCall } from './complete-call.ts';
import type { Queryable } from './pool.ts';

/** Calls in one go; the next sweep takes the rest. */
const CALLS_MAX = 500;

/** Of a call that goes on something comes now and then: a snapshot, a sentence, an event. */
const GIVE_UP_ACTIVE = {
  name: 'give-up-active-calls',
  text: `
with signs as (
  select id, greatest(coalesce(updated_at, started_at),
           (select max(stored_at) from sentences
             where call_id = calls.id and leg_id between leg_ids_from(calls.id) and leg_ids_to(calls.id)),
           (select max(at) from call_events where call_id = calls.id)) as last_at
    from calls
   where state = 'active' and coalesce(updated_at, started_at, '-infinity') < $1
   order by started_at limit ${CALLS_MAX}
)
update calls
   set state = 'failed', fault = 'lost', end_reason = coalesce(end_reason, 'lost'), ended_at = coalesce(ended_at, last_at)
  from signs
 where calls.id = signs.id and state = 'active' and coalesce(last_at, '-infinity') < $1
returning calls.id`,
};

const FIND_FINISHING = {
  name: 'find-finishing-calls',
  text: `
select id, coalesce(updated_at, ended_at, started_at, '-infinity') < $2 as "isHopeless"
  from calls
 where state = 'finishing' and coalesce(updated_at, ended_at, started_at, '-infinity') < $1
 order by started_at limit ${CALLS_MAX}`,
};

const GIVE_UP_FINISHING = {
  name: 'give-up-finishing-call',
  text: `update calls set state = 'failed', fault = 'sentences_missing' where id = $1 and state = 'finishing'`,
};

export interface GivenUpCalls {
  /** Nothing came of them any more: no intake has them. */
  readonly lost: readonly CallId[];
  /** They ended, and not all of their sentences came. */
  readonly sentencesMissing: readonly CallId[];
  /** All had come; the check after the last row had been cut off. */
  readonly completed: readonly CallId[];
}

export interface GiveUpLimits {
  readonly now: Date;
  /** A call is given up when nothing came of it for so long. */
  readonly afterMs: number;
  /** A call that has ended is looked at again after so long. */
  readonly lookAgainAfterMs: number;
}

/**
 * Closes what hangs: `active` calls of which nothing comes any more, and `finishing` calls whose sentences do not come,
 * become `failed` with the `fault` that says why. What comes later after all still counts: a newer snapshot takes the
 * fault away, and the last missing sentence makes the call complete.
 *
 * @throws what `pg` throws; see `toStoreError`
 */
export async function giveUpCalls(
  db: Queryable,
  { now, afterMs, lookAgainAfterMs }: GiveUpLimits,
): Promise<GivenUpCalls> {
  const before = new Date(now.getTime() - afterMs);
  const active = await db.query<{ id: CallId }>({ ...GIVE_UP_ACTIVE, values: [before] });
  const lookedAt = new Date(now.getTime() - lookAgainAfterMs);
  const finishing = await db.query<{ id: CallId; isHopeless: boolean }>({
    ...FIND_FINISHING,
    values: [lookedAt, before],
  });
  const sentencesMissing: CallId[] = [];
  const completed: CallId[] = [];
  for (const { id, isHopeless } of finishing.rows) {
    if ((await completeCall(db, id)) === 'complete') completed.push(id);
    else if (isHopeless && (await db.query({ ...GIVE_UP_FINISHING, values: [id] })).rowCount === 1) {
      sentencesMissing.push(id);
    }
  }
  return { lost: active.rows.map(({ id }) => id), sentencesMissing, completed };
}
