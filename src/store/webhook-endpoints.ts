import { randomUUID } from 'node:crypto';

import { CallscribeError } from '../errors.ts';
import type { NewEndpoint, WebhookEndpoint } from '../webhooks/endpoint.ts';
import type { Destination } from '../webhooks/sender.ts';
import type { Queryable } from './pool.ts';

// Everything here keeps to one tenant, or to none where it is undefined: an operator's command sees all.

const LOAD_ENDPOINTS = {
  name: 'load-webhook-endpoints',
  text: `
select id, tenant, name, url, event_types as "eventTypes", state, disabled_reason as "disabledReason",
       created_at as "createdAt", failures, failing_since as "failingSince", last_failure as "lastFailure",
       delivered::float8 as delivered, delivered_at as "deliveredAt",
       (select count(*)::int from webhook_messages where endpoint_id = endpoint.id and state = 'pending') as waiting,
       (select count(*)::int from webhook_messages where endpoint_id = endpoint.id and state = 'dead') as dead
  from webhook_endpoints endpoint
 where ($1::text is null or tenant = $1) and ($2::uuid is null or id = $2)
 order by created_at, id`,
};

/** Oldest first; their secrets stay where they are. @throws what `pg` throws; see `toStoreError` */
export async function loadEndpoints(
  db: Queryable,
  tenant: string | undefined,
  endpointId?: string,
): Promise<readonly WebhookEndpoint[]> {
  return (
    await db.query<WebhookEndpoint>({ ...LOAD_ENDPOINTS, values: [tenant ?? null, endpointId ?? null] })
  ).rows;
}

/** @throws what `pg` throws; see `toStoreError` */
export async function loadEndpoint(
  db: Queryable,
  tenant: string | undefined,
  endpointId: string,
): Promise<WebhookEndpoint | undefined> {
  return (await loadEndpoints(db, tenant, endpointId))[0];
}

/** Each costs a row for every sentence that its tenant's callers say. */
const ENDPOINTS_PER_TENANT_MAX = 20;

/** The last line sees the endpoints that were there before. */
const ADD_ENDPOINT = `
with added as (
  insert into webhook_endpoints (id, tenant, url, event_types, secret, name)
  select $1, $2, $3, $4, $5, $6
   where (select count(*) from webhook_endpoints where tenant = $2) < ${ENDPOINTS_PER_TENANT_MAX}
  on conflict (tenant, name) do nothing
  returning id
)
select exists (select from added) as "isAdded",
       (select count(*) from webhook_endpoints where tenant = $2) < ${ENDPOINTS_PER_TENANT_MAX} as "hadRoom"`;

/**
 * @returns its id
 * @throws {CallscribeError} WEBHOOK_INVALID where the tenant has as many as it may, WEBHOOK_NAME_TAKEN
 * @throws what `pg` throws; see `toStoreError`
 */
export async function addEndpoint(
  db: Queryable,
  { tenant, name, url, eventTypes, secret }: NewEndpoint,
): Promise<string> {
  const id = randomUUID();
  const { rows } = await db.query<{ isAdded: boolean; hadRoom: boolean }>(ADD_ENDPOINT, [
    id,
    tenant,
    url,
    eventTypes,
    secret.reveal(),
    name ?? null,
  ]);
  if (rows[0]?.isAdded === true) return id;
  if (rows[0]?.hadRoom === true) throw nameTaken();
  throw new CallscribeError(
    'WEBHOOK_INVALID',
    `the tenant has ${ENDPOINTS_PER_TENANT_MAX} webhook endpoints, as many as it may: remove one first`,
  );
}

const nameTaken = (): CallscribeError =>
  new CallscribeError(
    'WEBHOOK_NAME_TAKEN',
    'another webhook endpoint of the tenant has this name: give another, or remove that one first',
  );

const NAME_ENDPOINT = `
with found as (
  select id, tenant from webhook_endpoints where id = $2 and ($1::text is null or tenant = $1)
), named as (
  update webhook_endpoints endpoint set name = $3
    from found
   where endpoint.id = found.id
     and not exists (select from webhook_endpoints other
                      where other.tenant = found.tenant and other.name = $3 and other.id <> found.id)
  returning endpoint.id
)
select exists (select from found) as "isThere", exists (select from named) as "isNamed"`;

/**
 * Of calls whose rule gives this name it is told from now on, and of those with the one before no more.
 *
 * @returns whether it is there
 * @throws {CallscribeError} WEBHOOK_NAME_TAKEN
 * @throws what `pg` throws; see `toStoreError`
 */
