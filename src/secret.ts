/**
 * A value that no log line, error, row or dump shows: it is not enumerable, turns into JSON and text as
 * `[secret]`, and is only given to who asks for it by `reveal`.
 */
export class Secret<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  reveal(): T {
    return this.#value;
  }

  toJSON(): string {
    return '[secret]';
  }

  toString(): string {
    return '[secret]';
  }
}
