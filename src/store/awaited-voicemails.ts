import type { CallEvent } from '../call/record.ts';
import type { CallId } from '../ids.ts';
import type { Queryable } from './pool.ts';

/** Events after which a message may have all that its row needs. */
const TELLING_EVENTS: ReadonlySet<string> = new Set([
  'voicemail_began',
  'voicemail_ended',
  'recorded',
  'recording_failed',
]);

export const tellsOfVoicemail = ({ kind }: CallEvent): boolean => TELLING_EVENTS.has(kind);

const AWAIT_VOICEMAILS = {
  name: 'await-voicemails',
  text: `
insert into awaited_voicemails (call_id)
select distinct call_id from call_events
 where call_id = any ($1) and kind = 'voicemail_began'
   and not exists (select from voicemails where voicemails.call_id = call_events.call_id)
on conflict do nothing`,
};

/**
 * Notes calls in which a message began, so that its row is made whatever happens to us. In the transaction that saves the
 * events.
 *
 * @throws what `pg` throws; see `toStoreError`
 */
export async function awaitVoicemails(db: Queryable, events: readonly CallEvent[]): Promise<void> {
  const callIds = events.flatMap(({ kind, callId }) => (kind === 'voicemail_began' ? [callId] : []));
  if (callIds.length > 0) await db.query({ ...AWAIT_VOICEMAILS, values: [callIds] });
}

const FIND_VOICEMAIL_CALLS = {
  name: 'find-voicemail-calls',
  text: `
select call_id as id from awaited_voicemails where call_id = any ($1)
union
select call_id from voicemails where call_id = any ($1)`,
};

/** Which of these calls took a message. @throws what `pg` throws; see `toStoreError` */
export async function findVoicemailCalls(
  db: Queryable,
  callIds: readonly CallId[],
): Promise<readonly CallId[]> {
  if (callIds.length === 0) return [];
  const { rows } = await db.query<{ id: CallId }>({ ...FIND_VOICEMAIL_CALLS, values: [callIds] });
  return rows.map(({ id }) => id);
}

const FIND_AWAITED = {
  name: 'find-awaited-voicemails',
  text: `
select call_id as "callId", coalesce(updated_at, '-infinity') < $2 as "isHopeless"
  from awaited_voicemails join calls on calls.id = call_id
 where state in ('complete', 'failed') and coalesce(updated_at, '-infinity') < $1
 order by call_id
 limit 500`,
};

/**
 * Calls that ended and whose message has no row: the check after the last fact was cut off, or a fact does not come.
 *
 * @throws what `pg` throws; see `toStoreError`
 */
export async function findAwaitedVoicemails(
  db: Queryable,
  { quietSince, hopelessSince }: { readonly quietSince: Date; readonly hopelessSince: Date },
): Promise<readonly { readonly callId: CallId; readonly isHopeless: boolean }[]> {
  const values = [quietSince, hopelessSince];
  return (await db.query<{ callId: CallId; isHopeless: boolean }>({ ...FIND_AWAITED, values })).rows;
}
