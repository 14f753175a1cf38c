import type { CallRecord } from '../call/record.ts';
import type { Queryable } from './pool.ts';

/**
 * Writes a call's snapshot with its legs and identifiers if it is newer than what is there. One statement: all
 * of it or nothing. `complete` stays, whatever a later snapshot adds: only `completeCall` sets it, and rightly.
 */
const SAVE_CALL = {
  name: 'save-call',
  text: `
with newest as (
  insert into calls (id, revision, sip_call_id, tenant, direction, state, mapping, started_at, answered_at,
                     ended_at, end_reason, metadata)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
  on conflict (id) do update set
    revision = excluded.revision, sip_call_id = excluded.sip_call_id, tenant = excluded.tenant,
    direction = excluded.direction,
    state = case calls.state when 'complete' then 'complete' else excluded.state end,
    mapping = excluded.mapping, started_at = excluded.started_at, answered_at = excluded.answered_at,
    ended_at = excluded.ended_at, end_reason = excluded.end_reason, metadata = excluded.metadata
  where calls.revision < excluded.revision
  returning id
), saved_legs as (
  insert into legs (call_id, id, leg_no, label, role, name, uri, role_evidence, codec, model, vocabulary_id,
                    started_at, ended_at, media, sentence_count)
  select newest.id, leg.*
    from newest, jsonb_to_recordset($13) as leg (
      id uuid, leg_no integer, label text, role text, name text, uri text, role_evidence jsonb, codec text,
      model text, vocabulary_id text, started_at timestamptz, ended_at timestamptz, media jsonb, sentence_count integer)
  on conflict (id) do update set
    label = excluded.label, role = excluded.role, name = excluded.name, uri = excluded.uri,
    role_evidence = excluded.role_evidence,
    codec = excluded.codec, model = excluded.model, vocabulary_id = excluded.vocabulary_id,
    started_at = excluded.started_at, ended_at = excluded.ended_at, media = excluded.media,
    sentence_count = excluded.sentence_count
), gone_identifiers as (
  delete from call_identifiers
   where call_id = (select id from newest)
     and (kind, value) not in (select kind, value from jsonb_to_recordset($14) as given (kind text, value text))
), saved_identifiers as (
  insert into call_identifiers (call_id, kind, value)
  select distinct newest.id, given.kind, given.value
    from newest, jsonb_to_recordset($14) as given (kind text, value text)
  on conflict do nothing
)
select from newest`,
};

/**
 * @returns `outdated` when a snapshot of this or a higher revision is there already
 * @throws what `pg` throws; see `toStoreError`
 */
export async function saveCall(db: Queryable, call: CallRecord): Promise<'written' | 'outdated'> {
  const legs = call.legs.map((leg) => ({
    id: leg.id,
    leg_no: leg.legNo,
    label: leg.label,
    role: leg.role,
    name: leg.name,
    uri: leg.uri,
    role_evidence: leg.roleEvidence,
    codec: leg.codec,
    model: leg.model,
    vocabulary_id: leg.vocabularyId,
    started_at: leg.startedAt,
    ended_at: leg.endedAt,
    media: leg.media,
    sentence_count: leg.sentenceCount,
  }));
  const result = await db.query({
    ...SAVE_CALL,
    values: [
      call.id,
      call.revision,
      call.sipCallId,
      call.tenant,
      call.direction,
      call.state,
      call.mapping,
      call.startedAt,
      call.answeredAt,
      call.endedAt,
      call.endReason,
      JSON.stringify(call.metadata),
      JSON.stringify(legs),
      JSON.stringify(call.identifiers),
    ],
  });
  return result.rowCount === 1 ? 'written' : 'outdated';
}
