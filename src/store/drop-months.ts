import { type CallId, lowestIdAt } from '../ids.ts';
import type { MailboxAddress } from '../voicemail/mailbox-news.ts';
import { deleteCall } from './delete-call.ts';
import {
  beginOfMonth,
  listPartitions,
  LOCK_WAIT_MS,
  type Month,
  MONTHLY_TABLES,
  type MonthlyTable,
  monthOfPartition,
  monthsAfter,
} from './months.ts';
import type { Queryable } from './pool.ts';
import { deleteOldVoicemails } from './voicemails.ts';

/** Rows that are in no month go one call at a time; the next sweep takes the rest. */
const CALLS_MAX = 500;

/** Calls in no month that are too old: by the time of their ids, or by what is known where ids are random. */
const FIND_OLD = (partition: string): string => `
select id from ${partition} as call
 where case substr(id::text, 15, 1) when '7' then id < $1
       else coalesce(started_at, updated_at, (select max(stored_at) from sentences where call_id = call.id),
                     (select max(at) from call_events where call_id = call.id), '-infinity') < $2 end
 limit ${CALLS_MAX}`;

export interface DroppedMonths {
  readonly partitions: readonly string[];
  /** Calls that were in no month. */
  readonly calls: number;
  /** No call that began before has rows any more, but for those of random ids that the next sweep takes. */
  readonly keptFrom: Date;
  /** Those in which messages were. */
  readonly mailboxes: readonly MailboxAddress[];
}

/**
 * Lets go of the calls that began more than `keepDays` ago: whole months (UTC) by dropping their partitions, when
 * the last day of the month is that old; so rows stay for up to a month longer. What is in no month goes row by row.
 * Dropping waits for those who use the table no longer than {@link LOCK_WAIT_MS}, then fails, and the next sweep tries
 * again. A month goes table by table, calls last, so that what was interrupted is found again.
 *
 * @param session one session
 * @throws what `pg` throws; see `toStoreError`
 */
export async function dropMonths(session: Queryable, keepDays: number, now: Date): Promise<DroppedMonths> {
  const oldest = new Date(now.getTime() - keepDays * 86_400_000);
  const isOld = (month: Month): boolean => beginOfMonth(monthsAfter(month, 1)) <= oldest;
  const partitions: string[] = [];
  for (const table of (Object.keys(MONTHLY_TABLES) as MonthlyTable[]).toReversed()) {
    for (const name of await listPartitions(session, table)) {
      const month = monthOfPartition(name);
      if (month === undefined || !isOld(month)) continue;
      await dropTable(session, name);
      partitions.push(name);
    }
  }
  const keptFrom = beginOfMonth({ year: oldest.getUTCFullYear(), month: oldest.getUTCMonth() + 1 });
  const bound = lowestIdAt(keptFrom);
  let calls = 0;
  for (const name of await listPartitions(session, 'calls')) {
    if (monthOfPartition(name) !== undefined) continue;
    const { rows } = await session.query<{ id: CallId }>(FIND_OLD(name), [bound, oldest]);
    for (const { id } of rows) await deleteCall(session, id);
    calls += rows.length;
  }
  await session.query(
    `delete from call_links
      where (call_id < $1 and substr(call_id::text, 15, 1) = '7') or (linked_id < $1 and substr(linked_id::text, 15, 1) = '7')`,
    [bound],
  );
  await session.query('delete from dead_letters where last_at < $1', [oldest]);
  const mailboxes = await deleteOldVoicemails(session, keptFrom);
  return { partitions, calls, keptFrom, mailboxes };
}

async function dropTable(session: Queryable, name: string): Promise<void> {
  try {
    await session.query('begin');
    await session.query(`set local lock_timeout = ${LOCK_WAIT_MS}`);
    await session.query(`drop table ${name}`);
    await session.query('commit');
  } catch (error) {
    await session.query('rollback');
    throw error;
  }
}
