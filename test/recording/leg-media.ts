import fc from 'fast-check';

import { LegAudio } from '../../src/audio/leg-audio.ts';
import type { MediaSink } from '../../src/rtp/media-sink.ts';
import type { G711Law } from '../../src/rtp/payload-map.ts';
import { codes } from '../support/rtp-stream.ts';

/** What a leg's media tells its sink. */
export type MediaCall =
  | { readonly kind: 'audio'; readonly law: G711Law; readonly samples: number }
  | { readonly kind: 'loss' | 'silence'; readonly samples: number };

export const audio = (samples: number, law: G711Law = 'PCMU'): MediaCall => ({ kind: 'audio', law, samples });
export const loss = (samples: number): MediaCall => ({ kind: 'loss', samples });
export const silence = (samples: number): MediaCall => ({ kind: 'silence', samples });

/** Packets of all lengths, losses close to each other and far apart, silences. */
export const mediaCalls = (maxLength: number): fc.Arbitrary<MediaCall[]> =>
  fc.array(
    fc.oneof(
      { weight: 8, arbitrary: fc.constant(audio(160)) },
      { weight: 2, arbitrary: fc.integer({ min: 1, max: 480 }).map((n) => audio(n, 'PCMA')) },
      { weight: 1, arbitrary: fc.constant(audio(9_000)) },
      { weight: 3, arbitrary: fc.integer({ min: 1, max: 900 }).map(loss) },
      { weight: 2, arbitrary: fc.integer({ min: 1, max: 5_000 }).map(silence) },
    ),
    { maxLength },
  );

/** Tells the calls to sinks, one after the other; `between` runs behind each call. */
export function tell(
  calls: readonly MediaCall[],
  sinks: readonly MediaSink[],
  between?: (n: number) => void,
): void {
  let sample = 0;
  calls.forEach((call, n) => {
    for (const sink of sinks) {
      if (call.kind !== 'audio') sink.fill(call.kind, call.samples);
      else sink.audio(call.law, codes(sample, call.samples), 0, call.samples);
    }
    sample += call.samples;
    between?.(n);
  });
}

/** A leg's audio as its recogniser gets it. */
export function listen(): { sink: LegAudio; chunks: Buffer[]; pcm: () => Buffer } {
  const chunks: Buffer[] = [];
  return { sink: new LegAudio((pcm) => chunks.push(pcm)), chunks, pcm: () => Buffer.concat(chunks) };
}

/** What a recogniser gets of a leg that consists of these calls. */
export function heard(calls: readonly MediaCall[]): Buffer {
  const { sink, pcm } = listen();
  tell(calls, [sink]);
  sink.end();
  return pcm();
}
