import { pairsLiteral, searchText } from '../search/normal-form.ts';
import type { FinalSentence } from '../transcript/sentence.ts';
import type { Queryable } from './pool.ts';

/**
 * - `written`: the row is new.
 * - `repeated`: the row was there already, with the same content; the job ran twice.
 * - `different`: another sentence has this number. The first one stays.
 */
export type SentenceOutcome = 'written' | 'repeated' | 'different';

/**
 * Inserts final sentences, each once; those of forgotten calls are dropped. One statement, so one round trip and all
 * or nothing: sentences that come before their call's snapshot make call and leg as skeletons. A row that another
 * session is inserting at this moment is not visible to the comparison and counts as repeated.
 *
 * Each step looks at the one before, though only for the order: steps that nobody reads run last and backwards
 * (PostgreSQL, ExecPostprocessPlan), and leg before call is a deadlock with the snapshot, which has call first. The
 * order by ids keeps two batches from waiting for each other.
 */
const SAVE_SENTENCES = {
  name: 'save-sentences',
  text: `
with given as materialized (
  select *
    from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::integer[], $5::integer[], $6::integer[],
                $7::timestamptz[], $8::timestamptz[], $9::text[], $10::text[], $11::text[], $12::float8[],
                $13::text[], $14::integer[], $15::text[], $16::text[], $17::text[], $18::text[])
      as t (call_id, leg_id, leg_no, sentence_no, begin_ms, end_ms, begin_at, end_at, text, words,
            emo_tag, emo_confidence, asr_task_id, concealed_ms, tenant, search_text, search_pairs, webhooks)
   where not exists (select from forgotten_calls where forgotten_calls.call_id = t.call_id)
), call as (
  insert into calls (id)
  select distinct call_id from given
   where not exists (select from calls where calls.id = call_id and calls.id = any($1))
   order by 1
  on conflict do nothing returning 1
), leg as (
  insert into legs (id, call_id, leg_no)
  select distinct on (leg_id) leg_id, call_id, leg_no
    from given
   where (select count(*) from call) >= 0
     and not exists (select from legs where legs.id = leg_id and legs.id = any($2))
   order by leg_id
  on conflict do nothing
  returning 1
), written as (
  insert into sentences (call_id, leg_id, sentence_no, begin_ms, end_ms, begin_at, end_at, text, words,
                         emo_tag, emo_confidence, asr_task_id, concealed_ms, tenant, search_text, search_pairs,
                         webhooks)
  select call_id, leg_id, sentence_no, begin_ms, end_ms, begin_at, end_at, text, words::jsonb,
         emo_tag, emo_confidence, asr_task_id, concealed_ms, tenant, search_text, search_pairs::integer[],
         webhooks::text[]
    from given where (select count(*) from leg) >= 0 order by leg_id, sentence_no
  on conflict (leg_id, sentence_no) do nothing
  returning leg_id, sentence_no
)
select given.leg_id, given.sentence_no,
       there.leg_id is not null
       and (there.begin_ms, there.end_ms, there.text) is distinct from (given.begin_ms, given.end_ms, given.text)
         as is_different
  from given
  left join sentences as there
    on there.leg_id = given.leg_id and there.sentence_no = given.sentence_no
   -- For the planner, which else may read all months.
   and there.leg_id = any($2)
 where not exists (
   select from written where written.leg_id = given.leg_id and written.sentence_no = given.sentence_no)`,
};

/**
 * @returns what became of each, in their order
 * @throws what `pg` throws; see `toStoreError`
 */
export async function saveSentences(
  db: Queryable,
  sentences: readonly FinalSentence[],
): Promise<readonly SentenceOutcome[]> {
  if (sentences.length === 0) return [];
  const searchTexts = sentences.map(({ text }) => searchText(text));
  const column = <T>(read: (sentence: FinalSentence) => T): T[] => sentences.map(read);
  const result = await db.query<{ leg_id: string; sentence_no: number; is_different: boolean }>({
    ...SAVE_SENTENCES,
    values: [
      column(({ callId }) => callId),
      column(({ legId }) => legId),
      column(({ legNo }) => legNo),
      column(({ sentenceNo }) => sentenceNo),
      column(({ beginMs }) => beginMs),
      column(({ endMs }) => endMs),
      column(({ beginAt }) => beginAt),
      column(({ endAt }) => endAt),
      column(({ text }) => text),
      column(({ words }) => JSON.stringify(words)),
      column(({ emoTag }) => emoTag),
      column(({ emoConfidence }) => emoConfidence),
      column(({ asrTaskId }) => asrTaskId),
      column(({ concealedMs }) => concealedMs),
      column(({ tenant }) => tenant),
      searchTexts,
      searchTexts.map(pairsLiteral),
      column(({ webhooks }) => namesLiteral(webhooks)),
    ],
  });
  const others = new Map(result.rows.map((row) => [`${row.leg_id} ${row.sentence_no}`, row.is_different]));
  return sentences.map(({ legId, sentenceNo }) => {
    const isDifferent = others.get(`${legId} ${sentenceNo}`);
    return isDifferent === undefined ? 'written' : isDifferent ? 'different' : 'repeated';
  });
}

/** As Postgres reads an array; arrays of different lengths cannot be one parameter. */
const namesLiteral = (names: readonly string[] | undefined): string | null =>
  names === undefined ? null : `{${names.map((name) => `"${name.replace(/["\\]/g, '\\$&')}"`).join()}}`;

/** {@link saveSentences} for one. @throws what `pg` throws; see `toStoreError` */
export async function saveSentence(db: Queryable, sentence: FinalSentence): Promise<SentenceOutcome> {
  const [outcome] = await saveSentences(db, [sentence]);
  return outcome ?? 'repeated';
}
