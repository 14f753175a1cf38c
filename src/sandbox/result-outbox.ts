import type { SeededRandom } from '../seeded-random.ts';

export interface OutgoingResult {
  readonly frame: string;
  readonly final: boolean;
}

export interface ResultOutboxOptions {
  /** How late each result goes out; 0 sends at once. */
  readonly delayMs: number;
  /** So many are held back and chosen from at random; 1 keeps the order. */
  readonly window: number;
  readonly random: SeededRandom;
  readonly send: (result: OutgoingResult) => void;
}

/** Beyond it the oldest goes out early, so that a slow outbox stays small. */
const WAITING_MAX = 1_000;

/** The way of a task's results to the socket: straight, unless a fault makes it late or muddles it. */
export class ResultOutbox {
  readonly #options: ResultOutboxOptions;
  readonly #held: OutgoingResult[] = [];
  readonly #waiting: { readonly result: OutgoingResult; readonly timer: NodeJS.Timeout }[] = [];
  #onEmpty: (() => void) | undefined;

  constructor(options: ResultOutboxOptions) {
    this.#options = options;
  }

  /** Results that wait. */
  get length(): number {
    return this.#held.length + this.#waiting.length;
  }

  push(result: OutgoingResult): void {
    const { window } = this.#options;
    if (window <= 1) {
      this.#post(result);
      return;
    }
    this.#held.push(result);
    if (this.#held.length >= window) this.#postAny();
  }

  /** Calls back once everything is out, which may be now. */
  drain(onEmpty: () => void): void {
    while (this.#held.length > 0) this.#postAny();
    if (this.#waiting.length === 0) onEmpty();
    else this.#onEmpty = onEmpty;
  }

  /** What waits is dropped. */
  close(): void {
    for (const { timer } of this.#waiting.splice(0)) clearTimeout(timer);
    this.#held.length = 0;
    this.#onEmpty = undefined;
  }

  #postAny(): void {
    const [result] = this.#held.splice(Math.floor(this.#options.random() * this.#held.length), 1);
    if (result !== undefined) this.#post(result);
  }

  #post(result: OutgoingResult): void {
    const { delayMs, send } = this.#options;
    if (delayMs === 0) {
      send(result);
      return;
    }
    if (this.#waiting.length >= WAITING_MAX) this.#sendOldest();
    const timer = setTimeout(() => {
      this.#sendOldest();
    }, delayMs);
    this.#waiting.push({ result, timer });
  }

  #sendOldest(): void {
    const oldest = this.#waiting.shift();
    if (oldest === undefined) return;
    clearTimeout(oldest.timer);
    this.#options.send(oldest.result);
    if (this.#waiting.length > 0) return;
    const onEmpty = this.#onEmpty;
    this.#onEmpty = undefined;
    onEmpty?.();
  }
}
