import type { CallId, LegId } from '../ids.ts';
import type { Queryable } from './pool.ts';

/** Whether a leg's rows are all there, or some of its call are among the dead letters. */
const LEG_ROWS = {
  name: 'leg-rows',
  text: `
select (select count(*) from sentences where leg_id = $1) >= $2
       or exists (select from forgotten_calls where call_id = $3) as are_there,
       exists (select from dead_letters where call_id = $3) as has_dead_letters`,
};

/**
 * - `there`: as many rows as the leg gave sentences, or the call was forgotten.
 * - `dead`: not all, and dead letters of the call tell why.
 * - `missing`: not all yet.
 *
 * @throws what `pg` throws; see `toStoreError`
 */
export async function legRows(
  db: Queryable,
  leg: { readonly callId: CallId; readonly legId: LegId; readonly sentenceCount: number },
): Promise<'there' | 'dead' | 'missing'> {
  const result = await db.query<{ are_there: boolean; has_dead_letters: boolean }>({
    ...LEG_ROWS,
    values: [leg.legId, leg.sentenceCount, leg.callId],
  });
  const [row] = result.rows;
  if (row?.are_there === true) return 'there';
  return row?.has_dead_letters === true ? 'dead' : 'missing';
}
