import { CallscribeError } from '../errors.ts';
import { type EnvironmentToken, findEnvironmentToken } from './environment-tokens.ts';
import { isFromThisMachine, LOOPBACK_PRINCIPAL, type RequestOrigin } from './loopback.ts';
import type { Principal } from './principal.ts';

/** What a request shows of who sent it. */
export interface Credentials extends RequestOrigin {
  /** Of `Authorization: Bearer …`. */
  readonly bearer: string | undefined;
  /** A one-time ticket, on routes that take one. */
  readonly ticket: string | undefined;
}

/** @throws {CallscribeError} UNAUTHENTICATED, LOOPBACK_ONLY, DATABASE_UNREACHABLE */
export type Authenticate = (credentials: Credentials) => Promise<Principal>;

export interface AuthenticateOptions {
  readonly tokens: readonly EnvironmentToken[];
}

/** Tells who asks. Without any token configured, that is whoever is on this machine, and nobody else. */
export function createAuthenticate({ tokens }: AuthenticateOptions): Authenticate {
  return (credentials) => {
    const { bearer } = credentials;
    if (tokens.length === 0) return Promise.resolve(loopback(credentials));
    const principal = bearer === undefined ? undefined : findEnvironmentToken(tokens, bearer);
    if (principal === undefined) throw unauthenticated();
    return Promise.resolve(principal);
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
