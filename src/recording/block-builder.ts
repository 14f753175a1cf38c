import type { G711Law } from '../rtp/payload-map.ts';
import type { FillCause } from '../rtp/timeline.ts';
import { BLOCK_HEADER_BYTES } from './container.ts';
import {
  AUDIO_FRAME_HEADER_BYTES,
  AUDIO_FRAME_SAMPLES_MAX,
  FILL_FRAME_BYTES,
  FRAME,
  LOST_FRAME_BYTES,
  type Mark,
  MARK_FRAME_BYTES,
  MARKS,
} from './frames.ts';

/** With its header. Holds a second of G.711 in packets of 20 ms. */
export const BLOCK_BYTES = 8_192;
/** What sealing adds. */
export const BLOCK_TAIL_BYTES = 16;
const PAYLOAD_END = BLOCK_BYTES - BLOCK_TAIL_BYTES;
const FILL_SAMPLES_MAX = 0xffff_ffff;

/** A payload that is full or due, at its place behind the room for a block's header. */
export interface BuiltBlock {
  /** The whole room, header and tail included; `payloadEnd` is where its payload ends. */
  readonly room: Buffer;
  readonly payloadEnd: number;
  readonly beginSample: number;
  readonly samples: number;
}

export interface BlockBuilderOptions {
  /** Room for one block, of `BLOCK_BYTES`. */
  readonly takeRoom: () => Buffer;
  /** A block is full. Must neither block nor throw. */
  readonly onBlock: (block: BuiltBlock) => void;
}

/**
 * Packs what a leg's media tells into blocks. On the packet path: a packet costs one copy of its codes and three
 * bytes, no allocation.
 */
export class BlockBuilder {
  readonly #options: BlockBuilderOptions;
  #room: Buffer | undefined;
  #at = BLOCK_HEADER_BYTES;
  #beginSample = 0;
  #sample = 0;

  constructor(options: BlockBuilderOptions) {
    this.#options = options;
  }

  /** The leg's next sample. */
  get sample(): number {
    return this.#sample;
  }

  /** Where the block under construction begins. */
  get beginSample(): number {
    return this.#beginSample;
  }

  get isEmpty(): boolean {
    return this.#at === BLOCK_HEADER_BYTES;
  }

  /** The payload so far, on loan until the next call. */
  get payload(): Buffer {
    return this.#room?.subarray(BLOCK_HEADER_BYTES, this.#at) ?? NOTHING;
  }

  audio(law: G711Law, bytes: Uint8Array, begin: number, end: number): void {
    for (let from = begin; from < end;) {
      const samples = Math.min(end - from, AUDIO_SAMPLES_MAX);
      const room = this.#reserve(AUDIO_FRAME_HEADER_BYTES + samples);
      let at = this.#at;
      room[at++] = law === 'PCMU' ? FRAME.PCMU : FRAME.PCMA;
      room[at++] = samples & 0xff;
      room[at++] = samples >> 8;
      for (const to = from + samples; from < to;) room[at++] = bytes[from++]!;
      this.#at = at;
      this.#sample += samples;
    }
  }

  fill(cause: FillCause | 'muted', samples: number): void {
    for (let left = samples; left > 0;) {
      const count = Math.min(left, FILL_SAMPLES_MAX);
      const room = this.#reserve(FILL_FRAME_BYTES);
      room[this.#at] = FRAME[cause];
      room.writeUInt32LE(count, this.#at + 1);
      this.#at += FILL_FRAME_BYTES;
      this.#sample += count;
      left -= count;
    }
  }

  lost(beginSample: number, samples: number): void {
    const room = this.#reserve(LOST_FRAME_BYTES);
    room[this.#at] = FRAME.lost;
    room.writeUIntLE(beginSample, this.#at + 1, 6);
    room.writeUInt32LE(Math.min(samples, FILL_SAMPLES_MAX), this.#at + 7);
    this.#at += LOST_FRAME_BYTES;
  }

  mark(mark: Mark): void {
    const room = this.#reserve(MARK_FRAME_BYTES);
    room[this.#at] = FRAME.mark;
    room[this.#at + 1] = MARKS.indexOf(mark);
    this.#at += MARK_FRAME_BYTES;
  }

  /** The leg's end; hands out the last block. */
  end(): void {
    const room = this.#reserve(1);
    room[this.#at++] = FRAME.end;
    this.flush();
  }

  /** Hands out what there is; nothing where nothing is. */
  flush(): void {
    if (this.#room === undefined || this.isEmpty) return;
    const block: BuiltBlock = {
      room: this.#room,
      payloadEnd: this.#at,
      beginSample: this.#beginSample,
      samples: this.#sample - this.#beginSample,
    };
    this.#room = undefined;
    this.#at = BLOCK_HEADER_BYTES;
    this.#beginSample = this.#sample;
    this.#options.onBlock(block);
  }

  #reserve(bytes: number): Buffer {
    if (this.#at + bytes > PAYLOAD_END) this.flush();
    return (this.#room ??= this.#options.takeRoom());
  }
}

const NOTHING = Buffer.alloc(0);
/** A packet longer than a block is cut; the first piece is as long as concealment looks ahead, and longer. */
const AUDIO_SAMPLES_MAX = Math.min(
  AUDIO_FRAME_SAMPLES_MAX,
  PAYLOAD_END - BLOCK_HEADER_BYTES - AUDIO_FRAME_HEADER_BYTES,
);
