import type { Clock } from '../clock.ts';
import { CallscribeError } from '../errors.ts';
import { type Pool, toStoreError } from '../store/pool.ts';
import { ApiTokens, isStoredToken } from './api-tokens.ts';
import { type EnvironmentToken, findEnvironmentToken } from './environment-tokens.ts';
import { FailureLimiter } from './failure-limiter.ts';
import { isFromThisMachine, LOOPBACK_PRINCIPAL, type RequestOrigin } from './loopback.ts';
import { looksLikeJwt, type OidcOptions, OidcTokens } from './oidc.ts';
import type { Principal } from './principal.ts';
import { redeemTicket } from './tickets.ts';

/** What a request shows of who sent it. */
export interface Credentials extends RequestOrigin {
  /** Of `Authorization: Bearer …`. */
  readonly bearer: string | undefined;
  /** A one-time ticket, on routes that take one. */
  readonly ticket: string | undefined;
}

/** @throws {CallscribeError} UNAUTHENTICATED, LOOPBACK_ONLY, TOO_MANY_REQUESTS, NOT_READY, DATABASE_UNREACHABLE */
export type Authenticate = (credentials: Credentials) => Promise<Principal>;

export interface AuthenticateOptions {
  readonly pool: Pool;
  readonly clock: Clock;
  /** Of API_TOKENS. */
  readonly tokens: readonly EnvironmentToken[];
  readonly oidc: OidcOptions | undefined;
}

/** Tells who asks. Without any token configured, that is whoever is on this machine, and nobody else. */
export function createAuthenticate({ pool, clock, tokens, oidc }: AuthenticateOptions): Authenticate {
  const stored = new ApiTokens(pool);
  const issued = oidc === undefined ? undefined : new OidcTokens(oidc);
  const failures = new FailureLimiter();

  const findBearer = async (bearer: string, peerAddress: string): Promise<Principal | undefined> => {
    const nowMs = clock.monotonicMs();
    // Only the secrets that operators thought up can be guessed.
    const isGuess = !isStoredToken(bearer) && !looksLikeJwt(bearer);
    if (isGuess && failures.isLocked(peerAddress, nowMs)) throw locked();
    const principal =
      findEnvironmentToken(tokens, bearer) ??
      (await stored.find(bearer, nowMs)) ??
      (looksLikeJwt(bearer) ? await issued?.find(bearer) : undefined);
    if (principal === undefined && isGuess) failures.add(peerAddress, nowMs);
    return principal;
  };

  const find = async (credentials: Credentials): Promise<Principal | undefined> => {
    const { bearer, ticket, peerAddress } = credentials;
    if (bearer !== undefined) return findBearer(bearer, peerAddress);
    if (ticket !== undefined) return redeemTicket(pool, ticket);
    const isConfigured =
      tokens.length > 0 || issued !== undefined || (await stored.hasAny(clock.monotonicMs()));
    return isConfigured ? undefined : loopback(credentials);
  };

  return async (credentials) => {
    const principal = await find(credentials).catch((thrown: unknown) => {
      throw toStoreError(thrown);
    });
    if (principal === undefined) throw unauthenticated();
    return principal;
  };
}

function loopback(origin: RequestOrigin): Principal {
  if (isFromThisMachine(origin)) return LOOPBACK_PRINCIPAL;
  throw new CallscribeError(
    'LOOPBACK_ONLY',
    'no token is configured, so only programs on the same machine are served, at a loopback address. Make one with ' +
      '`npm run tokens -- create`',
  );
}

function unauthenticated(): CallscribeError {
  return new CallscribeError(
    'UNAUTHENTICATED',
    'send a token that is valid: Authorization: Bearer TOKEN (`npm run tokens` makes one)',
  );
}

function locked(): CallscribeError {
  return new CallscribeError(
    'TOO_MANY_REQUESTS',
    'too many wrong credentials came from this address: ask again in a minute, with a valid one',
  );
}
