import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose';
import { z } from 'zod';

import { CallscribeError, toError } from '../errors.ts';
import { isScope, type Principal } from './principal.ts';

export interface OidcOptions {
  /** As in the claim `iss`; below it is `/.well-known/openid-configuration`. */
  readonly issuer: string;
  /** As in the claim `aud`. */
  readonly audience: string;
  /** The claim that names the only tenant; its value `*` stands for all of them. */
  readonly tenantClaim: string;
}

/** Scopes of an issuer belong to many services; ours are `callscribe:read` and so on. */
const SCOPE_PREFIX = 'callscribe:';
/** Signatures that need no secret of ours. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const FETCH_MAX_MS = 5_000;
/** Clocks of two machines are so far apart at most. */
const CLOCK_TOLERANCE_SECONDS = 30;

const discoverySchema = z.object({ issuer: z.string(), jwks_uri: z.url() });

export const looksLikeJwt = (text: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text);

/** Access tokens (JWT) of one OpenID Connect issuer. */
export class OidcTokens {
  readonly #options: OidcOptions;
  #keys: Promise<ReturnType<typeof createRemoteJWKSet>> | undefined;

  constructor(options: OidcOptions) {
    this.#options = options;
  }

  /**
   * @returns undefined for a token that is not the issuer's, has expired, or names no tenant
   * @throws {CallscribeError} NOT_READY where the issuer's keys cannot be had
   */
  async find(token: string): Promise<Principal | undefined> {
    const { issuer, audience } = this.#options;
    const keys = await this.#openKeys();
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        requiredClaims: ['exp', 'sub'],
      });
      return this.#principalOf(payload);
    } catch (thrown) {
      if (thrown instanceof errors.JOSEError && !isKeysAway(thrown)) return undefined;
      throw keysAway(thrown);
    }
  }

  /** Found by discovery once; a failed attempt is made again by the next request. */
  #openKeys(): Promise<ReturnType<typeof createRemoteJWKSet>> {
    this.#keys ??= this.#discover().catch((error: unknown) => {
      this.#keys = undefined;
      throw keysAway(error);
    });
    return this.#keys;
  }

  async #discover(): Promise<ReturnType<typeof createRemoteJWKSet>> {
    const { issuer } = this.#options;
    const response = await fetch(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, {
      signal: AbortSignal.timeout(FETCH_MAX_MS),
      redirect: 'error',
    });
    if (!response.ok) throw new Error(`discovery answered ${response.status}`);
    const found = discoverySchema.parse(await response.json());
    if (found.issuer !== issuer) throw new Error('discovery names another issuer');
    return createRemoteJWKSet(new URL(found.jwks_uri), { timeoutDuration: FETCH_MAX_MS });
  }

  #principalOf(payload: JWTPayload): Principal | undefined {
    const tenant = payload[this.#options.tenantClaim];
    if (typeof tenant !== 'string' || tenant === '' || payload.sub === undefined) return undefined;
    return {
      kind: 'oidc',
      tokenId: `oidc:${payload.sub}`,
      name: payload.sub,
      tenant: tenant === '*' ? undefined : tenant,
      scopes: scopeNames(payload).filter(isScope),
      requestsPerMinute: undefined,
      expiresAt: payload.exp === undefined ? undefined : new Date(payload.exp * 1_000),
    };
  }
}

/** RFC 8693 §4.2 has them in one text; some issuers in a list. */
function scopeNames({ scope, scp }: JWTPayload & { readonly scp?: unknown }): readonly string[] {
  const claim: unknown = scope ?? scp;
  const names: readonly unknown[] =
    typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : [];
  return names.flatMap((name) =>
    typeof name === 'string' && name.startsWith(SCOPE_PREFIX) ? [name.slice(SCOPE_PREFIX.length)] : [],
  );
}

/** What says nothing about the token. */
const isKeysAway = (error: errors.JOSEError): boolean =>
  error instanceof errors.JWKSTimeout ||
  error instanceof errors.JWKSInvalid ||
  error.constructor === errors.JOSEError;

function keysAway(thrown: unknown): CallscribeError {
  if (thrown instanceof CallscribeError) return thrown;
  return new CallscribeError('NOT_READY', 'the keys of the OIDC issuer cannot be had now; see OIDC_ISSUER', {
    cause: toError(thrown),
    retryable: true,
  });
}
