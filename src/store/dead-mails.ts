import type { CallId } from '../ids.ts';
import type { Queryable } from './pool.ts';

/** An e-mail that was given up. */
export interface DeadMail {
  readonly id: string;
  readonly callId: CallId;
  readonly recipient: string;
  readonly attempts: number;
  readonly failure: string;
  readonly failedAt: Date;
}

/** Numbers of `voicemail_mails`. */
export type DeadMailIds = 'all' | readonly string[];

const CHOSEN = `state = 'dead' and ($1::bigint[] is null or id = any ($1))`;
const choice = (ids: DeadMailIds): readonly string[] | null => (ids === 'all' ? null : ids);

const LOAD = `
select id, call_id as "callId", recipient, attempts, failure, failed_at as "failedAt"
  from voicemail_mails
 where ${CHOSEN} and id > $2
 order by id
 limit 500`;

/**
 * In the order of their numbers, some hundred at once.
 *
 * @param afterId the number of the last one of the page before
 * @throws what `pg` throws; see `toStoreError`
 */
export async function loadDeadMails(
  db: Queryable,
  ids: DeadMailIds,
  { afterId }: { readonly afterId: string },
): Promise<readonly DeadMail[]> {
  return (await db.query<DeadMail>(LOAD, [choice(ids), afterId])).rows;
}

const REPLAY = `
update voicemail_mails
   set state = 'pending', attempts = 0, first_tried_at = null, due_at = clock_timestamp(), failure = null
 where ${CHOSEN}`;

/** They are sent anew, as if they had not been tried. @returns how many @throws what `pg` throws */
export async function replayDeadMails(db: Queryable, ids: DeadMailIds): Promise<number> {
  return (await db.query(REPLAY, [choice(ids)])).rowCount ?? 0;
}

/** @returns how many @throws what `pg` throws; see `toStoreError` */
export async function dropDeadMails(db: Queryable, ids: DeadMailIds): Promise<number> {
  return (await db.query(`delete from voicemail_mails where ${CHOSEN}`, [choice(ids)])).rowCount ?? 0;
}

/** @throws what `pg` throws; see `toStoreError` */
export async function purgeDeadMails(db: Queryable, keepDays: number): Promise<void> {
  await db.query(
    `delete from voicemail_mails where state = 'dead' and failed_at < clock_timestamp() - make_interval(days => $1)`,
    [keepDays],
  );
}
