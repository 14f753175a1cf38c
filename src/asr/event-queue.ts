import type { AsrEvent } from './session.ts';

/**
 * Events on their way to one reader, in order, then the end or the error. A partial that nobody has read yet is
 * replaced by what comes next, so that a slow reader is served the newest text and the queue grows by finals only.
 */
export class AsrEventQueue implements AsyncIterable<AsrEvent> {
  readonly #onAbandoned: () => void;
  #waiting: AsrEvent[] = [];
  #end: { readonly error: Error | undefined } | undefined;
  #wake: (() => void) | undefined;
  #taken = false;

  /** @param onAbandoned the reader left before the end */
  constructor(onAbandoned: () => void) {
    this.#onAbandoned = onAbandoned;
  }

  get waitingEvents(): number {
    return this.#waiting.length;
  }

  push(event: AsrEvent): void {
    if (this.#end !== undefined) return;
    if (this.#waiting.at(-1)?.kind === 'partial' && event.kind !== 'started') this.#waiting.pop();
    this.#waiting.push(event);
    this.#wake?.();
  }

  /** What waits is still read; then the iteration ends, or rejects with `error`. Only the first call counts. */
  end(error: Error | undefined): void {
    this.#end ??= { error };
    this.#wake?.();
  }

  /** @throws {TypeError} for a second reader: each event goes to one only */
  [Symbol.asyncIterator](): AsyncIterator<AsrEvent, undefined> {
    if (this.#taken) throw new TypeError('an ASR session has one reader; its events are already being read');
    this.#taken = true;
    return this.#read();
  }

  async *#read(): AsyncGenerator<AsrEvent, undefined> {
    try {
      for (;;) {
        const event = this.#waiting.shift();
        if (event !== undefined) yield event;
        else if (this.#end === undefined) await this.#more();
        else if (this.#end.error === undefined) return undefined;
        else throw this.#end.error;
      }
    } finally {
      if (this.#end === undefined) this.#onAbandoned();
    }
  }

  async #more(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }
}
