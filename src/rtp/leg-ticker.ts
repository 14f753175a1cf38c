import type { Clock } from '../clock.ts';

const INTERVAL_MS = 100;
/** A tick so much behind its time says that the process stood still, not the network. */
const STALL_MS = 50;

export interface Ticked {
  /** Must not throw. */
  tick(nowMs: number): void;
}

/**
 * One timer for all legs of a process; it runs while there are legs. Promise: a leg is ticked only when the
 * datagrams that came before could be read. Timers run before sockets are read, and a leg would take our own stall
 * for the sender's pause; so a tick that is overdue by 50 ms comes after the next reading of the sockets, which takes
 * up to 32 datagrams from each.
 */
export class LegTicker {
  readonly #clock: Clock;
  readonly #legs = new Set<Ticked>();
  #timer: NodeJS.Timeout | undefined;
  #belated: NodeJS.Immediate | undefined;
  #lastMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(leg: Ticked): void {
    this.#legs.add(leg);
    if (this.#timer !== undefined) return;
    this.#lastMs = this.#clock.monotonicMs();
    this.#timer = setInterval(() => {
      this.#tick();
    }, INTERVAL_MS);
  }

  remove(leg: Ticked): void {
    this.#legs.delete(leg);
    if (this.#legs.size > 0) return;
    clearInterval(this.#timer);
    clearImmediate(this.#belated);
    this.#timer = undefined;
    this.#belated = undefined;
  }

  #tick(): void {
    const nowMs = this.#clock.monotonicMs();
    const sinceMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    if (sinceMs <= INTERVAL_MS + STALL_MS) this.#tickLegs(nowMs);
    else {
      this.#belated ??= setImmediate(() => {
        this.#belated = undefined;
        this.#tickLegs(this.#clock.monotonicMs());
      });
    }
  }

  #tickLegs(nowMs: number): void {
    for (const leg of this.#legs) leg.tick(nowMs);
  }
}
