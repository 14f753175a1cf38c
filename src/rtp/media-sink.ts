import type { G711Law } from './payload-map.ts';
import type { FillCause } from './timeline.ts';

/**
 * Where one leg's media goes, in order and without a gap: the samples of all calls together are the leg's clock.
 * Called from the hot path; must neither block nor throw.
 */
export interface MediaSink {
  /** The codes `bytes[begin, end)`, one a sample. The bytes are on loan: they change after the call. */
  audio(law: G711Law, bytes: Uint8Array, begin: number, end: number): void;
  /** So many samples for which there is no audio. */
  fill(cause: FillCause, samples: number): void;
  /**
   * These samples of the leg were lost on the way. Told once each: before they are filled, or, where they had been
   * taken for silence, when that is known; such a stretch may begin before one that was told already.
   */
  lost(beginSample: number, samples: number): void;
  /** Nothing follows. */
  end(): void;
}
