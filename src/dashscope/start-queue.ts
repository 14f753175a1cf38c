import type { Clock } from '../clock.ts';

/** How many run-task a second; the vendor counts 20 for an account, all its keys and processes together. */
export interface StartRate {
  readonly perSecond: number;
  /** How many at once after a pause. Default: 1, so that no second of the clock ever sees more than `perSecond`. */
  readonly burst?: number | undefined;
}

export interface StartQueueOptions {
  readonly rate: StartRate;
  /** Tasks that may wait; beyond it `enter` says `full`. */
  readonly waitingMax: number;
  /** Longest wait; beyond it the entry is told `onTooLong`. */
  readonly waitMaxMs: number;
  readonly clock: Clock;
}

/** One who wants to start a task. */
export interface StartEntry {
  onTurn(): void;
  onTooLong(): void;
}

/** Tasks take turns, first come first served, at the pace of a token bucket. One timer for all. */
export class StartQueue {
  readonly #options: StartQueueOptions;
  readonly #burst: number;
  #waiting: { readonly entry: StartEntry; readonly sinceMs: number }[] = [];
  #tokens: number;
  #filledAtMs: number;
  #timer: NodeJS.Timeout | undefined;
  #counters = { started: 0, waited: 0, waitedMs: 0, waitedMaxMs: 0 };

  constructor(options: StartQueueOptions) {
    this.#options = options;
    this.#burst = options.rate.burst ?? 1;
    this.#tokens = this.#burst;
    this.#filledAtMs = options.clock.monotonicMs();
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Turns given, how many of them had to wait, and for how long, in whole and at most. */
  get counters(): Readonly<{ started: number; waited: number; waitedMs: number; waitedMaxMs: number }> {
    return { ...this.#counters };
  }

  /**
   * @param place `front` for one that had its turn and lost it through no fault of its own; never refused
   * @returns `now`: its turn is taken, and `onTurn` is not called; `full`: it does not wait
   */
  enter(entry: StartEntry, place: 'back' | 'front' = 'back'): 'now' | 'queued' | 'full' {
    const sinceMs = this.#options.clock.monotonicMs();
    this.#fill(sinceMs);
    if (this.#waiting.length === 0 && this.#tokens >= 1) {
      this.#take();
      return 'now';
    }
    if (place === 'front') this.#waiting.unshift({ entry, sinceMs });
    else if (this.#waiting.length >= this.#options.waitingMax) return 'full';
    else this.#waiting.push({ entry, sinceMs });
    this.#arm(sinceMs);
    return 'queued';
  }

  /** Gives up its place; nothing happens where it has none. */
  leave(entry: StartEntry): void {
    this.#waiting = this.#waiting.filter((each) => each.entry !== entry);
    if (this.#waiting.length === 0) this.#disarm();
  }

  /** Empties the queue without telling anyone. */
  clear(): void {
    this.#waiting = [];
    this.#disarm();
  }

  #serve(): void {
    this.#timer = undefined;
    const nowMs = this.#options.clock.monotonicMs();
    this.#fill(nowMs);
    for (let head = this.#waiting[0]; head !== undefined; head = this.#waiting[0]) {
      const waitedMs = nowMs - head.sinceMs;
      if (waitedMs > this.#options.waitMaxMs) {
        this.#waiting.shift();
        head.entry.onTooLong();
        continue;
      }
      if (this.#tokens < 1) break;
      this.#waiting.shift();
      this.#take();
      this.#counters.waited += 1;
      this.#counters.waitedMs += waitedMs;
      this.#counters.waitedMaxMs = Math.max(this.#counters.waitedMaxMs, waitedMs);
      head.entry.onTurn();
    }
    this.#arm(nowMs);
  }

  #take(): void {
    this.#tokens -= 1;
    this.#counters.started += 1;
  }

  #fill(nowMs: number): void {
    const gained = ((nowMs - this.#filledAtMs) * this.#options.rate.perSecond) / 1_000;
    this.#tokens = Math.min(this.#burst, this.#tokens + gained);
    this.#filledAtMs = nowMs;
  }

  #arm(nowMs: number): void {
    const head = this.#waiting[0];
    if (head === undefined || this.#timer !== undefined) return;
    const tokenMs = ((1 - this.#tokens) * 1_000) / this.#options.rate.perSecond;
    const tooLongMs = head.sinceMs + this.#options.waitMaxMs - nowMs;
    this.#timer = setTimeout(
      () => {
        this.#serve();
      },
      // Rounded up, so that the token is there when the timer is.
      Math.ceil(Math.max(1, Math.min(tokenMs, tooLongMs + 1))),
    );
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
