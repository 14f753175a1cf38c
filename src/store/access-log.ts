import type { CallId } from '../ids.ts';
import type { Queryable } from './pool.ts';

/** What of a call was read. */
export type ReadKind = 'transcript' | 'recording' | 'live' | 'search';

/** Somebody reads calls. */
export interface Read {
  readonly kind: ReadKind;
  readonly callIds: readonly CallId[];
  readonly tokenId: string;
  readonly tokenName: string;
  readonly tenant: string | undefined;
  readonly requestId: string;
  /** Address of the peer. */
  readonly peer: string;
}

/** Rows that one statement deletes. */
const DELETED_AT_ONCE = 5_000;
/** Statements of one round; the next one takes the rest. */
const BATCHES_MAX = 20;

const DELETE_OLD = `
delete from access_log
 where id in (select id from access_log where at < $1 order by at limit ${DELETED_AT_ONCE})`;

/** Deletes the oldest rows in batches. @returns how many @throws what `pg` throws; see `toStoreError` */
export async function deleteOldReads(db: Queryable, before: Date): Promise<number> {
  let deleted = 0;
  for (let batch = 0; batch < BATCHES_MAX; batch++) {
    const { rowCount } = await db.query(DELETE_OLD, [before]);
    deleted += rowCount ?? 0;
    if ((rowCount ?? 0) < DELETED_AT_ONCE) break;
  }
  return deleted;
}

/** Notes a row for each call. @throws what `pg` throws; see `toStoreError` */
export async function logRead(db: Queryable, read: Read): Promise<void> {
  if (read.callIds.length === 0) return;
  const { kind, callIds, tokenId, tokenName, tenant, requestId, peer } = read;
  await db.query({
    name: 'log-read',
    text: `insert into access_log (kind, call_id, token_id, token_name, tenant, request_id, peer)
           select $1, call_id, $3, $4, $5, $6, $7 from unnest($2::uuid[]) as read (call_id)`,
    values: [kind, [...new Set(callIds)], tokenId, tokenName, tenant ?? null, requestId, peer],
  });
}
