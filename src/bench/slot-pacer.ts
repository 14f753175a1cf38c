import type { Clock } from '../clock.ts';

export interface SlotPacerOptions {
  readonly clock: Clock;
  /** Each slot comes once in it. */
  readonly intervalMs: number;
  readonly slots: number;
  /** @param dueMs when the slot should have come, on the clock */
  readonly onSlot: (slot: number, dueMs: number) => void;
}

/**
 * Calls slot 0, 1, 2 … and around again, evenly spread over the interval, for sessions that send at the same pace
 * but not at the same moment. What is due is reckoned from the start, so that lateness never adds up; after a
 * stall the missed slots follow at once. One timer, and no work beside the calls: it stands in both halves of a
 * comparison and must not dominate either.
 */
export class SlotPacer implements Disposable {
  readonly #options: SlotPacerOptions;
  readonly #slotMs: number;
  readonly #startMs: number;
  #done = 0;
  #timer: NodeJS.Timeout | undefined;

  private constructor(options: SlotPacerOptions) {
    this.#options = options;
    this.#slotMs = options.intervalMs / options.slots;
    this.#startMs = options.clock.monotonicMs();
  }

  static start(options: SlotPacerOptions): SlotPacer {
    const pacer = new SlotPacer(options);
    pacer.#arm();
    return pacer;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  #arm(): void {
    const waitMs = this.#dueMs() - this.#options.clock.monotonicMs();
    this.#timer = setTimeout(
      () => {
        this.#run();
      },
      Math.max(0, waitMs),
    );
  }

  #run(): void {
    const nowMs = this.#options.clock.monotonicMs();
    // A timer may ring a fraction of a millisecond early.
    while (this.#timer !== undefined && this.#dueMs() <= nowMs + 1) {
      const dueMs = this.#dueMs();
      const slot = this.#done % this.#options.slots;
      this.#done += 1;
      this.#options.onSlot(slot, dueMs);
    }
    if (this.#timer !== undefined) this.#arm();
  }

  #dueMs(): number {
    return this.#startMs + this.#done * this.#slotMs;
  }
}
