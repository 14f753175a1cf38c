import { type Clock, systemClock } from '../clock.ts';
import { toError } from '../errors.ts';
import type { ApiKey } from './connection.ts';
import { checkSeconds, createTemporaryToken, type TokenOptions } from './token.ts';

export interface TokenProviderOptions extends Omit<TokenOptions, 'signal'> {
  /** The permanent key that tokens are made with. */
  readonly apiKey: ApiKey;
  /** Told each time a renewal fails while the token before still holds. Default: nobody. */
  readonly onRenewalFailed?: ((error: Error) => void) | undefined;
  readonly clock?: Clock | undefined;
}

interface Held {
  readonly token: string;
  /** Monotonic: from here on a new one is asked for; later than this, it is still good. */
  readonly renewAtMs: number;
  /** Monotonic: from here on it is not given out, since a handshake takes its time. */
  readonly endsAtMs: number;
}

/** A renewal begins when a quarter of the life is left. */
const RENEW_AT_SHARE = 0.75;
/** What a handshake may take; of a very short life at most a tenth. */
const HANDSHAKE_MS = 5_000;
/** After a failed renewal, the next is not tried before. */
const RETRY_MS = 1_000;

/**
 * Temporary tokens for connections: `apiKey: provider.apiKey`. A token is kept as long as it holds; near its end it
 * is still given out at once while one request, shared by all, fetches the next. Only where none holds does the caller
 * wait, and get the error if there is none to be had. No timer, so nothing to close: it works when it is asked.
 */
export class TokenProvider {
  /** For `apiKey` of a connection: asked for each new one. */
  readonly apiKey: () => Promise<string>;
  readonly #options: TokenProviderOptions;
  readonly #clock: Clock;
  #held: Held | undefined;
  #renewing: Promise<Held> | undefined;
  #retryAtMs = -Infinity;

  /** @throws {DashScopeUsageError} `expireInSeconds` is out of its range */
  constructor(options: TokenProviderOptions) {
    checkSeconds(options.expireInSeconds);
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.apiKey = () => this.token();
  }

  /** @throws {DashScopeError} no token holds, and none could be had */
  async token(): Promise<string> {
    const nowMs = this.#clock.monotonicMs();
    const held = this.#held;
    if (held === undefined || nowMs >= held.endsAtMs) return (await this.#renew()).token;
    if (nowMs >= held.renewAtMs && nowMs >= this.#retryAtMs) {
      this.#renew().catch((thrown: unknown) => {
        this.#retryAtMs = this.#clock.monotonicMs() + RETRY_MS;
        this.#options.onRenewalFailed?.(toError(thrown));
      });
    }
    return held.token;
  }

  #renew(): Promise<Held> {
    this.#renewing ??= this.#request().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #request(): Promise<Held> {
    const askedAtMs = this.#clock.monotonicMs();
    const { token, lifetimeMs } = await createTemporaryToken(this.#options);
    const held = {
      token,
      renewAtMs: askedAtMs + lifetimeMs * RENEW_AT_SHARE,
      endsAtMs: askedAtMs + lifetimeMs - Math.min(HANDSHAKE_MS, lifetimeMs / 10),
    };
    this.#held = held;
    return held;
  }
}
