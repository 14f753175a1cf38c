import type { Queryable } from './pool.ts';

/** A fact that could not become a row, as an operator sees it. */
export interface DeadLetterRow {
  readonly id: string;
  readonly queue: string;
  readonly factId: string;
  readonly name: string;
  readonly callId: string | null;
  readonly code: string;
  readonly reason: string;
  readonly attempts: number;
  readonly firstAt: Date;
  readonly lastAt: Date;
  /** May hold speech and numbers. */
  readonly data: unknown;
}

const LOAD_DEAD_LETTERS = {
  name: 'load-dead-letters',
  text: `
select id, queue, fact_id as "factId", name, call_id as "callId", code, reason, attempts,
       first_at as "firstAt", last_at as "lastAt", data
  from dead_letters
 where ($1::bigint[] is null or id = any ($1)) and id > $2
 order by id
 limit $3`,
};

/**
 * In the order in which they came, a page at a time.
 *
 * @param ids `all`, or which
 * @throws what `pg` throws; see `toStoreError`
 */
export async function loadDeadLetters(
  db: Queryable,
  ids: 'all' | readonly string[],
  { afterId = '0', max = 500 }: { readonly afterId?: string; readonly max?: number } = {},
): Promise<readonly DeadLetterRow[]> {
  const values = [ids === 'all' ? null : ids, afterId, max];
  return (await db.query<DeadLetterRow>({ ...LOAD_DEAD_LETTERS, values })).rows;
}

const DROP_DEAD_LETTER = { name: 'drop-dead-letter', text: 'delete from dead_letters where id = $1' };

/** @returns whether it was there. @throws what `pg` throws; see `toStoreError` */
export async function dropDeadLetter(db: Queryable, id: string): Promise<boolean> {
  return (await db.query({ ...DROP_DEAD_LETTER, values: [id] })).rowCount === 1;
}
