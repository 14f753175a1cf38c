import { randomBytes } from 'node:crypto';

import type { Clock } from '../clock.ts';
import { type DigestAuthentication, type DigestCredentials, DigestVerifier } from './digest.ts';
import { SourceLimiter, type SourceLimiterOptions } from './source-limiter.ts';
import { TokenBucket } from './token-bucket.ts';
import type { TurnedAwayReason } from './turned-away.ts';

export interface InviteGateOptions {
  /** New calls a second; so many may also come at once. */
  readonly callsPerSecond: number;
  /** Asked of callers; recording sessions are taken from every peer that is served. Undefined: nobody is asked. */
  readonly digest: DigestAuthentication | undefined;
  /** Shared by the processes behind one SIP edge, so that each takes the nonces of the others. */
  readonly nonceKey: string | Uint8Array;
  readonly onTurnedAway: (reason: TurnedAwayReason) => void;
  readonly clock: Clock;
}

/** What the gate looks at. */
export interface InviteCredentials {
  readonly method: string;
  readonly peerAddress: string;
  /** As the library read them, each with its `scheme`; none where there were none. */
  readonly authorization: readonly Readonly<Record<string, string>>[] | 'unreadable';
}

export type GateVerdict =
  | { readonly kind: 'pass' }
  | {
      readonly kind: 'refuse';
      readonly status: 400 | 401 | 403;
      readonly headers?: Readonly<Record<string, string>>;
    };

/** Wrong credentials that are told so; whoever goes on guessing gets 403 for a while, right or wrong. */
const GUESSES: SourceLimiterOptions = {
  source: { perSecond: 0.2, burst: 10 },
  total: { perSecond: 100, burst: 200 },
  sourcesMax: 10_000,
};

/** What an INVITE that asks for a new call must pass before anything is done for it. */
export class InviteGate {
  readonly #options: InviteGateOptions;
  readonly #rate: TokenBucket;
  readonly #verifier: DigestVerifier | undefined;
  readonly #guesses: SourceLimiter;

  constructor(options: InviteGateOptions) {
    const { callsPerSecond, digest, nonceKey, clock } = options;
    this.#options = options;
    const nowMs = clock.monotonicMs();
    this.#rate = new TokenBucket({ perSecond: callsPerSecond, burst: callsPerSecond }, nowMs);
    this.#verifier = digest === undefined ? undefined : new DigestVerifier({ ...digest, key: nonceKey });
    this.#guesses = new SourceLimiter(GUESSES, nowMs);
  }

  /** Whether one more call may begin now; takes its place. */
  takeCall(): boolean {
    const taken = this.#rate.take(this.#options.clock.monotonicMs());
    if (!taken) this.#options.onTurnedAway('calls_per_second');
    return taken;
  }

  /** Who is calling: only asked of a plain call. */
  authenticate(invite: InviteCredentials): GateVerdict {
    const verifier = this.#verifier;
    if (verifier === undefined) return { kind: 'pass' };
    const { authorization } = invite;
    if (authorization === 'unreadable') return { kind: 'refuse', status: 400 };
    const credentials = authorization.map(readCredentials).find((given) => given['realm'] === verifier.realm);
    if (credentials === undefined) return this.#challenge(verifier, 'first');
    const { clock, onTurnedAway } = this.#options;
    if (!this.#guesses.has(invite.peerAddress, clock.monotonicMs())) {
      onTurnedAway('guessing');
      return { kind: 'refuse', status: 403 };
    }
    const verdict = verifier.verify(credentials, {
      method: invite.method,
      nowMs: clock.wallTime().getTime(),
    });
    switch (verdict) {
      case 'fresh':
        return { kind: 'pass' };
      case 'absent':
        return this.#challenge(verifier, 'first');
      case 'stale':
        return this.#challenge(verifier, 'stale');
      case 'wrong':
        this.#guesses.take(invite.peerAddress, clock.monotonicMs());
        onTurnedAway('credentials');
        return this.#challenge(verifier, 'first');
    }
  }

  #challenge(verifier: DigestVerifier, why: 'first' | 'stale'): GateVerdict {
    const values = verifier.challenge({
      nowMs: this.#options.clock.wallTime().getTime(),
      salt: randomBytes(9).toString('base64url'),
      stale: why === 'stale',
    });
    // drachtio-srf has one value a name, and joins several with commas, which no client could take apart here.
    return {
      kind: 'refuse',
      status: 401,
      headers: { 'WWW-Authenticate': values.join('\r\nWWW-Authenticate: ') },
    };
  }
}

function readCredentials(parsed: Readonly<Record<string, string>>): DigestCredentials {
  if (parsed['scheme']?.toLowerCase() !== 'digest') return {};
  return Object.fromEntries(
    Object.entries(parsed).map(([name, value]) => [
      name.toLowerCase(),
      /^".*"$/s.test(value) ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value,
    ]),
  );
}
