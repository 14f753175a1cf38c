import type { Call } from './call.ts';

/** The calls in progress: the leg limit, and the drain at shutdown. */
export class CallRegistry {
  readonly #calls = new Set<Call>();
  readonly #maxLegs: number;
  #draining = false;
  #whenEmpty: (() => void) | undefined;

  constructor(maxLegs: number) {
    this.#maxLegs = maxLegs;
  }

  get draining(): boolean {
    return this.#draining;
  }

  get callCount(): number {
    return this.#calls.size;
  }

  get legCount(): number {
    let legs = 0;
    for (const call of this.#calls) legs += call.legCount;
    return legs;
  }

  hasRoom(): boolean {
    return this.legCount < this.#maxLegs;
  }

  add(call: Call): void {
    this.#calls.add(call);
  }

  remove(call: Call): void {
    this.#calls.delete(call);
    if (this.#calls.size === 0) this.#whenEmpty?.();
  }

  /**
   * Takes no more calls and waits for the current ones; those that still go on after `timeoutMs` are ended by
   * us. Resolves when the last one is closed and its BYE answered or given up.
   */
  async drain(timeoutMs: number): Promise<void> {
    this.#draining = true;
    if (this.#calls.size === 0) return;
    const empty = new Promise<void>((resolve) => {
      this.#whenEmpty = resolve;
    });
    const goodbyes: Promise<void>[] = [];
    const timer = setTimeout(() => {
      for (const call of this.#calls) goodbyes.push(call.hangUp('drained'));
    }, timeoutMs);
    await empty;
    clearTimeout(timer);
    await Promise.all(goodbyes);
  }
}
