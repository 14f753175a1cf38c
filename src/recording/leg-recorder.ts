import { type FileHandle, open } from 'node:fs/promises';

import type { LegAudioSource } from '../asr/audio-source.ts';
import { CHUNK_SAMPLES } from '../audio/chunker.ts';
import { CallscribeError } from '../errors.ts';
import type { CallId, LegId } from '../ids.ts';
import type { MediaSink } from '../rtp/media-sink.ts';
import type { G711Law } from '../rtp/payload-map.ts';
import type { FillCause } from '../rtp/timeline.ts';
import { BLOCK_BYTES, BlockBuilder, type BuiltBlock } from './block-builder.ts';
import { BlockIndex } from './block-index.ts';
import { BLOCK_HEADER_BYTES, writeBlockHeader } from './container.ts';
import type { Mark } from './frames.ts';
import { type Block, type BlockSource, ReplayedAudio } from './replayed-audio.ts';
import type { LegSeal } from './seal.ts';
import { StoredBlocks } from './stored-blocks.ts';

/**
 * What is done with a leg's audio. `keep`: written as it comes, kept as the call's WAV file. `spool`: sealed, for
 * replay and recovery, and deleted when the call is complete. `memory`: only the newest two minutes, and not on disk.
 */
export type RecordingPolicy = 'keep' | 'spool' | 'memory';

/** A leg's audio of which nothing is written: two minutes, one block a second. */
export const MEMORY_BLOCKS_MAX = 120;

/** Stretches that were given up and are named. */
const UNKEPT_MAX = 100;

/** A stretch of a leg's clock: `[beginSample, endSample)`. */
export interface Stretch {
  readonly beginSample: number;
  readonly endSample: number;
}

/** A block as it stands in the file, waiting to be written. */
export interface WaitingBlock {
  readonly bytes: Buffer;
  readonly room: Buffer;
  readonly blockNo: number;
  readonly beginSample: number;
  readonly samples: number;
}

export interface LegRecorderOptions {
  /** Where its file is, once there is one. */
  readonly path: string;
  readonly callId: CallId;
  readonly legId: LegId;
  readonly legNo: number;
  readonly policy: RecordingPolicy;
  readonly seal: LegSeal | undefined;
  readonly salt: Buffer | undefined;
  readonly takeRoom: () => Buffer;
  readonly giveRoom: (room: Buffer) => void;
}

/**
 * One leg's audio as it comes: the sink that packs it, the blocks that wait for the disk, and where those that are
 * written can be read again. What it is told on the packet path it packs and nothing else; writing is the
 * `RecordingWriter`'s.
 */
export class LegRecorder implements MediaSink {
  readonly options: LegRecorderOptions;
  readonly #builder: BlockBuilder;
  readonly waiting: WaitingBlock[] = [];
  readonly index = new BlockIndex();
  /** Open from the first write to `rest` or `release`. */
  file: FileHandle | undefined;
  /** The same file, for those who read it afterwards. */
  #reopened: Promise<FileHandle> | undefined;
  startedAt: Date | undefined;
  /** One past the newest sample that is on disk. */
  writtenSample = 0;
  #blockNo = 0;
  /** Lost samples whose concealment waits for the audio behind them. */
  #lossSamples = 0;
  #keptFromSample = 0;
  #unkeptSamples = 0;
  readonly #unkept: Stretch[] = [];
  #ended = false;
  #released = false;

