import type { FinalSentence } from '../transcript/sentence.ts';
import type { Queryable } from './pool.ts';

/**
 * - `written`: the row is new.
 * - `repeated`: the row was there already, with the same content; the job ran twice.
 * - `different`: another sentence has this number. The first one stays.
 */
export type SentenceOutcome = 'written' | 'repeated' | 'different';

/**
 * Inserts a final sentence, once. One statement, so one round trip and all or nothing: a sentence that comes
 * before its call's snapshot makes call and leg as skeletons. A row that another session is inserting at this
 * moment is not visible to the comparison and counts as repeated.
 *
 * Each step looks at the one before, though only for the order: steps that nobody reads run last and backwards
 * (PostgreSQL, ExecPostprocessPlan), and leg before call is a deadlock with the snapshot, which has call first.
 */
const SAVE_SENTENCE = {
  name: 'save-sentence',
  text: `
with call as (
  insert into calls (id) values ($1) on conflict do nothing returning 1
), leg as (
  insert into legs (id, call_id, leg_no)
  select $2, $1, $3 where (select count(*) from call) >= 0
  on conflict do nothing
  returning 1
), written as (
  insert into sentences (call_id, leg_id, sentence_no, begin_ms, end_ms, begin_at, end_at, text, words,
                         emo_tag, emo_confidence, asr_task_id, concealed_ms)
  select $1, $2, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 where (select count(*) from leg) >= 0
  on conflict (leg_id, sentence_no) do nothing
  returning 1
)
select case
  when exists (select from written) then 'written'
  when exists (select from sentences
                where leg_id = $2 and sentence_no = $4
                  and (begin_ms, end_ms, text) is distinct from ($5, $6, $9)) then 'different'
  else 'repeated'
end as outcome`,
};

/** @throws what `pg` throws; see `toStoreError` */
export async function saveSentence(db: Queryable, sentence: FinalSentence): Promise<SentenceOutcome> {
  const result = await db.query<{ outcome: SentenceOutcome }>({
    ...SAVE_SENTENCE,
    values: [
      sentence.callId,
      sentence.legId,
      sentence.legNo,
      sentence.sentenceNo,
      sentence.beginMs,
      sentence.endMs,
      sentence.beginAt,
      sentence.endAt,
      sentence.text,
      JSON.stringify(sentence.words),
      sentence.emoTag,
      sentence.emoConfidence,
      sentence.asrTaskId,
      sentence.concealedMs,
    ],
  });
  return result.rows[0]?.outcome ?? 'repeated';
}
