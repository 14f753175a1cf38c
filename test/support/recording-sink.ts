import type { MediaSink } from '../../src/rtp/media-sink.ts';
import type { G711Law } from '../../src/rtp/payload-map.ts';
import type { FillCause } from '../../src/rtp/timeline.ts';

/** Stand for one sample that was filled. */
export const SILENCE = -1;
export const LOSS = -2;

/** Keeps a leg's media as one entry a sample: the code, or what was filled. */
export class RecordingSink implements MediaSink {
  readonly heard: number[] = [];
  readonly laws = new Set<G711Law>();
  readonly lostStretches: [beginSample: number, samples: number][] = [];
  ended = false;

  audio(law: G711Law, bytes: Uint8Array, begin: number, end: number): void {
    this.laws.add(law);
    this.heard.push(...bytes.subarray(begin, end));
  }

  fill(cause: FillCause, samples: number): void {
    const entry = cause === 'loss' ? LOSS : SILENCE;
    for (let i = 0; i < samples; i++) this.heard.push(entry);
  }

  lost(beginSample: number, samples: number): void {
    this.lostStretches.push([beginSample, samples]);
  }

  end(): void {
    this.ended = true;
  }

  /** What was heard as runs, such as `[['audio', 160], ['loss', 80]]`. */
  get runs(): [kind: 'audio' | 'silence' | 'loss', samples: number][] {
    const runs: [kind: 'audio' | 'silence' | 'loss', samples: number][] = [];
    for (const entry of this.heard) {
      const kind = entry === LOSS ? 'loss' : entry === SILENCE ? 'silence' : 'audio';
      const last = runs.at(-1);
      if (last?.[0] === kind) last[1]++;
      else runs.push([kind, 1]);
    }
    return runs;
  }
}
