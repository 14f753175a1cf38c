import type { CallId } from '../ids.ts';
import type { ToldCall, ToldOther, ToldSentence, WebhookEvent } from '../webhooks/events.ts';
import type { WaitingMessage } from '../webhooks/lane.ts';
import { loadFigures } from './load-figures.ts';
import type { Queryable } from './pool.ts';
import { loadVoicemail } from './voicemails.ts';

/**
 * What a message tells, read from the rows as they stand now.
 *
 * @returns undefined when they are gone
 * @throws what `pg` throws; see `toStoreError`
 */
export async function loadWebhookEvent(
  db: Queryable,
  message: Pick<WaitingMessage, 'type' | 'callId' | 'legId' | 'sentenceNo' | 'data'>,
): Promise<WebhookEvent | undefined> {
  const { type, callId } = message;
  switch (type) {
    case 'call.started': {
      const data = await loadToldCall(db, callId);
      return data && { type, data };
    }
    case 'call.complete': {
      const data = await loadToldCall(db, callId);
      return data && { type, data: { ...data, figures: (await loadFigures(db, callId)) ?? null } };
    }
    case 'sentence.final': {
      const data = await loadToldSentence(db, message);
      return data && { type, data };
    }
    case 'voicemail.ready': {
      const data = await loadVoicemail(db, undefined, callId);
      return data && { type, data };
    }
    case 'qa.finding': {
      const { rows } = await db.query('select from calls where id = $1', [callId]);
      const data: ToldOther = { ...message.data, callId };
      return rows.length === 0 ? undefined : { type, data };
    }
    default:
      return type satisfies never;
  }
}

const TOLD_CALL = {
  name: 'told-call',
  text: `
select id as "callId", tenant, direction, state, started_at as "startedAt", answered_at as "answeredAt",
       ended_at as "endedAt", end_reason as "endReason",
       coalesce((select jsonb_agg(jsonb_build_object('kind', kind, 'value', value) order by kind, value)
                   from call_identifiers where call_id = $1), '[]') as identifiers,
       coalesce((select jsonb_agg(jsonb_build_object('legId', id, 'legNo', leg_no, 'role', role, 'name', name, 'uri', uri)
                                  order by leg_no)
                   from legs where call_id = $1 and id between leg_ids_from($1) and leg_ids_to($1)), '[]') as legs
  from calls
 where id = $1`,
};

async function loadToldCall(db: Queryable, callId: CallId): Promise<ToldCall | undefined> {
  return (await db.query<ToldCall>({ ...TOLD_CALL, values: [callId] })).rows[0];
}

const TOLD_SENTENCE = {
  name: 'told-sentence',
  text: `
select sentences.call_id as "callId", calls.tenant, leg_id as "legId", leg_no as "legNo", role, sentence_no as "sentenceNo",
       begin_ms as "beginMs", end_ms as "endMs", begin_at as "beginAt", end_at as "endAt", text,
       emo_tag as "emoTag", emo_confidence as "emoConfidence"
  from sentences join legs on legs.id = leg_id join calls on calls.id = $1
 where leg_id = $2 and sentence_no = $3`,
};

async function loadToldSentence(
  db: Queryable,
  { callId, legId, sentenceNo }: Pick<WaitingMessage, 'callId' | 'legId' | 'sentenceNo'>,
): Promise<ToldSentence | undefined> {
  return (await db.query<ToldSentence>({ ...TOLD_SENTENCE, values: [callId, legId, sentenceNo] })).rows[0];
}
