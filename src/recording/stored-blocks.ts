import type { FileHandle } from 'node:fs/promises';

import { CallscribeError } from '../errors.ts';
import type { BlockIndex } from './block-index.ts';
import {
  BLOCK_HEADER_BYTES,
  BLOCK_MAGIC,
  FILE_HEADER_BYTES,
  isWhole,
  PAYLOAD_MAX_BYTES,
  readBlockHeader,
} from './container.ts';
import type { Block } from './replayed-audio.ts';
import type { LegSeal } from './seal.ts';

const WINDOW_BYTES = 32_768;

/** A block and where the next one is expected. */
interface Found {
  readonly block: Block;
  readonly nextOffset: number;
}

/**
 * The blocks of a leg's file, found by sample index. What is damaged is skipped: reading goes on with the next block
 * that is whole, and the stretch between is missing.
 */
export class StoredBlocks {
  readonly #file: () => Promise<FileHandle>;
  readonly #seal: LegSeal | undefined;
  readonly #index: BlockIndex;
  /** Where the block behind the last one that was read begins. */
  #hint = { sample: 0, offset: FILE_HEADER_BYTES };
  /** A piece of the file, read at once. */
  #window = Buffer.alloc(0);
  #windowOffset = 0;
  /** After `all`: bytes that belong to no whole block. */
  damagedBytes = 0;

  /** @param file asked for each piece that is read; what it throws, reading throws */
  constructor(file: () => Promise<FileHandle>, index: BlockIndex, seal: LegSeal | undefined) {
    this.#file = file;
    this.#index = index;
    this.#seal = seal;
  }

  /**
   * The first block that ends behind `sample`.
   *
   * @throws {CallscribeError} RECORDING_STORAGE, RECORDING_KEY
   */
  async blockBehind(sample: number): Promise<Block | undefined> {
    const indexed = this.#index.offsetOf(sample);
    let offset = this.#hint.sample <= sample && this.#hint.offset > indexed ? this.#hint.offset : indexed;
    for (;;) {
      const found = await this.#next(offset);
      if (found === undefined) return undefined;
      offset = found.nextOffset;
      const { beginSample, samples } = found.block;
      if (beginSample + samples <= sample) continue;
      this.#hint = { sample: beginSample + samples, offset };
      return found.block;
    }
  }

  /** Every block in order, noting where they are. */
  async *all(): AsyncGenerator<Block, undefined> {
    this.damagedBytes = this.#index.endOffset - FILE_HEADER_BYTES;
    for (let offset = FILE_HEADER_BYTES; ;) {
      const found = await this.#next(offset);
      if (found === undefined) return;
      this.damagedBytes -= found.storedBytes;
      this.#index.note(found.block.beginSample, found.nextOffset - found.storedBytes);
      offset = found.nextOffset;
      yield found.block;
    }
  }

  /** The first whole block at or behind an offset. */
  async #next(fromOffset: number): Promise<(Found & { readonly storedBytes: number }) | undefined> {
    for (let offset = fromOffset; offset + BLOCK_HEADER_BYTES <= this.#index.endOffset;) {
      const head = await this.#bytes(offset, BLOCK_HEADER_BYTES);
      const header = readBlockHeader(head);
      const storedBytes = BLOCK_HEADER_BYTES + (header?.payloadBytes ?? 0);
      if (header !== undefined && offset + storedBytes <= this.#index.endOffset) {
        const stored = await this.#bytes(offset, storedBytes);
        if (stored.length === storedBytes && isWhole(stored)) {
          const payload =
            this.#seal?.open(stored, header.blockNo) ?? Buffer.from(stored.subarray(BLOCK_HEADER_BYTES));
          const { beginSample, samples } = header;
          return { block: { beginSample, samples, payload }, nextOffset: offset + storedBytes, storedBytes };
        }
      }
      offset = await this.#nextMagic(offset + 1);
    }
    return undefined;
  }

  /** Where the next block may begin; the file's end where none may. */
  async #nextMagic(fromOffset: number): Promise<number> {
    for (let offset = fromOffset; offset < this.#index.endOffset;) {
      const bytes = await this.#bytes(offset, PAYLOAD_MAX_BYTES);
      const at = bytes.indexOf(BLOCK_MAGIC);
      if (at >= 0) return offset + at;
      if (bytes.length < BLOCK_MAGIC.length) break;
      offset += bytes.length - BLOCK_MAGIC.length + 1;
    }
    return this.#index.endOffset;
  }

  /** On loan until the next call. Fewer where the blocks end. */
  async #bytes(offset: number, wanted: number): Promise<Buffer> {
    const length = Math.min(wanted, this.#index.endOffset - offset);
    const at = offset - this.#windowOffset;
    if (at >= 0 && at + length <= this.#window.length) return this.#window.subarray(at, at + length);
    const window = Buffer.allocUnsafe(
      Math.min(Math.max(WINDOW_BYTES, length), this.#index.endOffset - offset),
    );
    const file = await this.#file();
    let read = 0;
    while (read < window.length) {
      const { bytesRead } = await file
        .read(window, read, window.length - read, offset + read)
        .catch((error: unknown) => {
          throw new CallscribeError('RECORDING_STORAGE', 'recorded leg: its file cannot be read', {
            cause: error,
            retryable: true,
          });
        });
      if (bytesRead === 0) break;
      read += bytesRead;
    }
    this.#window = window.subarray(0, read);
    this.#windowOffset = offset;
    return this.#window.subarray(0, length);
  }
}
