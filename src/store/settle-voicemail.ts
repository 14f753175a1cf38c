import type { CallId, LegId } from '../ids.ts';
import { messageOf, readVoicemailBegan, readVoicemailEnded, type Voicemail } from '../voicemail/message.ts';
import { type Pool, type Queryable, withTransaction } from './pool.ts';
import { publishWebhook } from './publish-webhook.ts';

/** Until its end nobody else changes what the row is made of, nor makes it. */
const LOCK_CALL = { name: 'lock-voicemail-call', text: 'select from calls where id = $1 for no key update' };

/**
 * Nothing when the call is not there or took no message. `isDone`: all that there will be is there. A message without
 * its end is lost where the call's process died (or nothing came of the call any more); else the end is on its way.
 */
const LOAD_FACTS = {
  name: 'load-voicemail-facts',
  text: `
select calls.tenant, legs.id as "legId", legs.uri, legs.name, legs.started_at as "startedAt",
       coalesce((media->>'heardMs')::float8, extract(epoch from legs.ended_at - legs.started_at)::float8 * 1000) as "heardMs",
       began.detail as began, began.at as "beganAt",
       (select detail from call_events where call_id = $1 and kind = 'voicemail_ended' order by event_no limit 1) as ended,
       event.recorded,
       calls.state in ('complete', 'failed') and (event.settled or legs.started_at is null)
         and (event.ended or calls.end_reason in ('recovered', 'lost')) as "isDone",
       exists (select from voicemails where call_id = $1) as "isThere"
  from calls
  join call_events began on began.call_id = calls.id and began.kind = 'voicemail_began'
  join legs on legs.id = began.leg_id and legs.id between leg_ids_from($1) and leg_ids_to($1),
       lateral (select coalesce(bool_or(kind = 'recorded'), false) as recorded,
                       coalesce(bool_or(kind in ('recorded', 'recording_failed')), false) as settled,
                       coalesce(bool_or(kind = 'voicemail_ended'), false) as ended
                  from call_events where call_id = $1) as event
 where calls.id = $1
 order by began.event_no
 limit 1`,
};

interface FactsRow {
  readonly tenant: string;
  readonly legId: LegId;
  readonly uri: string | null;
  readonly name: string | null;
  readonly startedAt: Date | null;
  readonly heardMs: number | null;
  readonly began: unknown;
  readonly beganAt: Date;
  readonly ended: unknown;
  readonly recorded: boolean;
  readonly isDone: boolean;
  readonly isThere: boolean;
}

const LOAD_SENTENCES = {
  name: 'load-voicemail-sentences',
  text: `select begin_ms as "beginMs", end_ms as "endMs", text from sentences where leg_id = $1 order by sentence_no`,
};

/** A repeat changes what may still change: audio that was recognised or saved later. */
const SAVE_VOICEMAIL = {
  name: 'save-voicemail',
  text: `
insert into voicemails (call_id, leg_id, tenant, mailbox, caller, caller_name, begin_ms, end_ms, began_at, ended_at,
                        end_reason, content, text, recorded)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
on conflict (call_id) do update set
  end_ms = excluded.end_ms, ended_at = excluded.ended_at, end_reason = excluded.end_reason, content = excluded.content,
  text = excluded.text, recorded = excluded.recorded
where (voicemails.end_ms, voicemails.end_reason, voicemails.content, voicemails.text, voicemails.recorded)
      is distinct from (excluded.end_ms, excluded.end_reason, excluded.content, excluded.text, excluded.recorded)`,
};

const AWAIT_NO_MORE = {
  name: 'await-voicemail-no-more',
  text: 'delete from awaited_voicemails where call_id = $1',
};

const ADD_MAILS = {
  name: 'add-voicemail-mails',
  text: `insert into voicemail_mails (call_id, recipient) select $1, unnest($2::text[]) on conflict do nothing`,
};

/**
 * - `none`: the call took no message, or what tells of it cannot be read;
 * - `waiting`: not all of it is there yet.
 */
export type SettledVoicemail =
  | { readonly kind: 'none' | 'waiting' | 'unchanged' }
  | { readonly kind: 'made' | 'changed'; readonly voicemail: Voicemail };

/**
 * Makes the row of a call's message once the call is complete (or failed, so that its sound can be heard) and its
 * recording is made (or cannot be), with the webhook and the e-mails that tell of it, all or nothing. Run it after the
 * commit of whatever the row is made of: of any set of writes one commits last, and what runs after it sees them all.
 *
 * @param patience `give-up`: what is not there yet will not come
 * @throws what `pg` throws; see `toStoreError`
 */
export async function settleVoicemail(
  pool: Pool,
  callId: CallId,
  patience: 'wait' | 'give-up' = 'wait',
): Promise<SettledVoicemail> {
  return withTransaction(pool, async (client) => {
    await client.query({ ...LOCK_CALL, values: [callId] });
    const { rows } = await client.query<FactsRow>({ ...LOAD_FACTS, values: [callId] });
    const [facts] = rows;
    const began = readVoicemailBegan(facts?.began);
    if (facts === undefined || began === undefined) {
      if (patience === 'give-up') await client.query({ ...AWAIT_NO_MORE, values: [callId] });
      return { kind: 'none' };
    }
    if (!facts.isDone && patience === 'wait') return { kind: 'waiting' };
    const voicemail = await readMessage(client, callId, facts, began);
    const { rowCount } = await client.query({ ...SAVE_VOICEMAIL, values: valuesOf(voicemail) });
    await client.query({ ...AWAIT_NO_MORE, values: [callId] });
    if (facts.isThere) return rowCount === 1 ? { kind: 'changed', voicemail } : { kind: 'unchanged' };
    await publishWebhook(client, { type: 'voicemail.ready', key: callId, callId });
    if (voicemail.content === 'message') {
      await client.query({ ...ADD_MAILS, values: [callId, began.mailTo] });
    }
    return { kind: 'made', voicemail };
  });
}

async function readMessage(
  db: Queryable,
  callId: CallId,
  facts: FactsRow,
  began: NonNullable<ReturnType<typeof readVoicemailBegan>>,
): Promise<Voicemail> {
  const { legId, uri, name, startedAt, heardMs, tenant, recorded, beganAt, ended } = facts;
  const sentences = await db.query<{ beginMs: number; endMs: number; text: string }>({
    ...LOAD_SENTENCES,
    values: [legId],
  });
  return messageOf({
    callId,
    tenant,
    recorded,
    leg: { id: legId, uri, name, startedAt, heardMs },
    began,
    beganAt,
    ended: readVoicemailEnded(ended),
    sentences: sentences.rows,
  });
}

const valuesOf = (voicemail: Voicemail): unknown[] => [
  voicemail.callId,
  voicemail.legId,
  voicemail.tenant,
  voicemail.mailbox,
  voicemail.caller,
  voicemail.callerName,
  voicemail.beginMs,
  voicemail.endMs,
  voicemail.beganAt,
  voicemail.endedAt,
  voicemail.endReason,
  voicemail.content,
  voicemail.text,
  voicemail.recorded,
];
