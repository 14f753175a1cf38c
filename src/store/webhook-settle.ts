import type { WaitingMessage } from '../webhooks/lane.ts';
import type { Verdict } from '../webhooks/verdict.ts';
import { type Pool, type Queryable, withTransaction } from './pool.ts';
import { disableEndpoint } from './webhook-endpoints.ts';

/** Writes down what became of a claimed message and of its endpoint. @throws what `pg` throws; see `toStoreError` */
export async function settleMessage(pool: Pool, message: WaitingMessage, verdict: Verdict): Promise<void> {
  const { id, endpointId } = message;
  switch (verdict.kind) {
    case 'delivered':
      await pool.query({ ...DELIVERED, values: [id] });
      return;
    case 'release':
      await pool.query({ ...RELEASE, values: [id] });
      return;
    case 'postpone':
      await postpone(pool, id, verdict.pauseMs, verdict.failure);
      return;
    case 'bury':
      await pool.query({ ...BURY, values: [id, verdict.failure] });
      return;
    case 'hold':
      await withTransaction(pool, async (client) => {
        const { failure, then } = verdict;
        await client.query({ ...HOLD, values: [endpointId, verdict.holdMs, message.failures + 1, failure] });
        if (then.kind === 'bury') await client.query({ ...BURY, values: [id, failure] });
        else await postpone(client, id, then.pauseMs, failure);
      });
      return;
    case 'disable':
      await disableEndpoint(pool, undefined, endpointId, verdict);
      return;
    default:
      verdict satisfies never;
  }
}

/** Its endpoint works: what failed before is over, but for a hold that it asked for itself. */
const DELIVERED = {
  name: 'webhook-delivered',
  text: `
with gone as (delete from webhook_messages where id = $1 returning endpoint_id)
update webhook_endpoints
   set delivered = delivered + 1, delivered_at = clock_timestamp(), failures = 0, failing_since = null, last_failure = null
 where id in (select endpoint_id from gone)`,
};

/** As if it had not been tried. */
const RELEASE = {
  name: 'webhook-release',
  text: `update webhook_messages set claimed_until = '-infinity', attempts = attempts - 1 where id = $1`,
};

/** The later ones of its call wait with it, so that nobody looks for them in vain. */
const POSTPONE = {
  name: 'webhook-postpone',
  text: `
with tried as (
  update webhook_messages
     set claimed_until = '-infinity', due_at = clock_timestamp() + make_interval(secs => $2::float8 / 1000),
         failure = $3, failed_at = clock_timestamp()
   where id = $1 and state = 'pending'
  returning call_id, endpoint_id, due_at
)
update webhook_messages later set due_at = greatest(later.due_at, tried.due_at)
  from tried
 where later.call_id = tried.call_id and later.endpoint_id = tried.endpoint_id and later.state = 'pending'
   and later.id <> $1`,
};

async function postpone(db: Queryable, id: string, pauseMs: number, failure: string): Promise<void> {
  await db.query({ ...POSTPONE, values: [id, pauseMs, failure] });
}

const BURY = {
  name: 'webhook-bury',
  text: `
with dead as (
  update webhook_messages
     set state = 'dead', claimed_until = '-infinity', failure = $2, failed_at = clock_timestamp()
   where id = $1 and state = 'pending'
  returning call_id, endpoint_id
)
update webhook_messages later set due_at = clock_timestamp()
  from dead
 where later.call_id = dead.call_id and later.endpoint_id = dead.endpoint_id and later.state = 'pending'
   and later.id <> $1`,
};

/** Several lanes may fail at once; that is one failure, since each began from the same number. */
const HOLD = {
  name: 'webhook-hold',
  text: `
update webhook_endpoints
   set held_until = greatest(held_until, clock_timestamp() + make_interval(secs => $2::float8 / 1000)),
       failures = greatest(failures, $3), failing_since = coalesce(failing_since, clock_timestamp()), last_failure = $4
 where id = $1`,
};

const DROP = { name: 'webhook-drop', text: 'delete from webhook_messages where id = $1' };

/** There is nothing to tell any more: the rows that it is about are gone. @throws what `pg` throws */
export async function dropMessage(db: Queryable, id: string): Promise<void> {
  await db.query({ ...DROP, values: [id] });
}
