import type { CallId } from '../ids.ts';
import type { Queryable } from './pool.ts';
import type { StoredSentence } from './stored.ts';

/** Of `sentences join legs`, as {@link StoredSentence}. */
export const SENTENCE_COLUMNS = `leg_id as "legId", leg_no as "legNo", role, sentence_no as "sentenceNo", begin_ms as "beginMs",
       end_ms as "endMs", begin_at as "beginAt", end_at as "endAt", text, words, emo_tag as "emoTag",
       emo_confidence as "emoConfidence", asr_task_id as "asrTaskId",
       concealed_ms as "concealedMs", stored_at as "storedAt"`;

const LOAD_TRANSCRIPT = {
  name: 'load-transcript',
  text: `
select ${SENTENCE_COLUMNS}
  from sentences join legs on legs.id = leg_id and legs.id between leg_ids_from($1) and leg_ids_to($1)
 where sentences.call_id = $1 and leg_id between leg_ids_from($1) and leg_ids_to($1)
 order by begin_at, leg_no, sentence_no`,
};

/** The call's sentences of all legs, in the order in which they were begun. @throws what `pg` throws */
export async function loadTranscript(db: Queryable, callId: CallId): Promise<readonly StoredSentence[]> {
  const result = await db.query<StoredSentence>({ ...LOAD_TRANSCRIPT, values: [callId] });
  return result.rows;
}
