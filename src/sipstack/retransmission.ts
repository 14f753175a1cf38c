/**
 * Sends again and again until stopped: first after `firstMs`, then at twice the interval, which grows up to `maxMs`.
 * Timers A, E and G of RFC 3261 §17 and the 2xx retransmission of §13.3.1.4, none of which sip.js 0.21.2 runs.
 */
export class Retransmission {
  readonly #maxMs: number;
  readonly #resend: () => void;
  #intervalMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { readonly firstMs: number; readonly maxMs: number; readonly resend: () => void }) {
    this.#intervalMs = options.firstMs;
    this.#maxMs = options.maxMs;
    this.#resend = options.resend;
    this.#arm();
  }

  #arm(): void {
    this.#timer = setTimeout(() => {
      this.#intervalMs = Math.min(2 * this.#intervalMs, this.#maxMs);
      this.#arm();
      this.#resend();
    }, this.#intervalMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
