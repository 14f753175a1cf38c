import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

import { NonceLedger } from './nonce-ledger.ts';

/** RFC 7616 §3.3, RFC 8760 §2.1. */
export const DIGEST_ALGORITHMS = ['SHA-256', 'MD5'] as const;
export type DigestAlgorithm = (typeof DIGEST_ALGORITHMS)[number];

/** Who may place plain calls, and how it is asked who they are. */
export interface DigestAuthentication {
  readonly realm: string;
  readonly users: readonly { readonly name: string; readonly secret: string }[];
  /** In the order in which they are offered; a client takes the first that it knows (RFC 8760 §2.3). */
  readonly algorithms: readonly DigestAlgorithm[];
}

export interface DigestVerifierOptions extends DigestAuthentication {
  /** Nonces made with the same key are taken by every process that has it. */
  readonly key: string | Uint8Array;
  readonly nonceLifetimeMs?: number;
  /** Nonces whose use is remembered; see {@link NonceLedger}. */
  readonly noncesMax?: number;
}

/** The parameters of an Authorization header by lower-case name, quotes removed. */
export type DigestCredentials = Readonly<Record<string, string>>;

/**
 * `fresh`: the credentials are right. `stale`: they were right, but their nonce is old or its count was there before: the
 * client may try again without asking its user. `wrong`: unknown name, wrong secret, forged nonce. `absent`: none for our
 * realm, or of a kind that we did not ask for.
 */
export type DigestVerdict = 'fresh' | 'stale' | 'wrong' | 'absent';

const HASHES: Readonly<Record<DigestAlgorithm, string>> = { 'SHA-256': 'sha256', MD5: 'md5' };
const NONCE_LIFETIME_MS = 300_000;
const NONCES_MAX = 10_000;

/**
 * Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760) with qop=auth. A nonce is its time and an HMAC over it, so
 * nothing is kept for whoever never comes back; only how far the count of an answered nonce went is remembered, in this
 * process. Pure: time and randomness come in.
 */
export class DigestVerifier {
  readonly #options: DigestVerifierOptions;
  readonly #lifetimeMs: number;
  readonly #ledger: NonceLedger;

  constructor(options: DigestVerifierOptions) {
    this.#options = options;
    this.#lifetimeMs = options.nonceLifetimeMs ?? NONCE_LIFETIME_MS;
    this.#ledger = new NonceLedger({
      lifetimeMs: this.#lifetimeMs,
      noncesMax: options.noncesMax ?? NONCES_MAX,
    });
  }

  get realm(): string {
    return this.#options.realm;
  }

  /** The values of WWW-Authenticate, one for each algorithm. @param salt sets apart nonces of one millisecond */
  challenge(options: { readonly nowMs: number; readonly salt: string; readonly stale: boolean }): string[] {
    const { realm, algorithms } = this.#options;
    const time = Math.floor(options.nowMs).toString(36);
    const nonce = `${time}.${options.salt}.${this.#mac(time, options.salt)}`;
    const stale = options.stale ? ', stale=true' : '';
    return algorithms.map(
      (algorithm) =>
        `Digest realm="${quoted(realm)}", nonce="${nonce}", algorithm=${algorithm}, qop="auth"${stale}`,
    );
  }

  verify(
    given: DigestCredentials,
    request: { readonly method: string; readonly nowMs: number },
  ): DigestVerdict {
    const { realm, users, algorithms } = this.#options;
    const algorithm = algorithms.find((able) => able === (given['algorithm'] ?? 'MD5').toUpperCase());
    const { nonce = '', nc = '', cnonce = '', uri = '', username = '', response = '' } = given;
    const isAnswer = given['realm'] === realm && given['qop'] === 'auth' && /^[0-9a-f]{8}$/i.test(nc);
    if (algorithm === undefined || !isAnswer || cnonce === '') return 'absent';
    const issuedMs = this.#issuedMs(nonce);
    const user = users.find(({ name }) => name === username);
    const hash = (text: string): string => createHash(HASHES[algorithm]).update(text).digest('hex');
    // An unknown name costs as much as a known one.
    const ha1 = hash(`${username}:${realm}:${user?.secret ?? ''}`);
    const ha2 = hash(`${request.method}:${uri}`);
    const expected = hash(`${ha1}:${nonce}:${nc}:${cnonce}:auth:${ha2}`);
    const isRight = isSameText(expected, response.toLowerCase());
    if (!isRight || user === undefined || issuedMs === undefined) return 'wrong';
    return this.#ledger.use({ nonce, issuedMs, count: Number.parseInt(nc, 16), nowMs: request.nowMs });
  }

  /** When we made that nonce; undefined where we did not. */
  #issuedMs(nonce: string): number | undefined {
    const [time = '', salt = '', mac = '', ...more] = nonce.split('.');
    if (more.length > 0 || !/^[0-9a-z]{1,11}$/.test(time)) return undefined;
    return isSameText(mac, this.#mac(time, salt)) ? Number.parseInt(time, 36) : undefined;
  }

  #mac(time: string, salt: string): string {
    const { key, realm } = this.#options;
    return createHmac('sha256', key).update(`${realm}\n${time}\n${salt}`).digest('base64url').slice(0, 27);
  }
}

const quoted = (text: string): string => text.replace(/["\\]/g, '\\$&');

function isSameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
