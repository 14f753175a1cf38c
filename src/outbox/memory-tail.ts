import type { Entry } from './record.ts';

const costOf = (entry: Entry): number => entry.text.length * 2 + 64;

/** The newest entries, without a gap up to the last one, so that what is read soon is not read from disk. */
export class MemoryTail {
  #entries: Entry[] = [];
  #first = 0;
  #bytes = 0;

  /** Some bytes; two a character. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The number of the oldest entry; undefined where there is none. */
  get firstNo(): number | undefined {
    return this.#entries[this.#first]?.no;
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
    this.#bytes += costOf(entry);
  }

  /** Up to `maxEntries` from a number on; none where that number is older than the oldest. */
  from(no: number, maxEntries: number): readonly Entry[] {
    const firstNo = this.firstNo;
    if (firstNo === undefined || no < firstNo) return [];
    const at = this.#first + (no - firstNo);
    return this.#entries.slice(at, at + maxEntries);
  }

  /** Forgets the entries below a number. */
  dropBelow(no: number): void {
    for (let entry = this.#entries[this.#first]; entry !== undefined && entry.no < no;) {
      this.#bytes -= costOf(entry);
      this.#first += 1;
      entry = this.#entries[this.#first];
    }
    if (this.#first === this.#entries.length) {
      this.#entries = [];
      this.#first = 0;
    } else if (this.#first > 1_024 && this.#first * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }
}
