import type { MediaSink } from '../rtp/media-sink.ts';
import type { G711Law } from '../rtp/payload-map.ts';
import type { FillCause } from '../rtp/timeline.ts';
import { Chunker, type TakeChunk } from './chunker.ts';

/**
 * The audio half of a leg: G.711 and gaps in, chunks of 100 ms out. Both causes of a gap sound the same for now,
 * zeros; concealment (G.711 Appendix I) has its place in `fill`.
 */
export class LegAudio implements MediaSink {
  readonly #chunker: Chunker;

  constructor(onChunk: TakeChunk) {
    this.#chunker = new Chunker(onChunk);
  }

  audio(law: G711Law, bytes: Uint8Array, begin: number, end: number): void {
    this.#chunker.appendG711(law, bytes, begin, end);
  }

  fill(_cause: FillCause, samples: number): void {
    this.#chunker.appendSilence(samples);
  }

  end(): void {
    this.#chunker.flush();
  }
}