export async function nameEndpoint(
  db: Queryable,
  tenant: string | undefined,
  endpointId: string,
  name: string,
): Promise<boolean> {
  const values = [tenant ?? null, endpointId, name];
  const { rows } = await db.query<{ isThere: boolean; isNamed: boolean }>(NAME_ENDPOINT, values);
  if (rows[0]?.isThere === true && !rows[0].isNamed) throw nameTaken();
  return rows[0]?.isThere === true;
}

const REMOVE_ENDPOINT = `
with gone as (delete from webhook_endpoints where id = $2 and ($1::text is null or tenant = $1) returning id),
     messages as (delete from webhook_messages where endpoint_id in (select id from gone))
select id from gone`;

/** With all that waits for it. @returns whether it was there @throws what `pg` throws; see `toStoreError` */
export async function removeEndpoint(
  db: Queryable,
  tenant: string | undefined,
  endpointId: string,
): Promise<boolean> {
  return (await db.query(REMOVE_ENDPOINT, [tenant ?? null, endpointId])).rowCount === 1;
}

const ENABLE_ENDPOINT = `
update webhook_endpoints
   set state = 'active', disabled_reason = null, failures = 0, failing_since = null, held_until = '-infinity'
 where id = $2 and ($1::text is null or tenant = $1)`;

/**
 * From now on it is told of what happens; a hold after failures ends. What is dead stays dead until it is replayed.
 *
 * @returns whether it is there
 * @throws what `pg` throws; see `toStoreError`
 */
export async function enableEndpoint(
  db: Queryable,
  tenant: string | undefined,
  endpointId: string,
): Promise<boolean> {
  return (await db.query(ENABLE_ENDPOINT, [tenant ?? null, endpointId])).rowCount === 1;
}

const DISABLE_ENDPOINT = `
with stopped as (
  update webhook_endpoints set state = 'disabled', disabled_reason = $3, last_failure = coalesce($4, last_failure)
   where id = $2 and ($1::text is null or tenant = $1)
  returning id
), buried as (
  update webhook_messages
     set state = 'dead', failure = coalesce($4, 'endpoint disabled'), failed_at = clock_timestamp(),
         claimed_until = '-infinity'
   where endpoint_id in (select id from stopped) and state = 'pending'
)
select id from stopped`;

/**
 * It is told of nothing any more, and what waits for it is dead.
 *
 * @returns whether it is there
 * @throws what `pg` throws; see `toStoreError`
 */
export async function disableEndpoint(
  db: Queryable,
  tenant: string | undefined,
  endpointId: string,
  { reason, failure }: { readonly reason: 'operator' | 'gone' | 'failing'; readonly failure?: string },
): Promise<boolean> {
  const values = [tenant ?? null, endpointId, reason, failure ?? null];
  return (await db.query(DISABLE_ENDPOINT, values)).rowCount === 1;
}

const ROTATE_SECRET = `
update webhook_endpoints
   set old_secret = secret, old_secret_ends = clock_timestamp() + make_interval(secs => $4::float8 / 1000), secret = $3
 where id = $2 and ($1::text is null or tenant = $1)`;

/**
 * Signs with this secret from now on, and for a while with the one before as well.
 *
 * @returns whether the endpoint is there
 * @throws what `pg` throws; see `toStoreError`
 */
export async function rotateSecret(
  db: Queryable,
  tenant: string | undefined,
  endpointId: string,
  { secret, overlapMs }: { readonly secret: NewEndpoint['secret']; readonly overlapMs: number },
): Promise<boolean> {
  const values = [tenant ?? null, endpointId, secret.reveal(), overlapMs];
  return (await db.query(ROTATE_SECRET, values)).rowCount === 1;
}

/** What signs for an endpoint now, newest first. */
export const SECRETS = `
case when old_secret_ends > clock_timestamp() then array[secret, old_secret] else array[secret] end`;

/** @throws what `pg` throws; see `toStoreError` */
export async function loadDestination(
  db: Queryable,
  tenant: string | undefined,
  endpointId: string,
): Promise<Destination | undefined> {
  const { rows } = await db.query<Destination>(
    `select url, ${SECRETS} as secrets from webhook_endpoints where id = $2 and ($1::text is null or tenant = $1)`,
    [tenant ?? null, endpointId],
  );
  return rows[0];
}
