import { lowestIdAt } from '../ids.ts';
import type { Queryable } from './pool.ts';

/** Tables that are cut into months (migrations 0006, 0007), with the column of the id that says which month. */
export const MONTHLY_TABLES = {
  calls: 'id',
  legs: 'id',
  call_identifiers: 'call_id',
  sentences: 'leg_id',
  call_events: 'call_id',
  call_figures: 'call_id',
} as const;
export type MonthlyTable = keyof typeof MONTHLY_TABLES;

/** Months that are there before they begin, so that a sweeper that stands still is no trouble for long. */
export const MONTHS_AHEAD = 3;

/** One calendar month in UTC. */
export interface Month {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
}

export const monthOf = (at: Date): Month => ({ year: at.getUTCFullYear(), month: at.getUTCMonth() + 1 });

export const beginOfMonth = ({ year, month }: Month): Date => new Date(Date.UTC(year, month - 1));

/** @param months may be negative */
export const monthsAfter = ({ year, month }: Month, months: number): Month =>
  monthOf(new Date(Date.UTC(year, month - 1 + months)));

/** Such as `sentences_2026_11`. */
export const partitionName = (table: MonthlyTable, { year, month }: Month): string =>
  `${table}_${String(year).padStart(4, '0')}_${String(month).padStart(2, '0')}`;

/** The month that a partition holds; undefined for the two that hold none. */
export function monthOfPartition(name: string): Month | undefined {
  const match = /_(\d{4})_(\d{2})$/.exec(name);
  return match === null ? undefined : { year: Number(match[1]), month: Number(match[2]) };
}

const LIST_PARTITIONS = `
select child.relname as name
  from pg_inherits join pg_class child on child.oid = inhrelid
 where inhparent = to_regclass($1)
 order by 1`;

/** Names of a table's partitions, in alphabetical order. @throws what `pg` throws; see `toStoreError` */
export async function listPartitions(db: Queryable, table: MonthlyTable): Promise<readonly string[]> {
  const { rows } = await db.query<{ name: string }>(LIST_PARTITIONS, [table]);
  return rows.map((row) => row.name);
}

/** For how long a change of the tables waits for those who use them, and they for it. */
export const LOCK_WAIT_MS = 2_000;

/**
 * Makes the partitions of this month and of {@link MONTHS_AHEAD} months more, where they are missing. Rows of such
 * a month that lie in the catch-all move over. Readers and writers wait only while a new partition is tied in,
 * which takes milliseconds; if that would itself have to wait longer than {@link LOCK_WAIT_MS}, it fails.
 *
 * @param session one session: each partition is made in a transaction of its own
 * @returns names of the new partitions
 * @throws what `pg` throws; `55P03` (lock not available) may be tried again
 */
export async function makeMonths(session: Queryable, now: Date): Promise<readonly string[]> {
  const made: string[] = [];
  const current = monthOf(now);
  for (const table of Object.keys(MONTHLY_TABLES) as MonthlyTable[]) {
    const there = new Set(await listPartitions(session, table));
    for (let ahead = 0; ahead <= MONTHS_AHEAD; ahead += 1) {
      const month = monthsAfter(current, ahead);
      const name = partitionName(table, month);
      if (there.has(name)) continue;
      await makePartition(session, table, month);
      made.push(name);
    }
  }
  return made;
}

async function makePartition(session: Queryable, table: MonthlyTable, month: Month): Promise<void> {
  const name = partitionName(table, month);
  const key = MONTHLY_TABLES[table];
  const from = lowestIdAt(beginOfMonth(month));
  const to = lowestIdAt(beginOfMonth(monthsAfter(month, 1)));
  // Nothing here is text from outside; a partition's bounds cannot be parameters.
  const statements = [
    'begin',
    `set local lock_timeout = ${LOCK_WAIT_MS}`,
    `create table ${name} (like ${table} including all)`,
    table === 'legs' ? `create unique index ${name}_call on ${name} (call_id, leg_no)` : '',
    // Whoever writes into the catch-all now would make the attachment fail.
    `lock table ${table}_other in share row exclusive mode`,
    `with moved as (delete from ${table}_other where ${key} >= '${from}' and ${key} < '${to}' returning *)
     insert into ${name} select * from moved`,
    `alter table ${table} attach partition ${name} for values from ('${from}') to ('${to}')`,
    'commit',
  ].filter((statement) => statement !== '');
  try {
    for (const statement of statements) await session.query(statement);
  } catch (error) {
    await session.query('rollback');
    throw error;
  }
}
