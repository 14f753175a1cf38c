import type { CallId } from '../ids.ts';
import type { Queryable } from './pool.ts';

/** Rows of one call, by table. */
export type CallRows = Readonly<Record<(typeof TABLES)[number], number>>;

/** Where a call's rows are. What names a call and stays: {@link KEPT_TABLES}. */
const TABLES = [
  'calls',
  'legs',
  'sentences',
  'call_events',
  'call_identifiers',
  'call_figures',
  'call_links',
  'dead_letters',
  'webhook_messages',
  'transcriptions',
  'voicemails',
  'voicemail_mails',
  'awaited_voicemails',
] as const;

/**
 * Tables that name a call and hold nothing of it: that it was deleted, and who read it before, which is what an audit is
 * for.
 */
export const KEPT_TABLES = ['forgotten_calls', 'access_log'] as const;

/** All of it in one statement: a reader sees the whole call or nothing. */
const DELETE_CALL = {
  name: 'delete-call',
  text: `
with gone_sentences as (
  delete from sentences where call_id = $1 and leg_id between leg_ids_from($1) and leg_ids_to($1) returning 1
), gone_legs as (
  delete from legs where call_id = $1 and id between leg_ids_from($1) and leg_ids_to($1) returning 1
), gone_events as (delete from call_events where call_id = $1 returning 1
), gone_identifiers as (delete from call_identifiers where call_id = $1 returning 1
), gone_figures as (delete from call_figures where call_id = $1 returning 1
), gone_links as (delete from call_links where call_id = $1 or linked_id = $1 returning 1
), gone_letters as (
  delete from dead_letters where call_id = $1 or call_id is null and data::text like '%' || $1 || '%' returning 1
), gone_messages as (delete from webhook_messages where call_id = $1 returning 1
), gone_transcriptions as (delete from transcriptions where id = $1 returning 1
), gone_awaited as (delete from awaited_voicemails where call_id = $1 returning 1
), gone_mails as (delete from voicemail_mails where call_id = $1 returning 1
), gone_voicemails as (delete from voicemails where call_id = $1 returning 1
), gone_calls as (delete from calls where id = $1 returning 1
)
select (select count(*)::int from gone_calls) as calls, (select count(*)::int from gone_legs) as legs,
       (select count(*)::int from gone_sentences) as sentences, (select count(*)::int from gone_events) as call_events,
       (select count(*)::int from gone_identifiers) as call_identifiers,
       (select count(*)::int from gone_figures) as call_figures, (select count(*)::int from gone_links) as call_links,
       (select count(*)::int from gone_letters) as dead_letters,
       (select count(*)::int from gone_messages) as webhook_messages,
       (select count(*)::int from gone_transcriptions) as transcriptions,
       (select count(*)::int from gone_voicemails) as voicemails,
       (select count(*)::int from gone_mails) as voicemail_mails,
       (select count(*)::int from gone_awaited) as awaited_voicemails`,
};

/** Looks everywhere, and not only where the rows should be. */
const COUNT_ROWS = {
  name: 'count-call-rows',
  text: `
select (select count(*)::int from calls where id = $1) as calls, (select count(*)::int from legs where call_id = $1) as legs,
       (select count(*)::int from sentences where call_id = $1) as sentences,
       (select count(*)::int from call_events where call_id = $1) as call_events,
       (select count(*)::int from call_identifiers where call_id = $1) as call_identifiers,
       (select count(*)::int from call_figures where call_id = $1) as call_figures,
       (select count(*)::int from call_links where call_id = $1 or linked_id = $1) as call_links,
       (select count(*)::int from dead_letters
         where call_id = $1 or call_id is null and data::text like '%' || $1 || '%') as dead_letters,
       (select count(*)::int from webhook_messages where call_id = $1) as webhook_messages,
       (select count(*)::int from transcriptions where id = $1 or call_id = $1) as transcriptions,
       (select count(*)::int from voicemails where call_id = $1) as voicemails,
       (select count(*)::int from voicemail_mails where call_id = $1) as voicemail_mails,
       (select count(*)::int from awaited_voicemails where call_id = $1) as awaited_voicemails`,
};

/** @returns how many rows were deleted @throws what `pg` throws; see `toStoreError` */
export async function deleteCall(db: Queryable, callId: CallId): Promise<CallRows> {
  const { rows } = await db.query<CallRows>({ ...DELETE_CALL, values: [callId] });
  return rows[0] ?? NONE;
}

/** @throws what `pg` throws; see `toStoreError` */
export async function countCallRows(db: Queryable, callId: CallId): Promise<CallRows> {
  const { rows } = await db.query<CallRows>({ ...COUNT_ROWS, values: [callId] });
  return rows[0] ?? NONE;
}

export const sumOfRows = (rows: CallRows): number => TABLES.reduce((sum, table) => sum + rows[table], 0);

const NONE = Object.fromEntries(TABLES.map((table) => [table, 0])) as CallRows;
