/** What comes out of order is kept up to that number; what is beyond it is read from its row later. */
const HELD_MAX = 500;

/** Puts numbered things in order: each number once, none before the one below it. */
export class Lane<T> {
  #doneNo: number;
  /** The highest number that is known to exist. */
  #knownNo: number;
  readonly #held = new Map<number, T>();

  /** @param doneNo the last number that is not wanted any more */
  constructor(doneNo: number) {
    this.#doneNo = doneNo;
    this.#knownNo = doneNo;
  }

  /** The last number that was given out. */
  get doneNo(): number {
    return this.#doneNo;
  }

  /** Whether something is known to exist that was not given out. */
  get isBehind(): boolean {
    return this.#knownNo > this.#doneNo;
  }

  /** Takes one, in any order and any number of times; give out what is due by {@link take}. */
  put(no: number, thing: T): void {
    this.know(no);
    if (no > this.#doneNo && (this.#held.size < HELD_MAX || no === this.#doneNo + 1)) {
      this.#held.set(no, thing);
    }
  }

  /** So many are known to exist. */
  know(no: number): void {
    this.#knownNo = Math.max(this.#knownNo, no);
  }

  /** What is due, in order. */
  take(): readonly T[] {
    const due: T[] = [];
    for (;;) {
      const next = this.#held.get(this.#doneNo + 1);
      if (next === undefined) return due;
      due.push(next);
      this.#doneNo += 1;
      this.#held.delete(this.#doneNo);
    }
  }

  /** What is missing will never come: the next one that is there is due. */
  passHole(): void {
    const next = Math.min(...this.#held.keys());
    if (Number.isFinite(next)) this.#doneNo = next - 1;
    else this.#doneNo = this.#knownNo;
  }

  /** Everything after that number is wanted again. */
  goBack(doneNo: number): void {
    this.#doneNo = Math.min(this.#doneNo, doneNo);
  }
}
