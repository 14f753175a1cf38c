import type { Logger } from '../log.ts';

/**
 * Why something did not become a call or an answer: a closed list, since each is a label of a counter.
 * `address`: outside SIP_ALLOW; `rate`: the same, more often than we answer; `connections`: too many at once; `tls`: no
 * handshake; `frame`: a message too long or without end; `headers`: more header lines than are read; `unfinished`: a
 * message begun and not finished; `calls_per_second`: more new calls than configured; `credentials`: wrong ones;
 * `guessing`: more wrong ones from an address than are looked at.
 */
export type TurnedAwayReason =
  | 'address'
  | 'rate'
  | 'connections'
  | 'tls'
  | 'frame'
  | 'headers'
  | 'unfinished'
  | 'calls_per_second'
  | 'credentials'
  | 'guessing';

export interface TurnedAwayOptions {
  readonly count: (reason: TurnedAwayReason) => void;
  readonly logger: Logger;
  readonly reportEveryMs?: number;
}

const REPORT_EVERY_MS = 60_000;

/** Counts what is turned away, and writes one line of log a minute about it, however much it is. */
export class TurnedAway {
  readonly #options: TurnedAwayOptions;
  readonly #timer: NodeJS.Timeout;
  #sinceReport: Partial<Record<TurnedAwayReason, number>> = {};

  constructor(options: TurnedAwayOptions) {
    this.#options = options;
    this.#timer = setInterval(() => {
      this.#report();
    }, options.reportEveryMs ?? REPORT_EVERY_MS);
    this.#timer.unref();
  }

  note(reason: TurnedAwayReason): void {
    this.#sinceReport[reason] = (this.#sinceReport[reason] ?? 0) + 1;
    this.#options.count(reason);
  }

  #report(): void {
    if (Object.keys(this.#sinceReport).length === 0) return;
    this.#options.logger.warn({ turnedAway: this.#sinceReport }, 'SIP turned away since the last report');
    this.#sinceReport = {};
  }

  /** Says what was not said yet. */
  close(): void {
    clearInterval(this.#timer);
    this.#report();
  }
}
