import type { LegAudioSource } from '../asr/audio-source.ts';
import { CHUNK_SAMPLES } from '../audio/chunker.ts';
import { HISTORY_SAMPLES } from '../audio/concealment.ts';
import { LegAudio } from '../audio/leg-audio.ts';
import type { G711Law } from '../rtp/payload-map.ts';
import type { FillCause } from '../rtp/timeline.ts';
import { playFrames } from './frames.ts';

/** A block as it was packed: its payload is the reader's own. */
export interface Block {
  readonly beginSample: number;
  readonly samples: number;
  readonly payload: Buffer;
}

/** Where a leg's blocks are read from, while the leg lasts or after. */
export interface BlockSource {
  /** 0, or where the oldest block that is still kept begins. */
  readonly beginSample: number;
  /** One past the newest sample that may be handed out. */
  readonly endSample: number;
  /** Whether no block follows. */
  readonly isEnded: boolean;
  /** Where the last block begins from which `sample` can be reached by reading on; at or before it. */
  seek(sample: number): number;
  /**
   * The first block that ends behind `sample`; undefined where there is none (yet).
   *
   * @throws {CallscribeError} RECORDING_STORAGE, RECORDING_KEY
   */
  blockBehind(sample: number): Promise<Block | undefined>;
}

/** Ten seconds: what one `read` gives at most, and how far one reads on before looking the place up. */
const READ_MAX_SAMPLES = 80_000;
const BYTES_PER_SAMPLE = 2;
const NOTHING = Buffer.alloc(0);

/**
 * A recorded leg as the PCM that its recogniser got: the frames are played through the same `LegAudio`. What
 * concealment made of a loss depends on the 49 ms before it, so reading begins far enough before what is asked for;
 * where losses follow each other more closely than that, at an earlier block, or the first. Reads one after the other
 * cost no more than decoding.
 */
export class ReplayedAudio implements LegAudioSource {
  readonly #blocks: BlockSource;
  #player: Player | undefined;
  /** One read at a time: the reads share a place. */
  #reading: Promise<unknown> = Promise.resolve();

  constructor(blocks: BlockSource) {
    this.#blocks = blocks;
  }

  get beginSample(): number {
    return this.#blocks.beginSample;
  }

  get endSample(): number {
    return this.#blocks.endSample;
  }

  read(fromSample: number, maxSamples: number): Promise<Buffer> {
    const done = this.#reading.then(() => this.#read(Math.max(0, Math.floor(fromSample)), maxSamples));
    this.#reading = done.catch(() => undefined);
    return done;
  }

  async #read(fromSample: number, maxSamples: number): Promise<Buffer> {
    const blocks = this.#blocks;
    const toSample = Math.min(fromSample + Math.min(maxSamples, READ_MAX_SAMPLES), blocks.endSample);
    if (fromSample >= toSample) return NOTHING;
    if (fromSample < blocks.beginSample) {
      return Buffer.alloc((Math.min(toSample, blocks.beginSample) - fromSample) * BYTES_PER_SAMPLE);
    }
    if (this.#player?.reaches(fromSample) === true) await this.#playTo(this.#player, toSample);
    else this.#player = await this.#playFrom(fromSample, toSample);
    return this.#player.take(fromSample, toSample);
  }

  /** Begins as far ahead as it takes for the samples to come out as they did. */
  async #playFrom(fromSample: number, toSample: number): Promise<Player> {
    for (let leadSamples = HISTORY_SAMPLES; ; leadSamples *= 16) {
      const begin = this.#blocks.seek(Math.max(this.#blocks.beginSample, fromSample - leadSamples));
      const player = new Player(begin);
      await this.#playTo(player, fromSample);
      if (player.exactFrom <= fromSample || begin <= this.#blocks.beginSample) {
        await this.#playTo(player, toSample);
        return player;
      }
    }
  }

  async #playTo(player: Player, toSample: number): Promise<void> {
    while (player.readySample < toSample) {
      const block = await this.#blocks.blockBehind(player.nextSample);
      if (block !== undefined) player.play(block);
      else if (this.#blocks.isEnded) {
        player.end();
        return;
      } else return;
    }
  }
}

/** Plays blocks from one on, and keeps what came out until it is taken. */
class Player {
  /** The index of the next sample to be played in. */
  nextSample: number;
  /** From here on the samples are those that the leg handed out. */
  exactFrom: number;
  #chunks: Buffer[] = [];
  /** Where the first kept chunk begins, and the last one ends. */
  #keptSample: number;
  readySample: number;
  #cleanSamples = 0;
  #ended = false;
  readonly #audio: LegAudio;

  constructor(beginSample: number) {
    // Chunks begin where the leg's chunks did.
    const aheadSamples = beginSample % CHUNK_SAMPLES;
    this.nextSample = beginSample;
    this.#keptSample = this.readySample = beginSample - aheadSamples;
    this.exactFrom = beginSample === 0 ? 0 : Infinity;
    this.#audio = new LegAudio((pcm) => {
      this.#chunks.push(pcm);
      this.readySample += pcm.length / BYTES_PER_SAMPLE;
    });
    this.#audio.fill('silence', aheadSamples);
  }

  /** Whether `sample` is kept, or so near that one reads on. */
  reaches(sample: number): boolean {
    return (
      sample >= this.#keptSample &&
      sample >= this.exactFrom &&
      sample <= this.readySample + READ_MAX_SAMPLES &&
      !this.#ended
    );
  }

  play({ beginSample, payload }: Block): void {
    if (beginSample > this.nextSample) {
      // What storage lost; piece by piece, as nobody knows how long it is.
      this.fill('silence', Math.min(beginSample - this.nextSample, READ_MAX_SAMPLES));
      return;
    }
    playFrames(payload, beginSample, this.nextSample, this);
  }

  audio(law: G711Law, bytes: Uint8Array, begin: number, end: number): void {
    this.#audio.audio(law, bytes, begin, end);
    this.#advance(end - begin, 'clean');
  }

  fill(cause: FillCause, samples: number): void {
    this.#audio.fill(cause, samples);
    this.#advance(samples, cause === 'loss' ? 'made' : 'clean');
  }

  end(): void {
    if (!this.#ended) this.#audio.end();
    this.#ended = true;
  }

  take(fromSample: number, toSample: number): Buffer {
    while (this.#chunks[0] !== undefined) {
      const chunkEnd = this.#keptSample + this.#chunks[0].length / BYTES_PER_SAMPLE;
      if (chunkEnd > fromSample) break;
      this.#chunks.shift();
      this.#keptSample = chunkEnd;
    }
    const begin = (fromSample - this.#keptSample) * BYTES_PER_SAMPLE;
    const end = (Math.min(toSample, this.readySample) - this.#keptSample) * BYTES_PER_SAMPLE;
    return Buffer.concat(this.#chunks).subarray(begin, Math.max(begin, end));
  }

  #advance(samples: number, kind: 'clean' | 'made'): void {
    this.nextSample += samples;
    this.#cleanSamples = kind === 'made' ? 0 : this.#cleanSamples + samples;
    if (this.exactFrom === Infinity && this.#cleanSamples >= HISTORY_SAMPLES) {
      this.exactFrom = this.nextSample;
    }
  }
}
