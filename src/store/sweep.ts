import type pg from 'pg';

import { deleteOldReads } from './access-log.ts';
import { dropMonths, type DroppedMonths } from './drop-months.ts';
import { deleteStragglers } from './forgotten-calls.ts';
import { type GivenUpCalls, giveUpCalls } from './give-up-calls.ts';
import { listPartitions, makeMonths, type Month, monthOf, monthOfPartition } from './months.ts';
import type { Pool, Queryable } from './pool.ts';

/** Ours alone: of all processes on a database one sweeps at a time. */
const LOCK_KEY = 3_914_677_202;
const DAY_MS = 86_400_000;

export interface SweepOptions {
  readonly now: Date;
  /** A call of which nothing came for so long is given up. */
  readonly giveUpAfterMs: number;
  /** Calls that have ended and are not complete are looked at again after so long. */
  readonly lookAgainAfterMs: number;
  /** Undefined: rows stay for ever. */
  readonly keepDays: number | undefined;
  /** Undefined: who read what stays for ever. */
  readonly keepReadsDays: number | undefined;
}

export interface SweepOutcome {
  readonly madePartitions: readonly string[];
  readonly givenUp: GivenUpCalls;
  readonly dropped: DroppedMonths | undefined;
  /** Forgotten calls of which something had come in. */
  readonly stragglers: number;
  /** Rows of the access log that were deleted. */
  readonly reads: number;
}

/**
 * One round of what a database needs over the years: months made ahead, calls that hang given up, rows beyond their
 * time dropped, late facts of forgotten calls and old rows of the access log deleted.
 *
 * @returns undefined where another process is at it
 * @throws what `pg` throws; see `toStoreError`. What was done by then stays done.
 */
export async function sweep(pool: Pool, options: SweepOptions): Promise<SweepOutcome | undefined> {
  const { now, keepDays, keepReadsDays, giveUpAfterMs: afterMs, lookAgainAfterMs } = options;
  const session = await pool.connect();
  try {
    const { rows } = await session.query<{ taken: boolean }>('select pg_try_advisory_lock($1) as taken', [
      LOCK_KEY,
    ]);
    if (rows[0]?.taken !== true) {
      session.release();
      return undefined;
    }
    const madePartitions = await makeMonths(session, now);
    const givenUp = await giveUpCalls(session, { now, afterMs, lookAgainAfterMs });
    const stragglers = await deleteStragglers(session);
    const dropped = keepDays === undefined ? undefined : await dropMonths(session, keepDays, now);
    const reads =
      keepReadsDays === undefined
        ? 0
        : await deleteOldReads(session, new Date(now.getTime() - keepReadsDays * DAY_MS));
    await unlock(session);
    return { madePartitions, givenUp, dropped, stragglers, reads };
  } catch (error) {
    // The lock ends with the session.
    session.release(true);
    throw error;
  }
}

async function unlock(session: pg.PoolClient): Promise<void> {
  await session.query('select pg_advisory_unlock($1)', [LOCK_KEY]);
  session.release();
}

/** What an operator watches. */
export interface StoreHealth {
  /** Months that are there beyond the present one. Below 1, rows are about to be in none. */
  readonly monthsAhead: number;
  /** Sentences that are in no month though their id has a time; counted up to 10,000. */
  readonly sentencesInNoMonth: number;
  /** Calls in progress, as the rows say, and calls that have ended and are not complete. */
  readonly activeCalls: number;
  readonly finishingCalls: number;
  /** Facts that an operator should look at (`npm run dead-letters`). */
  readonly deadLetters: number;
}

/** @throws what `pg` throws; see `toStoreError` */
export async function checkHealth(db: Queryable, now: Date): Promise<StoreHealth> {
  const partitions = await listPartitions(db, 'sentences');
  const { rows } = await db.query<Omit<StoreHealth, 'monthsAhead'>>(`
    select (select count(*)::int from (select from sentences_other where substr(leg_id::text, 15, 1) = '7' limit 10000) as found)
             as "sentencesInNoMonth",
           (select count(*)::int from dead_letters) as "deadLetters",
           count(*) filter (where state = 'active')::int as "activeCalls",
           count(*) filter (where state = 'finishing')::int as "finishingCalls"
      from calls where state in ('active', 'finishing')`);
  const none = { sentencesInNoMonth: 0, activeCalls: 0, finishingCalls: 0, deadLetters: 0 };
  return { ...(rows[0] ?? none), monthsAhead: monthsBeyond(partitions, monthOf(now)) };
}

function monthsBeyond(partitions: readonly string[], { year, month }: Month): number {
  return partitions.filter((name) => {
    const found = monthOfPartition(name);
    return found !== undefined && (found.year > year || (found.year === year && found.month > month));
  }).length;
}
