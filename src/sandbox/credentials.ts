import { randomBytes } from 'node:crypto';

import { z } from 'zod';

import type { Clock } from '../clock.ts';
import type { Outcome } from './vocabularies.ts';
import { invalid } from './vocabularies.ts';

export type Credential = 'key' | 'token' | 'unknown';

/** Temporary tokens begin so; keys of the service begin with `sk-`. */
const TOKEN_PREFIX = 'st-';
/** Tokens that have not ended. */
const TOKENS_MAX = 10_000;

const query = z.object({ expire_in_seconds: z.coerce.number().int().min(1).max(1_800).default(60) });

/** Who is let in: keys as long as the sandbox lives, tokens until they end. */
export class Credentials {
  readonly #keys: 'any' | ReadonlySet<string>;
  readonly #clock: Clock;
  /** token → when it ends, in milliseconds of the wall clock */
  readonly #tokens = new Map<string, number>();

  constructor(keys: 'any' | readonly string[], clock: Clock) {
    this.#keys = keys === 'any' ? 'any' : new Set(keys);
    this.#clock = clock;
  }

  /** Tokens that have not ended. */
  get tokens(): number {
    this.#forgetEnded();
    return this.#tokens.size;
  }

  judge(credential: string | undefined): Credential {
    if (credential === undefined) return 'unknown';
    const endsAtMs = this.#tokens.get(credential);
    if (endsAtMs !== undefined) return endsAtMs > this.#nowMs() ? 'token' : 'unknown';
    if (this.#keys !== 'any') return this.#keys.has(credential) ? 'key' : 'unknown';
    return credential.startsWith(TOKEN_PREFIX) ? 'unknown' : 'key';
  }

  /** @param search `expire_in_seconds`, 1 to 1800, by default 60 */
  createToken(search: URLSearchParams): Outcome {
    const asked = query.safeParse(Object.fromEntries(search));
    if (!asked.success) return invalid(asked.error);
    if (this.tokens >= TOKENS_MAX) {
      const message = 'Requests rate limit exceeded, please try again later.';
      return { kind: 'refused', status: 429, code: 'Throttling.RateQuota', message };
    }
    const token = `${TOKEN_PREFIX}${randomBytes(16).toString('hex')}`;
    const endsAt = Math.floor(this.#nowMs() / 1000) + asked.data.expire_in_seconds;
    this.#tokens.set(token, endsAt * 1000);
    return { kind: 'done', output: { token, expires_at: endsAt } };
  }

  #forgetEnded(): void {
    const nowMs = this.#nowMs();
    for (const [token, endsAtMs] of this.#tokens) if (endsAtMs <= nowMs) this.#tokens.delete(token);
  }

  #nowMs(): number {
    return this.#clock.wallTime().getTime();
  }
}
