import type { Interval } from './intervals.ts';

/** A sentence as far as its mood goes. */
export interface MoodedSentence extends Interval {
  readonly emoTag: string | null;
  readonly emoConfidence: number | null;
}

export interface EmotionFigures {
  readonly positive: number;
  readonly neutral: number;
  readonly negative: number;
  /**
   * Mood in the first, second and last third of the call, from -1 (negative) to 1 (positive): the mean over the
   * sentences that begin there, each weighed by its length and the recogniser's confidence. Null where none has one.
   */
  readonly thirds: readonly (number | null)[];
  /** Last third less the first; null where one of them has no mood. */
  readonly trend: number | null;
}

const VALUES: Readonly<Record<string, number>> = { positive: 1, neutral: 0, negative: -1 };
const THIRDS = 3;

/** @param span of the call, on the sentences' clock */
export function emotionOfLeg(sentences: readonly MoodedSentence[], span: Interval): EmotionFigures {
  const count = (tag: string): number => sentences.filter(({ emoTag }) => emoTag === tag).length;
  const spanMs = Math.max(1, span.endMs - span.beginMs);
  const thirdOf = ({ beginMs }: Interval): number =>
    Math.min(THIRDS - 1, Math.max(0, Math.floor(((beginMs - span.beginMs) / spanMs) * THIRDS)));
  const thirds = Array.from({ length: THIRDS }, (_, third) =>
    meanMood(sentences.filter((sentence) => thirdOf(sentence) === third)),
  );
  const [first = null, last = null] = [thirds[0], thirds[THIRDS - 1]];
  return {
    positive: count('positive'),
    neutral: count('neutral'),
    negative: count('negative'),
    thirds,
    trend: first === null || last === null ? null : round(last - first),
  };
}

function meanMood(sentences: readonly MoodedSentence[]): number | null {
  let weights = 0;
  let sum = 0;
  for (const { beginMs, endMs, emoTag, emoConfidence } of sentences) {
    const value = emoTag === null ? undefined : VALUES[emoTag];
    if (value === undefined) continue;
    const weight = Math.max(1, endMs - beginMs) * (emoConfidence ?? 1);
    weights += weight;
    sum += value * weight;
  }
  return weights === 0 ? null : round(sum / weights);
}

const round = (value: number): number => Math.round(value * 1_000) / 1_000;
