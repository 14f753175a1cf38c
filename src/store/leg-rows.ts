import type { CallId, LegId } from '../ids.ts';
import type { Queryable } from './pool.ts';

/** Whether legs' rows are all there, or some of their calls are among the dead letters. */
const LEG_ROWS = {
  name: 'leg-rows',
  text: `
select given.leg_id as "legId",
       (select count(*) from sentences where sentences.leg_id = given.leg_id) >= given.sentence_count
       or exists (select from forgotten_calls where forgotten_calls.call_id = given.call_id) as "areThere",
       exists (select from dead_letters where dead_letters.call_id = given.call_id) as "hasDeadLetters"
  from unnest($1::uuid[], $2::integer[], $3::uuid[]) as given (leg_id, sentence_count, call_id)`,
};

interface LegRowsRow {
  readonly legId: LegId;
  readonly areThere: boolean;
  readonly hasDeadLetters: boolean;
}

/** A leg that gave so many sentences. */
export interface CountedLeg {
  readonly callId: CallId;
  readonly legId: LegId;
  readonly sentenceCount: number;
}

/**
 * Legs of which not as many rows are there as they gave sentences, unless their call was forgotten.
 *
 * - `dead`: dead letters of the call tell why.
 * - `missing`: not all are there yet.
 *
 * @throws what `pg` throws; see `toStoreError`
 */
export async function legsWithoutRows(
  db: Queryable,
  legs: readonly CountedLeg[],
): Promise<readonly { readonly leg: CountedLeg; readonly rows: 'dead' | 'missing' }[]> {
  if (legs.length === 0) return [];
  const result = await db.query<LegRowsRow>({
    ...LEG_ROWS,
    values: [
      legs.map(({ legId }) => legId),
      legs.map(({ sentenceCount }) => sentenceCount),
      legs.map(({ callId }) => callId),
    ],
  });
  const found = new Map(result.rows.map((row) => [row.legId, row]));
  return legs.flatMap((leg) => {
    const row = found.get(leg.legId);
    if (row?.areThere === true) return [];
    return [{ leg, rows: row?.hasDeadLetters === true ? 'dead' : 'missing' }];
  });
}
