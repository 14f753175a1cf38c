import { CallscribeError, systemCode } from '../errors.ts';
import { type Pool, type Queryable, withTransaction } from './pool.ts';

/** SQLSTATE of a statement that ran into its time limit. */
const QUERY_CANCELED = '57014';

/**
 * Runs statements of a question that a client put together, which may be dear: the server ends each after so long.
 *
 * @throws {CallscribeError} QUERY_TOO_COSTLY; else what `pg` throws, see `toStoreError`
 */
export async function withinCost<T>(
  pool: Pool,
  statementMaxMs: number,
  ask: (db: Queryable) => Promise<T>,
): Promise<T> {
  return withTransaction(pool, async (client) => {
    await client.query(`set local statement_timeout = ${statementMaxMs}; set local jit = off`);
    return ask(client);
  }).catch((error: unknown) => {
    if (systemCode(error) !== QUERY_CANCELED) throw error;
    throw new CallscribeError(
      'QUERY_TOO_COSTLY',
      `this was not found within ${statementMaxMs / 1_000} s: narrow the time, or leave out a filter`,
      { cause: error },
    );
  });
}
