import { systemCode } from '../errors.ts';
import type { Logger } from '../log.ts';

/** Tells of an outage once when it begins and once when it is over, however many attempts fail between. */
export class Outage {
  readonly #logger: Logger;
  readonly #what: { readonly queue?: string; readonly service: string };
  readonly #nowMs: () => number;
  #sinceMs: number | undefined;
  #failures = 0;
  #count = 0;

  constructor(
    logger: Logger,
    what: { readonly queue?: string; readonly service: string },
    nowMs: () => number,
  ) {
    this.#logger = logger;
    this.#what = what;
    this.#nowMs = nowMs;
  }

  /** How many there were, this one included. */
  get count(): number {
    return this.#count;
  }

  get isOn(): boolean {
    return this.#sinceMs !== undefined;
  }

  failed(err: Error): void {
    this.#failures += 1;
    if (this.#sinceMs !== undefined) return;
    this.#sinceMs = this.#nowMs();
    this.#count += 1;
    this.#logger.warn({ ...this.#what, err, code: systemCode(err) }, 'a service is away; jobs wait for it');
  }

  worked(): void {
    if (this.#sinceMs === undefined) return;
    const outageMs = Math.round(this.#nowMs() - this.#sinceMs);
    this.#logger.info({ ...this.#what, outageMs, failures: this.#failures }, 'a service is back');
    this.#sinceMs = undefined;
    this.#failures = 0;
  }
}
