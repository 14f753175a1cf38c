import { z } from 'zod';

import { DashScopeUsageError } from './errors.ts';
import { type CallOptions, RestClient, type RestClientOptions } from './rest-client.ts';

/** What may be given away in place of a key: it ends by itself, has the key's rights and cannot be revoked. */
export interface TemporaryToken {
  readonly token: string;
  /** When it ends, by the service's clock. */
  readonly expiresAt: Date;
  /**
   * How long it holds from when it was asked for, in ms: told from the service's own clock, so that ours may be wrong.
   */
  readonly lifetimeMs: number;
}

export interface TokenOptions extends RestClientOptions, CallOptions {
  /** 1 to 1800. Default: 60, as the service's. */
  readonly expireInSeconds?: number | undefined;
}

export const TOKEN_SECONDS_MAX = 1_800;
const TOKEN_SECONDS = 60;

const wireToken = z.object({ token: z.string().min(1), expires_at: z.number().positive() });

/**
 * Asks for a token. Model Studio, "Generate a temporary API key".
 *
 * @throws {DashScopeUsageError} `expireInSeconds` is out of its range; nothing was sent
 * @throws {DashScopeError} as {@link RestClient.request}
 */
export async function createTemporaryToken(options: TokenOptions): Promise<TemporaryToken> {
  const expireInSeconds = checkSeconds(options.expireInSeconds);
  const { value, servedAtMs } = await new RestClient(options).request({
    method: 'POST',
    path: '/tokens',
    query: { expire_in_seconds: expireInSeconds },
    answer: wireToken,
    // A token that nobody heard of ends by itself.
    repeat: 'safe',
    signal: options.signal,
  });
  const expiresAtMs = value.expires_at * 1_000;
  const askedMs = expireInSeconds * 1_000;
  // One page speaks of a fixed 60 s, so what was asked for is only the upper bound.
  const toldMs = servedAtMs === undefined ? askedMs : Math.max(0, expiresAtMs - servedAtMs);
  return {
    token: value.token,
    expiresAt: new Date(expiresAtMs),
    lifetimeMs: Math.min(askedMs, toldMs),
  };
}

/** @throws {DashScopeUsageError} */
export function checkSeconds(expireInSeconds = TOKEN_SECONDS): number {
  if (Number.isInteger(expireInSeconds) && expireInSeconds >= 1 && expireInSeconds <= TOKEN_SECONDS_MAX) {
    return expireInSeconds;
  }
  throw new DashScopeUsageError('a token cannot be asked for like this', [
    {
      parameter: 'expireInSeconds',
      found: String(expireInSeconds),
      allowed: `a whole number from 1 to ${TOKEN_SECONDS_MAX}`,
    },
  ]);
}
