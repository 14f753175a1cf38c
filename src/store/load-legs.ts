import type { CallId } from '../ids.ts';
import type { Queryable } from './pool.ts';
import type { StoredLeg } from './stored.ts';

const LOAD_LEGS = {
  name: 'load-legs',
  text: `
select id, leg_no as "legNo", label, role, name, uri, role_evidence as "roleEvidence", codec, model, vocabulary_id as "vocabularyId",
       started_at as "startedAt", ended_at as "endedAt", media, sentence_count as "sentenceCount"
  from legs
 where call_id = $1 and id between leg_ids_from($1) and leg_ids_to($1)
 order by leg_no`,
};

/** The call's legs in the order of the offer. @throws what `pg` throws; see `toStoreError` */
export async function loadLegs(db: Queryable, callId: CallId): Promise<readonly StoredLeg[]> {
  const result = await db.query<StoredLeg>({ ...LOAD_LEGS, values: [callId] });
  return result.rows;
}
