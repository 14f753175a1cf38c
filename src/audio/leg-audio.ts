import type { MediaSink } from '../rtp/media-sink.ts';
import type { G711Law } from '../rtp/payload-map.ts';
import type { FillCause } from '../rtp/timeline.ts';
import { Chunker, type TakeChunk } from './chunker.ts';
import { CONCEALED_MAX_SAMPLES, Concealer } from './concealment.ts';
import { decodeG711Into } from './g711.ts';
import { LostStretches } from './lost-stretches.ts';

/** As much of the audio behind a loss as its concealment looks at. */
const AHEAD_SAMPLES = 120;

/**
 * The audio half of a leg: G.711 and gaps in, chunks of 100 ms out. Lost packets are concealed for up to 60 ms
 * and zero then; where nothing was sent is digital zero. What came is never altered.
 */
export class LegAudio implements MediaSink {
  readonly #chunker: Chunker;
  readonly #lost = new LostStretches();
  #concealment: Concealment | undefined;
  /** Lost samples that wait for the audio behind them, which comes at once or not at all. */
  #lossSamples = 0;

  constructor(onChunk: TakeChunk) {
    this.#chunker = new Chunker(onChunk);
  }

  /** How many of the leg's samples `[beginSample, endSample)` were lost on the way. */
  lostSamples(beginSample: number, endSample: number): number {
    return this.#lost.within(beginSample, endSample);
  }

  audio(law: G711Law, bytes: Uint8Array, begin: number, end: number): void {
    if (this.#lossSamples > 0) this.#concealBefore(law, bytes, begin, end);
    this.#chunker.appendG711(law, bytes, begin, end);
  }

  fill(cause: FillCause, samples: number): void {
    if (cause === 'loss') {
      this.#lossSamples += samples;
    } else {
      this.#conceal(0);
      this.#chunker.appendSilence(samples);
    }
  }

  lost(beginSample: number, samples: number): void {
    this.#lost.add(beginSample, samples);
  }

  end(): void {
    this.#conceal(0);
    this.#chunker.flush();
  }

  #concealBefore(law: G711Law, bytes: Uint8Array, begin: number, end: number): void {
    this.#concealment ??= new Concealment();
    const aheadSamples = Math.min(end - begin, AHEAD_SAMPLES);
    decodeG711Into(law, bytes, begin, begin + aheadSamples, this.#concealment.ahead, 0);
    this.#conceal(aheadSamples);
  }

  /** Makes audio for the lost samples; the first `aheadSamples` behind them are known. */
  #conceal(aheadSamples: number): void {
    const lossSamples = this.#lossSamples;
    if (lossSamples === 0) return;
    this.#lossSamples = 0;
    this.#concealment ??= new Concealment();
    const { concealer, made, ahead } = this.#concealment;
    const madeSamples = Math.min(lossSamples, CONCEALED_MAX_SAMPLES);
    this.#chunker.copyNewest(concealer.history);
    concealer.begin();
    concealer.make(made, madeSamples);
    if (madeSamples === lossSamples) concealer.lead(made, madeSamples, ahead, aheadSamples);
    this.#chunker.appendSamples(made, madeSamples);
    this.#chunker.appendSilence(lossSamples - madeSamples);
  }
}

/** What concealment needs; a leg that loses nothing has none. */
class Concealment {
  readonly concealer = new Concealer();
  readonly made = new Int16Array(CONCEALED_MAX_SAMPLES);
  readonly ahead = new Int16Array(AHEAD_SAMPLES);
}
