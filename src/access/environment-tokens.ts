import { digestOf, isSameDigest } from './digest.ts';
import { isScope, type Principal, type Scope, SCOPES } from './principal.ts';

/** A token of `API_TOKENS`; only the digest of its secret is kept. */
export interface EnvironmentToken {
  readonly name: string;
  /** SHA-256, hexadecimal. */
  readonly digest: string;
  readonly scopes: readonly Scope[];
}

/**
 * Reads `name:secret[:scope+scope]`. Without scopes it has all of them; it sees all tenants.
 *
 * @returns undefined for anything else
 */
export function parseEnvironmentToken(text: string): EnvironmentToken | undefined {
  const match = /^([\w.-]{1,64}):([^\s:,]+)(?::([a-z]+(?:\+[a-z]+)*))?$/.exec(text);
  const [, name = '', secret = '', scopes] = match ?? [];
  if (match === null) return undefined;
  const named = scopes?.split('+') ?? SCOPES;
  if (!named.every(isScope)) return undefined;
  return { name, digest: digestOf(secret), scopes: [...new Set(named)] };
}

/** The token that has this secret. Takes as long whichever it is, and where there is none. */
export function findEnvironmentToken(
  tokens: readonly EnvironmentToken[],
  secret: string,
): Principal | undefined {
  const digest = digestOf(secret);
  let found: EnvironmentToken | undefined;
  for (const token of tokens) {
    if (isSameDigest(token.digest, digest)) found = token;
  }
  if (found === undefined) return undefined;
  const { name, scopes } = found;
  return {
    kind: 'environment',
    tokenId: `env:${name}`,
    name,
    tenant: undefined,
    scopes,
    requestsPerMinute: undefined,
  };
}
