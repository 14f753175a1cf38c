import type { Principal } from '../access/principal.ts';
import { stillHold } from '../access/still-hold.ts';
import type { Clock } from '../clock.ts';
import { CallscribeError, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Queryable } from '../store/pool.ts';

export interface StreamLimits {
  /** Streams that may be open in this process. */
  readonly max: number;
  readonly maxPerCredential: number;
  /** How often it is looked whether credentials still hold. */
  readonly checkEveryMs: number;
}

/** What one open stream takes up. */
export interface StreamPlace {
  /** Told once, where the credential holds no more. */
  onRevoked: () => void;
  /** May be called twice. */
  readonly free: () => void;
}

export interface OpenStreamsOptions {
  readonly limits: StreamLimits;
  readonly pool: Queryable;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** When it could not be looked so many times in a row, streams end as if they were revoked. */
const CHECKS_FAILED_MAX = 5;

/** Bounds the live streams of this process, and ends those whose credentials hold no more. */
export class OpenStreams {
  readonly #options: OpenStreamsOptions;
  readonly #places = new Map<StreamPlace, Principal>();
  /** By token id. */
  readonly #counts = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  #checksFailed = 0;
  #isChecking = false;

  constructor(options: OpenStreamsOptions) {
    this.#options = options;
    this.#timer = setInterval(() => {
      void this.#check();
    }, options.limits.checkEveryMs);
    this.#timer.unref();
  }

  get count(): number {
    return this.#places.size;
  }

  /** @throws {CallscribeError} TOO_MANY_STREAMS */
  take(principal: Principal): StreamPlace {
    const { tokenId } = principal;
    const { max, maxPerCredential } = this.#options.limits;
    const ofCredential = this.#counts.get(tokenId) ?? 0;
    if (ofCredential >= maxPerCredential) {
      throw this.#refusal(`this credential has ${ofCredential} live streams open and may have no more`);
    }
    if (this.#places.size >= max) {
      throw this.#refusal(`this process has ${this.#places.size} live streams open and takes no more`);
    }
    const place: StreamPlace = {
      onRevoked: () => undefined,
      free: () => {
        if (!this.#places.delete(place)) return;
        const left = (this.#counts.get(tokenId) ?? 1) - 1;
        if (left === 0) this.#counts.delete(tokenId);
        else this.#counts.set(tokenId, left);
      },
    };
    this.#places.set(place, principal);
    this.#counts.set(tokenId, ofCredential + 1);
    return place;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #refusal(found: string): CallscribeError {
    this.#options.metrics.apiRefusals.inc({ reason: 'TOO_MANY_STREAMS' });
    return new CallscribeError(
      'TOO_MANY_STREAMS',
      `${found}: close those that nobody reads (one stream may follow all calls), or ask again later`,
    );
  }

  /** Never rejects. */
  async #check(): Promise<void> {
    if (this.#isChecking || this.#places.size === 0) return;
    this.#isChecking = true;
    const { pool, logger, clock } = this.#options;
    const looked = [...this.#places];
    try {
      const principals = looked.map(([, principal]) => principal);
      const holding = await stillHold(pool, principals, clock.wallTime());
      this.#checksFailed = 0;
      for (const [place, principal] of looked) if (!holding.has(principal)) place.onRevoked();
    } catch (error) {
      this.#checksFailed += 1;
      logger.warn({ err: toError(error) }, 'it is not known whether the tokens of live streams still hold');
      if (this.#checksFailed >= CHECKS_FAILED_MAX) for (const [place] of looked) place.onRevoked();
    } finally {
      this.#isChecking = false;
    }
  }
}
