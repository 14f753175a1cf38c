import { type CallId, lowestIdAt } from '../ids.ts';
import type { MailboxAddress, MailboxNews } from '../voicemail/mailbox-news.ts';
import type { Voicemail } from '../voicemail/message.ts';
import { type Pool, type Queryable, withTransaction } from './pool.ts';

// Everything here keeps to one tenant, or to none where it is undefined.

export const VOICEMAIL_STATES = ['new', 'heard', 'deleted'] as const;
export type VoicemailState = (typeof VOICEMAIL_STATES)[number];

export interface StoredVoicemail extends Voicemail {
  readonly state: VoicemailState;
  readonly stateAt: Date;
}

/** Of `voicemails message`, as {@link StoredVoicemail}. */
export const VOICEMAIL_COLUMNS = `message.call_id as "callId", message.leg_id as "legId", message.tenant, mailbox, caller,
       caller_name as "callerName", begin_ms as "beginMs", end_ms as "endMs", began_at as "beganAt", ended_at as "endedAt",
       end_reason as "endReason", content, text, recorded, message.state, state_at as "stateAt"`;

const LOAD = {
  name: 'load-voicemail',
  text: `select ${VOICEMAIL_COLUMNS} from voicemails message where call_id = $2 and ($1::text is null or tenant = $1)`,
};

/** @throws what `pg` throws; see `toStoreError` */
export async function loadVoicemail(
  db: Queryable,
  tenant: string | undefined,
  callId: CallId,
): Promise<StoredVoicemail | undefined> {
  return (await db.query<StoredVoicemail>({ ...LOAD, values: [tenant ?? null, callId] })).rows[0];
}

export interface VoicemailFilter {
  readonly tenant: string | undefined;
  readonly mailbox: string | undefined;
  /** Undefined: new and heard. */
  readonly state: VoicemailState | undefined;
  /** Began at or after. */
  readonly from: Date | undefined;
  /** Began before. */
  readonly to: Date | undefined;
}

/**
 * Newest call first.
 *
 * @param after the last one of the page before
 * @throws what `pg` throws; see `toStoreError`
 */
export async function listVoicemails(
  db: Queryable,
  { tenant, mailbox, state, from, to }: VoicemailFilter,
  { after, limit }: { readonly after: string | undefined; readonly limit: number },
): Promise<readonly StoredVoicemail[]> {
  const values: unknown[] = [limit];
  // A filter that is not there must not stand in the statement: none of its plans could then use the index.
  const where = (condition: string, value: unknown): string => {
    if (value === undefined) return '';
    values.push(value);
    return `and ${condition} $${values.length}`;
  };
  const statement = `
select ${VOICEMAIL_COLUMNS}
  from voicemails message
 where true ${where('mailbox =', mailbox)} ${where('tenant =', tenant)}
   ${where('state =', state) || "and state <> 'deleted'"}
   ${where('began_at >=', from)} ${where('began_at <', to)} ${where('call_id <', after)}
 order by call_id desc
 limit $1`;
  return (await db.query<StoredVoicemail>(statement, values)).rows;
}

const SET_STATE = {
  name: 'set-voicemail-state',
  text: `
update voicemails set state = $3, state_at = clock_timestamp()
 where call_id = $2 and ($1::text is null or tenant = $1) and state <> $3`,
};

/** @returns whether this changed it @throws what `pg` throws; see `toStoreError` */
export async function setVoicemailState(
  db: Queryable,
  tenant: string | undefined,
  callId: CallId,
  state: VoicemailState,
): Promise<boolean> {
  return (await db.query({ ...SET_STATE, values: [tenant ?? null, callId, state] })).rowCount === 1;
}

/** Of two counts the second begins when the first is done, so the one with the later time has seen more. */
const LOCK_MAILBOX = {
  name: 'lock-mailbox',
  text: `select pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 13))`,
};

const COUNT_MAILBOX = {
  name: 'count-mailbox',
  text: `
select count(*) filter (where state = 'new')::int as "newCount",
       count(*) filter (where state = 'heard')::int as "heardCount",
       to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "asOf"
  from voicemails
 where tenant = $1 and mailbox = $2 and state <> 'deleted' and content = 'message'`,
};

/** As it stands after every commit before. @throws what `pg` throws; see `toStoreError` */
export async function countMailbox(pool: Pool, { tenant, mailbox }: MailboxAddress): Promise<MailboxNews> {
  return withTransaction(pool, async (client) => {
    const values = [tenant, mailbox];
    await client.query({ ...LOCK_MAILBOX, values });
    const { rows } = await client.query<Pick<MailboxNews, 'newCount' | 'heardCount' | 'asOf'>>({
      ...COUNT_MAILBOX,
      values,
    });
    const [counts] = rows;
    if (counts === undefined) throw new Error('unreachable: a count has a row');
    return { tenant, mailbox, ...counts };
  });
}

const DELETE_OLD = `
with gone as (
  delete from voicemails where call_id in (
    select call_id from voicemails where call_id < $1 and substr(call_id::text, 15, 1) = '7' order by call_id limit 5000)
  returning tenant, mailbox
)
select distinct tenant, mailbox from gone`;

/**
 * Deletes messages of calls that began before, with the e-mails that wait; of many the oldest. Those of calls in no month
 * go with their calls.
 *
 * @returns the mailboxes that they were in
 * @throws what `pg` throws; see `toStoreError`
 */
export async function deleteOldVoicemails(db: Queryable, before: Date): Promise<readonly MailboxAddress[]> {
  const bound = lowestIdAt(before);
  await db.query("delete from awaited_voicemails where call_id < $1 and substr(call_id::text, 15, 1) = '7'", [
    bound,
  ]);
  return (await db.query<MailboxAddress>(DELETE_OLD, [bound])).rows;
}
