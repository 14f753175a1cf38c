import type { CallRecord } from '../call/record.ts';
import type { CallId } from '../ids.ts';
import type { Queryable } from './pool.ts';

/**
 * Writes snapshots of calls with their legs and identifiers, each if it is newer than what is there; forgotten
 * calls are dropped. One statement: all of it or nothing. `complete` stays, whatever a later snapshot adds: only
 * `completeCall` sets it, and rightly. The order by ids keeps two batches from waiting for each other. The ids are given
 * a second time for the planner, which else would read the identifiers of all months. A role that somebody has set since
 * (`setAt` of the evidence) stays.
 */
const SAVE_CALLS = {
  name: 'save-calls',
  text: `
with given as materialized (
  select *
    from jsonb_to_recordset($1) as call (
      id uuid, revision integer, sip_call_id text, tenant text, direction text, state text, mapping text,
      started_at timestamptz, answered_at timestamptz, ended_at timestamptz, end_reason text, metadata jsonb,
      legs jsonb, identifiers jsonb)
   where not exists (select from forgotten_calls where call_id = call.id)
), newest as (
  insert into calls (id, revision, sip_call_id, tenant, direction, state, mapping, started_at, answered_at,
                     ended_at, end_reason, metadata, updated_at)
  select id, revision, sip_call_id, tenant, direction, state, mapping, started_at, answered_at,
         ended_at, end_reason, metadata, clock_timestamp()
    from given order by id
  on conflict (id) do update set
    revision = excluded.revision, sip_call_id = excluded.sip_call_id, tenant = excluded.tenant,
    direction = excluded.direction,
    state = case calls.state when 'complete' then 'complete' else excluded.state end,
    mapping = excluded.mapping, started_at = excluded.started_at, answered_at = excluded.answered_at,
    ended_at = excluded.ended_at, end_reason = excluded.end_reason, metadata = excluded.metadata,
    updated_at = excluded.updated_at, fault = null
  where calls.revision < excluded.revision
  returning id
), saved_legs as (
  insert into legs (call_id, id, leg_no, label, role, name, uri, role_evidence, codec, model, vocabulary_id,
                    started_at, ended_at, media, sentence_count)
  select newest.id, leg.*
    from newest join given on given.id = newest.id, jsonb_to_recordset(given.legs) as leg (
      id uuid, leg_no integer, label text, role text, name text, uri text, role_evidence jsonb, codec text,
      model text, vocabulary_id text, started_at timestamptz, ended_at timestamptz, media jsonb,
      sentence_count integer)
   order by leg.id
  on conflict (id) do update set
    label = excluded.label, name = excluded.name, uri = excluded.uri,
    (role, role_evidence) = (
      select case when set_later then legs.role else excluded.role end,
             case when set_later then legs.role_evidence else excluded.role_evidence end
        from (select coalesce(legs.role_evidence->>'setAt', '') > coalesce(excluded.role_evidence->>'setAt', '')) as _ (set_later)
    ),
    codec = excluded.codec, model = excluded.model, vocabulary_id = excluded.vocabulary_id,
    started_at = excluded.started_at, ended_at = excluded.ended_at, media = excluded.media,
    sentence_count = excluded.sentence_count
), identifiers as materialized (
  select distinct newest.id as call_id, given_identifier.kind, given_identifier.value
    from newest join given on given.id = newest.id,
         jsonb_to_recordset(given.identifiers) as given_identifier (kind text, value text)
), gone_identifiers as (
  delete from call_identifiers as old
   using newest
   where old.call_id = any($2) and old.call_id = newest.id
     and not exists (
       select from identifiers as given_identifier
        where (given_identifier.call_id, given_identifier.kind, given_identifier.value)
              = (old.call_id, old.kind, old.value))
), saved_identifiers as (
  insert into call_identifiers (call_id, kind, value)
  select call_id, kind, value from identifiers
  on conflict do nothing
)
select id from newest`,
};

/**
 * @param calls of each call at most one snapshot
 * @returns the calls that were written; of the others a snapshot of this or a higher revision is there already
 * @throws what `pg` throws; see `toStoreError`
 */
export async function saveCalls(db: Queryable, calls: readonly CallRecord[]): Promise<ReadonlySet<CallId>> {
  if (calls.length === 0) return new Set();
  const result = await db.query<{ id: CallId }>({
    ...SAVE_CALLS,
    values: [JSON.stringify(calls.map(toRow)), calls.map(({ id }) => id)],
  });
  return new Set(result.rows.map(({ id }) => id));
}

/**
 * {@link saveCalls} for one.
 *
 * @returns `outdated` when a snapshot of this or a higher revision is there already
 * @throws what `pg` throws; see `toStoreError`
 */
export async function saveCall(db: Queryable, call: CallRecord): Promise<'written' | 'outdated'> {
  return (await saveCalls(db, [call])).size === 1 ? 'written' : 'outdated';
}

const toRow = (call: CallRecord): object => ({
  id: call.id,
  revision: call.revision,
  sip_call_id: call.sipCallId,
  tenant: call.tenant,
  direction: call.direction,
  state: call.state,
  mapping: call.mapping,
  started_at: call.startedAt,
  answered_at: call.answeredAt,
  ended_at: call.endedAt,
  end_reason: call.endReason,
  metadata: call.metadata,
  identifiers: call.identifiers,
  legs: call.legs.map((leg) => ({
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
  })),
});
