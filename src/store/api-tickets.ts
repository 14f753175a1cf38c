import type { Queryable } from './pool.ts';

/** Expired tickets that one new ticket clears away. */
const CLEARED_AT_ONCE = 100;

const INSERT_TICKET = `
with expired as (
  delete from api_tickets
   where digest in (select digest from api_tickets where expires_at < clock_timestamp() limit ${CLEARED_AT_ONCE} for update skip locked)
)
insert into api_tickets (digest, principal, expires_at)
values ($1, $2, clock_timestamp() + $3 * interval '1 millisecond')
returning expires_at as "expiresAt"`;

/**
 * @param digest of the ticket; the ticket itself is nowhere
 * @param principal whom it stands for; JSON
 * @returns when it expires, by the database's clock
 * @throws what `pg` throws; see `toStoreError`
 */
export async function insertTicket(
  db: Queryable,
  digest: string,
  principal: object,
  validMs: number,
): Promise<Date> {
  const { rows } = await db.query<{ expiresAt: Date }>(INSERT_TICKET, [
    digest,
    JSON.stringify(principal),
    validMs,
  ]);
  return rows[0]!.expiresAt;
}

/** Uses the ticket up. @returns whom it stood for. @throws what `pg` throws; see `toStoreError` */
export async function takeTicket(db: Queryable, digest: string): Promise<unknown> {
  const { rows } = await db.query<{ principal: unknown; holds: boolean }>(
    'delete from api_tickets where digest = $1 returning principal, expires_at > clock_timestamp() as holds',
    [digest],
  );
  return rows[0]?.holds === true ? rows[0].principal : undefined;
}
