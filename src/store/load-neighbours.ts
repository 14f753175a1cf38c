import type { LegRecord } from '../call/record.ts';
import type { CallId, LegId } from '../ids.ts';
import type { Queryable } from './pool.ts';
import type { SearchPosition } from './search-filter.ts';

/** A sentence beside another one. */
export interface Neighbour {
  readonly leg_no: number;
  readonly role: LegRecord['role'];
  readonly sentence_no: number;
  readonly begin_ms: number;
  readonly end_ms: number;
  readonly text: string;
}

/** What was said before and after a sentence in its call, on whatever leg. */
export interface Neighbours {
  readonly legId: LegId;
  readonly sentenceNo: number;
  readonly before: Neighbour | null;
  readonly after: Neighbour | null;
}

/** In the order of the transcript; each call in its own month ("offset 0" keeps it from being joined through all). */
const LOAD_NEIGHBOURS = {
  name: 'load-neighbours',
  text: `
select leg_id as "legId", sentence_no as "sentenceNo", to_jsonb(before) as before, to_jsonb(after) as after
  from unnest($1::uuid[]) as given (id),
       lateral (
         select leg_id, said.sentence_no, lag(said) over told as before, lead(said) over told as after
           from (select legs.leg_no, legs.role, sentence_no, begin_ms, end_ms, text, begin_at, leg_id
                   from sentences
                   join legs on legs.id = leg_id and legs.id between leg_ids_from(given.id) and leg_ids_to(given.id)
                  where sentences.call_id = given.id and leg_id between leg_ids_from(given.id) and leg_ids_to(given.id)
                ) as said
         window told as (order by begin_at, leg_no, said.sentence_no)
         offset 0) as told
 where (leg_id, sentence_no) in (select * from unnest($2::uuid[], $3::integer[]))`,
};

/** @returns in no order; a sentence that is gone meanwhile is missing. @throws what `pg` throws; see `toStoreError` */
export async function loadNeighbours(
  db: Queryable,
  sentences: readonly (SearchPosition & { readonly callId: CallId })[],
): Promise<readonly Neighbours[]> {
  if (sentences.length === 0) return [];
  const result = await db.query<Neighbours>({
    ...LOAD_NEIGHBOURS,
    values: [
      [...new Set(sentences.map(({ callId }) => callId))],
      sentences.map(({ legId }) => legId),
      sentences.map(({ sentenceNo }) => sentenceNo),
    ],
  });
  return result.rows;
}