  constructor(options: LegRecorderOptions) {
    this.options = options;
    this.#builder = new BlockBuilder({
      takeRoom: options.takeRoom,
      onBlock: (block) => {
        this.#take(block);
      },
    });
  }

  /** The leg's clock has started; before the first of its samples. */
  start(at: Date): void {
    this.startedAt ??= at;
  }

  get isEnded(): boolean {
    return this.#ended;
  }

  /** Whether nothing can be read from it any more. */
  get isReleased(): boolean {
    return this.#released;
  }

  /** Samples of the leg so far. */
  get samples(): number {
    return this.#builder.sample;
  }

  /** Samples that came and could not be kept. */
  get unkeptSamples(): number {
    return this.#unkeptSamples;
  }

  /** Where they are; the first hundred stretches. */
  get unkept(): readonly Stretch[] {
    return this.#unkept;
  }

  get waitingBytes(): number {
    return this.waiting.length * BLOCK_BYTES;
  }

  audio(law: G711Law, bytes: Uint8Array, begin: number, end: number): void {
    this.#lossSamples = 0;
    this.#builder.audio(law, bytes, begin, end);
  }

  fill(cause: FillCause | 'muted', samples: number): void {
    this.#lossSamples = cause === 'loss' ? this.#lossSamples + samples : 0;
    this.#builder.fill(cause, samples);
  }

  lost(beginSample: number, samples: number): void {
    this.#builder.lost(beginSample, samples);
  }

  /** Nothing before the leg's clock starts, or behind its end. */
  mark(mark: Mark): void {
    if (this.startedAt !== undefined && !this.#ended) this.#builder.mark(mark);
  }

  end(): void {
    if (this.#ended) return;
    // A leg that nothing was heard of leaves no file.
    if (this.startedAt !== undefined) this.#builder.end();
    this.#lossSamples = 0;
    this.#ended = true;
  }

  /** What is packed waits for the disk from now on, unless something does already: then blocks rather grow full. */
  flush(): void {
    if (this.waiting.length === 0 && this.options.policy !== 'memory') this.#builder.flush();
  }

  /** The oldest block that waits is given up. */
  dropOldest(): void {
    const block = this.waiting.shift();
    if (block === undefined) return;
    this.options.giveRoom(block.room);
    if (this.options.policy === 'memory') this.#keptFromSample = block.beginSample + block.samples;
    else this.#noteUnkept(block);
  }

  /** The oldest `blocks` that wait were written at `offset`. */
  wrote(blocks: number, offset: number): void {
    let at = offset;
    for (const block of this.waiting.splice(0, blocks)) {
      this.index.note(block.beginSample, at);
      at += block.bytes.length;
      this.writtenSample = block.beginSample + block.samples;
      this.options.giveRoom(block.room);
    }
    this.index.endOffset = at;
  }

  /** The leg's audio, to be read again while it lasts and until `release`; each reader has a place of its own. */
  openSource(): LegAudioSource {
    return new ReplayedAudio(this.#blocks());
  }

  /** All is written: its file is closed until somebody reads it. */
  async rest(): Promise<void> {
    const { file } = this;
    this.file = undefined;
    await file?.close();
  }

  /** Nothing is read from here on; idempotent. */
  async release(): Promise<void> {
    this.#released = true;
    // A write may be under way still: the rooms are left to the collector.
    this.waiting.length = 0;
    const reopened = this.#reopened;
    this.#reopened = undefined;
    await this.rest();
    await (await reopened?.catch(() => undefined))?.close();
  }

  #noteUnkept({ beginSample, samples }: WaitingBlock): void {
    this.#unkeptSamples += samples;
    const endSample = beginSample + samples;
    const last = this.#unkept.at(-1);
    if (last?.endSample === beginSample) this.#unkept.splice(-1, 1, { ...last, endSample });
    else if (this.#unkept.length < UNKEPT_MAX) this.#unkept.push({ beginSample, endSample });
  }

  #take({ room, payloadEnd, beginSample, samples }: BuiltBlock): void {
    if (this.#released) {
      this.options.giveRoom(room);
      return;
    }
    const place = { blockNo: this.#blockNo++, beginSample, samples };
    const end = this.options.seal?.seal(room, payloadEnd, place) ?? payloadEnd;
    const bytes = room.subarray(0, end);
    writeBlockHeader(bytes, place);
    this.waiting.push({ ...place, bytes, room });
    if (this.options.policy === 'memory' && this.waiting.length > MEMORY_BLOCKS_MAX) this.dropOldest();
  }

  #blocks(): BlockSource {
    const readers: { stored?: StoredBlocks } = {};
    const endSample = (): number => {
      const sample = this.#builder.sample - this.#lossSamples;
      return this.#ended ? sample : sample - (sample % CHUNK_SAMPLES);
    };
    const beginSample = (): number => this.#keptFromSample;
    const isEnded = (): boolean => this.#ended;
    return {
      get beginSample() {
        return beginSample();
      },
      get endSample() {
        return endSample();
      },
      get isEnded() {
        return isEnded();
      },
      seek: (sample) => this.#seek(sample),
      blockBehind: async (sample) => {
        if (this.#released) throw released();
        if (sample >= this.writtenSample) return this.#waitingBehind(sample);
        readers.stored ??= new StoredBlocks(() => this.#openFile(), this.index, this.options.seal);
        // What storage lost since it was written is not in the file; what follows may wait still.
        return (await readers.stored.blockBehind(sample)) ?? this.#waitingBehind(sample);
      },
    };
  }

  async #openFile(): Promise<FileHandle> {
    if (this.#released) throw released();
    if (this.file !== undefined) return this.file;
    this.#reopened ??= open(this.options.path, 'r');
    try {
      return await this.#reopened;
    } catch (cause) {
      this.#reopened = undefined;
      throw new CallscribeError('RECORDING_STORAGE', 'recorded leg: its file cannot be opened again', {
        cause,
        retryable: true,
      });
    }
  }

  #seek(sample: number): number {
    if (this.#builder.beginSample <= sample) return this.#builder.beginSample;
    const waiting = this.waiting.findLast(({ beginSample }) => beginSample <= sample);
    return waiting?.beginSample ?? this.index.sampleOf(sample);
  }

  #waitingBehind(sample: number): Block | undefined {
    const found = this.waiting.find((block) => block.beginSample + block.samples > sample);
    if (found !== undefined) {
      const { beginSample, samples, bytes, blockNo } = found;
      const payload =
        this.options.seal?.open(bytes, blockNo) ?? Buffer.from(bytes.subarray(BLOCK_HEADER_BYTES));
      return { beginSample, samples, payload };
    }
    const { beginSample, sample: endSample, payload } = this.#builder;
    if (endSample <= sample) return undefined;
    return { beginSample, samples: endSample - beginSample, payload: Buffer.from(payload) };
  }
}

function released(): CallscribeError {
  return new CallscribeError(
    'RECORDING_STORAGE',
    'recorded leg: it was let go of, expected to be read before its call is over',
  );
}
