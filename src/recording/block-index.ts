import { FILE_HEADER_BYTES } from './container.ts';

/** A place is remembered every ten seconds: an hour's call takes 6 kB for it. */
const INDEX_EVERY_SAMPLES = 80_000;

/** Where in a leg's file its blocks are, roughly. */
export class BlockIndex {
  readonly #samples: number[] = [];
  readonly #offsets: number[] = [];
  /** Up to where the file holds blocks. */
  endOffset = FILE_HEADER_BYTES;

  /** A block that begins with `beginSample` stands at `offset`. In order. */
  note(beginSample: number, offset: number): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && beginSample < last + INDEX_EVERY_SAMPLES) return;
    this.#samples.push(beginSample);
    this.#offsets.push(offset);
  }

  /** Where the last noted block at or before `sample` begins on the leg; 0 where none is noted. */
  sampleOf(sample: number): number {
    return this.#samples[this.#find(sample)] ?? 0;
  }

  /** The same in the file. */
  offsetOf(sample: number): number {
    return this.#offsets[this.#find(sample)] ?? FILE_HEADER_BYTES;
  }

  /** The last entry at or before `sample`; -1 where there is none. */
  #find(sample: number): number {
    let low = 0;
    let high = this.#samples.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#samples[middle]! <= sample) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
