import type { CallId } from '../ids.ts';
import type { WebhookEventType } from '../webhooks/events.ts';
import type { Queryable } from './pool.ts';

/** Something that happened to a call and of which the database does not make messages by itself. */
export interface PublishedWebhook {
  readonly type: Extract<WebhookEventType, 'qa.finding' | 'voicemail.ready'>;
  /** Names this one fact of its type; the same again makes no second message. Letters, digits, `_` and `-`. */
  readonly key: string;
  readonly callId: CallId;
  /** What is told beside the call's id, where no row has it; names as in the API (`begin_ms`). */
  readonly data?: Readonly<Record<string, unknown>>;
}

const PUBLISH = {
  name: 'publish-webhook',
  text: `
insert into webhook_messages (endpoint_id, message_id, type, call_id, data)
select endpoint.id, replace($1, '.', '_') || '_' || $2, $1, calls.id, $4
  from calls join webhook_endpoints endpoint on endpoint.tenant = calls.tenant
 where calls.id = $3 and endpoint.state = 'active' and $1 = any (endpoint.event_types)
   and route_tells(calls.metadata, endpoint.name)
on conflict (endpoint_id, message_id) do nothing`,
};

/**
 * Has it told to the endpoints of the call's tenant that want its type and that the call's rule lets know. In the transaction of the row that it tells of,
 * so that there is neither without the other.
 *
 * @throws what `pg` throws; see `toStoreError`
 */
export async function publishWebhook(
  db: Queryable,
  { type, key, callId, data }: PublishedWebhook,
): Promise<void> {
  await db.query({
    ...PUBLISH,
    values: [type, key, callId, data === undefined ? null : JSON.stringify(data)],
  });
}
