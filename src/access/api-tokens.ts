import { randomBytes } from 'node:crypto';

import { type ApiTokenRow, findApiToken, hasApiTokens, insertApiToken } from '../store/api-tokens.ts';
import type { Pool, Queryable } from '../store/pool.ts';
import { digestOf, isSameDigest } from './digest.ts';
import { isScope, type Principal, type Scope } from './principal.ts';

/** `cs_<id>_<secret>`: 12 hexadecimal characters by which the row is found, and 256 random bits. */
const TOKEN = /^cs_([0-9a-f]{12})_[\w-]{43}$/;

export const isStoredToken = (text: string): boolean => TOKEN.test(text);

/** So long a token that was revoked or has expired may still be served by a process that knew it. */
const KNOWN_FOR_MS = 5_000;
/** Beyond it, the one that was looked up first is looked up again. */
const KNOWN_MAX = 1_000;

export interface NewApiToken {
  readonly name: string;
  /** The only tenant that it sees; undefined sees all. */
  readonly tenant: string | undefined;
  readonly scopes: readonly Scope[];
  readonly requestsPerMinute: number | undefined;
  readonly expiresAt: Date | undefined;
}

/**
 * Makes a token. It is told this once: the database has its digest only.
 *
 * @throws what `pg` throws; see `toStoreError`
 */
export async function createApiToken(
  db: Queryable,
  token: NewApiToken,
): Promise<{ readonly id: string; readonly token: string }> {
  const id = randomBytes(6).toString('hex');
  const text = `cs_${id}_${randomBytes(32).toString('base64url')}`;
  await insertApiToken(db, {
    id,
    digest: digestOf(text),
    name: token.name,
    tenant: token.tenant ?? null,
    scopes: token.scopes,
    requestsPerMinute: token.requestsPerMinute ?? null,
    expiresAt: token.expiresAt ?? null,
  });
  return { id, token: text };
}

/** Tokens of the table, each looked up at most every {@link KNOWN_FOR_MS}. */
export class ApiTokens {
  readonly #pool: Pool;
  /** By digest, in the order in which they were looked up. */
  readonly #known = new Map<string, { readonly principal: Principal; readonly untilMs: number }>();
  #hasAny: { readonly value: boolean; readonly untilMs: number } | undefined;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Whether there ever was one: then nobody is served without, also when all of them are revoked. */
  async hasAny(nowMs: number): Promise<boolean> {
    // What once is there stays; what is not there yet may be made by another process.
    if (this.#hasAny === undefined || (!this.#hasAny.value && this.#hasAny.untilMs <= nowMs)) {
      this.#hasAny = { value: await hasApiTokens(this.#pool), untilMs: nowMs + KNOWN_FOR_MS };
    }
    return this.#hasAny.value;
  }

  /** @returns undefined for text that is no token, and for a token that does not hold */
  async find(text: string, nowMs: number): Promise<Principal | undefined> {
    const [, id] = TOKEN.exec(text) ?? [];
    if (id === undefined) return undefined;
    const digest = digestOf(text);
    const known = this.#known.get(digest);
    if (known !== undefined && known.untilMs > nowMs) return known.principal;
    this.#known.delete(digest);
    const row = await findApiToken(this.#pool, id);
    if (row === undefined || !isSameDigest(row.digest, digest)) return undefined;
    const principal = principalOf(row);
    this.#known.set(digest, { principal, untilMs: nowMs + KNOWN_FOR_MS });
    if (this.#known.size > KNOWN_MAX) this.#known.delete(this.#known.keys().next().value!);
    return principal;
  }
}

const principalOf = (row: ApiTokenRow): Principal => ({
  kind: 'token',
  tokenId: row.id,
  name: row.name,
  tenant: row.tenant ?? undefined,
  scopes: row.scopes.filter(isScope),
  requestsPerMinute: row.requestsPerMinute ?? undefined,
});
