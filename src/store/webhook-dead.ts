import type { Queryable } from './pool.ts';

/** A message that was given up. */
export interface DeadMessage {
  readonly id: string;
  readonly endpointId: string;
  readonly messageId: string;
  readonly type: string;
  readonly callId: string;
  readonly attempts: number;
  readonly createdAt: Date;
  readonly failedAt: Date;
  readonly failure: string;
}

const LOAD_DEAD = {
  name: 'load-dead-webhooks',
  text: `
select message.id, endpoint_id as "endpointId", message_id as "messageId", type, call_id as "callId", attempts,
       message.created_at as "createdAt", failed_at as "failedAt", failure
  from webhook_messages message join webhook_endpoints endpoint on endpoint.id = endpoint_id
 where message.state = 'dead' and ($1::text is null or tenant = $1) and ($2::uuid is null or endpoint_id = $2)
   and message.id > $3
 order by message.id
 limit $4`,
};

/** In the order in which they were made, a page at a time. @throws what `pg` throws; see `toStoreError` */
export async function loadDeadMessages(
  db: Queryable,
  tenant: string | undefined,
  {
    endpointId,
    afterId = '0',
    max = 100,
  }: { endpointId?: string | undefined; afterId?: string; max?: number } = {},
): Promise<readonly DeadMessage[]> {
  const values = [tenant ?? null, endpointId ?? null, afterId, max];
  return (await db.query<DeadMessage>({ ...LOAD_DEAD, values })).rows;
}

const REPLAY = `
update webhook_messages message
   set state = 'pending', attempts = 0, first_tried_at = null, due_at = clock_timestamp(), failure = null,
       failed_at = null
  from webhook_endpoints endpoint
 where endpoint.id = endpoint_id and endpoint.state = 'active' and message.state = 'dead'
   and ($1::text is null or tenant = $1) and endpoint_id = $2 and ($3::bigint[] is null or message.id = any ($3))`;

/**
 * Tries dead messages of an active endpoint again, under the ids that they had.
 *
 * @returns how many
 * @throws what `pg` throws; see `toStoreError`
 */
export async function replayDeadMessages(
  db: Queryable,
  tenant: string | undefined,
  endpointId: string,
  ids: 'all' | readonly string[],
): Promise<number> {
  const values = [tenant ?? null, endpointId, ids === 'all' ? null : ids];
  return (await db.query(REPLAY, values)).rowCount ?? 0;
}

const PURGE = {
  name: 'purge-dead-webhooks',
  text: `
delete from webhook_messages message
 where state = 'dead' and failed_at < clock_timestamp() - make_interval(days => $1)
    or not exists (select from webhook_endpoints endpoint where endpoint.id = message.endpoint_id)`,
};

/** Deletes what has been dead for so long, and what endpoints left that are gone. @throws what `pg` throws */
export async function purgeDeadMessages(db: Queryable, keepDays: number): Promise<number> {
  return (await db.query({ ...PURGE, values: [keepDays] })).rowCount ?? 0;
}

/** What an operator watches. */
export interface WebhookHealth {
  readonly waiting: number;
  readonly dead: number;
  /** Since when the oldest message waits, in seconds; 0 where none does. */
  readonly oldestSeconds: number;
  /** Endpoints that failed last and are left alone for a while. */
  readonly held: number;
  readonly disabled: number;
}

const HEALTH = {
  name: 'webhook-health',
  text: `
select (select count(*)::int from webhook_messages where state = 'pending') as waiting,
       (select count(*)::int from webhook_messages where state = 'dead') as dead,
       (select coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float8
          from webhook_messages where state = 'pending') as "oldestSeconds",
       (select count(*)::int from webhook_endpoints where state = 'active' and held_until > clock_timestamp()) as held,
       (select count(*)::int from webhook_endpoints where state = 'disabled' and disabled_reason <> 'operator') as disabled`,
};

/** @throws what `pg` throws; see `toStoreError` */
export async function loadWebhookHealth(db: Queryable): Promise<WebhookHealth> {
  const none = { waiting: 0, dead: 0, oldestSeconds: 0, held: 0, disabled: 0 };
  return (await db.query<WebhookHealth>(HEALTH)).rows[0] ?? none;
}
