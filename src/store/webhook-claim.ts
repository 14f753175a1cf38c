import type { Lane, WaitingMessage } from '../webhooks/lane.ts';
import type { Queryable } from './pool.ts';
import { SECRETS } from './webhook-endpoints.ts';

/**
 * Whether a message may go now: it is due, in nobody's hands and the first of its call for that endpoint, where
 * `call.started` comes before all else. A sentence may become a row before its call's snapshot does; it waits for it.
 */
const MAY_GO = `
message.state = 'pending' and message.due_at <= clock_timestamp() and message.claimed_until <= clock_timestamp()
and not exists (
  select from webhook_messages before
   where before.call_id = message.call_id and before.endpoint_id = message.endpoint_id and before.state = 'pending'
     and (before.type <> 'call.started', before.id) < (message.type <> 'call.started', message.id))
and not exists (select from calls where calls.id = message.call_id and calls.revision = 0)`;

const DUE_LANES = {
  name: 'due-webhook-lanes',
  text: `
select endpoint.id as "endpointId", lane
  from webhook_endpoints endpoint, generate_series(0, 7) as lane
 where endpoint.state = 'active' and endpoint.held_until <= clock_timestamp()
   and exists (
     select from webhook_messages message
      where message.endpoint_id = endpoint.id and message.lane = lane and ${MAY_GO})`,
};

/** Lanes in which a message may go now. @throws what `pg` throws; see `toStoreError` */
export async function loadDueLanes(db: Queryable): Promise<readonly Lane[]> {
  return (await db.query<Lane>(DUE_LANES)).rows;
}

const CLAIM_MESSAGE = {
  name: 'claim-webhook-message',
  text: `
with endpoint as (
  select url, ${SECRETS} as secrets, failures,
         coalesce(extract(epoch from clock_timestamp() - failing_since) * 1000, 0)::float8 as failing_for_ms
    from webhook_endpoints
   where id = $1 and state = 'active' and held_until <= clock_timestamp()
), next as (
  select id from webhook_messages message
   where message.endpoint_id = $1 and message.lane = $2 and ${MAY_GO}
   order by message.due_at, message.id
   limit 1
   for update skip locked
)
update webhook_messages message
   set claimed_until = clock_timestamp() + make_interval(secs => $3::float8 / 1000),
       attempts = attempts + 1, first_tried_at = coalesce(first_tried_at, clock_timestamp())
  from next, endpoint
 where message.id = next.id
returning message.id, message.endpoint_id as "endpointId", message.message_id as "messageId", message.type,
          message.call_id as "callId", message.leg_id as "legId", message.sentence_no as "sentenceNo", message.data,
          message.created_at as "createdAt", message.attempts,
          (extract(epoch from clock_timestamp() - message.first_tried_at) * 1000)::float8 as "firstTriedMsAgo",
          endpoint.url, endpoint.secrets, endpoint.failures, endpoint.failing_for_ms as "failingForMs"`,
};

/**
 * Takes the next message of a lane; it is ours for `leaseMs`, and comes up again when we are silent so long.
 *
 * @throws what `pg` throws; see `toStoreError`
 */
export async function claimMessage(
  db: Queryable,
  { endpointId, lane }: Lane,
  leaseMs: number,
): Promise<WaitingMessage | undefined> {
  return (await db.query<WaitingMessage>({ ...CLAIM_MESSAGE, values: [endpointId, lane, leaseMs] })).rows[0];
}

const HELD_FOR = {
  name: 'webhook-held-for',
  text: `
select (extract(epoch from held_until - clock_timestamp()) * 1000)::float8 as ms from webhook_endpoints
 where id = $1 and state = 'active' and held_until > clock_timestamp()`,
};

/** How long nothing is sent to the endpoint; 0 where it is not held. @throws what `pg` throws; see `toStoreError` */
export async function heldForMs(db: Queryable, endpointId: string): Promise<number> {
  return (await db.query<{ ms: number }>({ ...HELD_FOR, values: [endpointId] })).rows[0]?.ms ?? 0;
}
