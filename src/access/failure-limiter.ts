const WINDOW_MS = 60_000;
/** Wrong credentials that one address may send in a window. */
const FAILURES_MAX = 60;
/** Beyond it, the address that failed first is forgotten. */
const ADDRESSES_MAX = 10_000;

/** Keeps guessing slow: an address that failed too often is not listened to until the minute is over. */
export class FailureLimiter {
  readonly #failures = new Map<string, { count: number; readonly untilMs: number }>();

  isLocked(address: string, nowMs: number): boolean {
    const seen = this.#failures.get(address);
    return seen !== undefined && seen.untilMs > nowMs && seen.count >= FAILURES_MAX;
  }

  add(address: string, nowMs: number): void {
    const seen = this.#failures.get(address);
    if (seen !== undefined && seen.untilMs > nowMs) {
      seen.count += 1;
      return;
    }
    this.#failures.delete(address);
    this.#failures.set(address, { count: 1, untilMs: nowMs + WINDOW_MS });
    if (this.#failures.size > ADDRESSES_MAX) this.#failures.delete(this.#failures.keys().next().value!);
  }
}
