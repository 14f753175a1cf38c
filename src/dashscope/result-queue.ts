export interface ResultQueueOptions<T> {
  /** Whether `newer` takes the place of `waiting`, which nobody has read yet. */
  readonly replaces: (newer: T, waiting: T) => boolean;
  /** The reader left before the end. */
  readonly onAbandoned: () => void;
}

/**
 * What goes to one reader, in order, then the end or the error. What nobody has read yet may be replaced by what comes
 * next, so that a slow reader is served the newest and the queue grows by finals only.
 */
export class ResultQueue<T> implements AsyncIterable<T> {
  readonly #options: ResultQueueOptions<T>;
  #waiting: T[] = [];
  #end: { readonly error: Error | undefined } | undefined;
  #wake: (() => void) | undefined;
  #taken = false;

  constructor(options: ResultQueueOptions<T>) {
    this.#options = options;
  }

  get length(): number {
    return this.#waiting.length;
  }

  push(item: T): void {
    if (this.#end !== undefined) return;
    const last = this.#waiting.at(-1);
    if (last !== undefined && this.#options.replaces(item, last)) this.#waiting.pop();
    this.#waiting.push(item);
    this.#wake?.();
  }

  /** What waits is still read; then the iteration ends, or rejects with `error`. Only the first call counts. */
  end(error: Error | undefined): void {
    this.#end ??= { error };
    this.#wake?.();
  }

  /** @throws {TypeError} for a second reader: each item goes to one only */
  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    if (this.#taken) throw new TypeError('results have one reader, and are already being read');
    this.#taken = true;
    return this.#read();
  }

  async *#read(): AsyncGenerator<T, undefined> {
    try {
      for (;;) {
        const item = this.#waiting.shift();
        if (item !== undefined) yield item;
        else if (this.#end === undefined) await this.#more();
        else if (this.#end.error === undefined) return undefined;
        else throw this.#end.error;
      }
    } finally {
      if (this.#end === undefined) this.#options.onAbandoned();
    }
  }

  async #more(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }
}
