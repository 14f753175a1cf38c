import type { Queryable } from './pool.ts';

/** A token of the API as the table holds it; the secret is nowhere. */
export interface ApiTokenRow {
  /** The part of the token that may be seen. */
  readonly id: string;
  /** SHA-256 of the whole token, hexadecimal. */
  readonly digest: string;
  readonly name: string;
  readonly tenant: string | null;
  readonly scopes: readonly string[];
  readonly requestsPerMinute: number | null;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
}

const COLUMNS = `id, digest, name, tenant, scopes, requests_per_minute as "requestsPerMinute", created_at as "createdAt",
       expires_at as "expiresAt", revoked_at as "revokedAt"`;

/** @throws what `pg` throws; see `toStoreError` */
export async function insertApiToken(
  db: Queryable,
  token: Omit<ApiTokenRow, 'createdAt' | 'revokedAt'>,
): Promise<void> {
  const { id, digest, name, tenant, scopes, requestsPerMinute, expiresAt } = token;
  await db.query(
    `insert into api_tokens (id, digest, name, tenant, scopes, requests_per_minute, expires_at)
     values ($1, $2, $3, $4, $5, $6, $7)`,
    [id, digest, name, tenant, scopes, requestsPerMinute, expiresAt],
  );
}

/** Oldest first, with those that hold no more. @throws what `pg` throws; see `toStoreError` */
export async function loadApiTokens(db: Queryable): Promise<readonly ApiTokenRow[]> {
  const { rows } = await db.query<ApiTokenRow>(`select ${COLUMNS} from api_tokens order by created_at, id`);
  return rows;
}

/** The token of this id where it still holds. @throws what `pg` throws; see `toStoreError` */
export async function findApiToken(db: Queryable, id: string): Promise<ApiTokenRow | undefined> {
  const { rows } = await db.query<ApiTokenRow>({
    name: 'find-api-token',
    text: `select ${COLUMNS} from api_tokens
            where id = $1 and revoked_at is null and (expires_at is null or expires_at > clock_timestamp())`,
    values: [id],
  });
  return rows[0];
}

/** Those of these ids that still hold. @throws what `pg` throws; see `toStoreError` */
export async function findHoldingApiTokens(
  db: Queryable,
  ids: readonly string[],
): Promise<readonly string[]> {
  const { rows } = await db.query<{ id: string }>({
    name: 'find-holding-api-tokens',
    text: `select id from api_tokens
            where id = any($1) and revoked_at is null and (expires_at is null or expires_at > clock_timestamp())`,
    values: [ids],
  });
  return rows.map(({ id }) => id);
}

/** @returns whether there was one that held until now. @throws what `pg` throws; see `toStoreError` */
export async function revokeApiToken(db: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await db.query(
    'update api_tokens set revoked_at = clock_timestamp() where id = $1 and revoked_at is null',
    [id],
  );
  return rowCount === 1;
}

/** Whether there ever was a token, also one that holds no more. @throws what `pg` throws; see `toStoreError` */
export async function hasApiTokens(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ found: boolean }>('select exists (select from api_tokens) as found');
  return rows[0]?.found ?? false;
}
