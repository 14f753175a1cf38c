import { findTerms, type TextRange } from './highlight.ts';
import type { SearchTerm } from './query.ts';

/** What lies outside of the stretch counts so much of what lies between the words. */
const OUTSIDE_SHARE = 0.2;

/**
 * How well a sentence answers, above 0 and up to 1: the share of the words in the shortest stretch that holds them all. So
 * words that stand together are better than words apart, a sentence that says little else is better than a long one, and
 * one that is the query is 1. Rounded, so that the same sentence has the same score in every cursor.
 */
export function scoreOf(text: string, terms: readonly SearchTerm[]): number {
  const ranges = terms
    .flatMap((term) => findTerms(text, [term]).map((range) => ({ ...range, term })))
    .sort((a, b) => a.begin - b.begin);
  const all = letters(text, { begin: 0, end: text.length });
  const scores = ranges.map((_, first) => {
    const stretch = stretchFrom(ranges.slice(first), terms.length);
    if (stretch === undefined) return 0;
    const between = letters(text, stretch);
    const found = stretch.words.reduce((sum, range) => sum + letters(text, range), 0);
    return Math.min(found, between) / (between + OUTSIDE_SHARE * (all - between));
  });
  return Math.round(Math.max(0, ...scores) * 10_000) / 10_000;
}

interface TermRange extends TextRange {
  readonly term: SearchTerm;
}

/** From the first range to where every term was there once. */
function stretchFrom(
  ranges: readonly TermRange[],
  terms: number,
): (TextRange & { readonly words: readonly TextRange[] }) | undefined {
  const words = new Map<SearchTerm, TextRange>();
  for (const range of ranges) {
    if (!words.has(range.term)) words.set(range.term, range);
    if (words.size < terms) continue;
    const ends = [...words.values()].map(({ end }) => end);
    return { begin: ranges[0]?.begin ?? 0, end: Math.max(...ends), words: [...words.values()] };
  }
  return undefined;
}

const letters = (text: string, { begin, end }: TextRange): number =>
  text.slice(begin, end).replace(/[^\p{L}\p{N}]/gu, '').length;
