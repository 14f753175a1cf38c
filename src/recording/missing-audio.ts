import type { Stretch } from './leg-recorder.ts';

/** Audio that came and could not be kept; it is zero in the recording. */
export interface MissingAudio {
  /** Of all legs. */
  readonly missingMs: number;
  /** Where, on each leg's clock; the first hundred. */
  readonly missing: readonly { readonly legNo: number; readonly beginMs: number; readonly endMs: number }[];
}

const SAMPLES_PER_MS = 8;
const NAMED_MAX = 100;

export function missingOf(
  legs: readonly { readonly legNo: number; readonly missing: readonly Stretch[] }[],
): MissingAudio {
  const stretches = legs.flatMap(({ legNo, missing }) => missing.map((stretch) => ({ legNo, ...stretch })));
  const samples = stretches.reduce((sum, { beginSample, endSample }) => sum + endSample - beginSample, 0);
  return {
    missingMs: toMs(samples),
    missing: stretches.slice(0, NAMED_MAX).map(({ legNo, beginSample, endSample }) => ({
      legNo,
      beginMs: toMs(beginSample),
      endMs: toMs(endSample),
    })),
  };
}

const toMs = (samples: number): number => Math.round(samples / SAMPLES_PER_MS);
