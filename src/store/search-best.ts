import { scoreOf } from '../search/score.ts';
import type { Queryable } from './pool.ts';
import type { FoundSentence, SearchOptions, SearchPosition } from './search-filter.ts';
import { searchSentences } from './search-sentences.ts';

/** So many of the newest hits are put in order; what is older than these is found by `newest` only. */
export const BEST_OF = 500;

/** A hit's place among the best, in a list that began with the sentence `newest`. */
export interface BestPosition extends SearchPosition {
  readonly score: number;
  readonly newest: SearchPosition;
}

export type ScoredSentence = FoundSentence & { readonly position: BestPosition };

/**
 * The best of the newest {@link BEST_OF} hits, best first; among equals the newest first. Pages behind the first leave out
 * what came after it.
 *
 * @throws what {@link searchSentences} throws
 */
export async function searchBest(
  db: Queryable,
  { after, ...options }: Omit<SearchOptions, 'after'> & { readonly after?: BestPosition | undefined },
): Promise<readonly ScoredSentence[]> {
  const notAbove = after && { ...after.newest, sentenceNo: after.newest.sentenceNo + 1 };
  const hits = await searchSentences(db, { ...options, after: notAbove, limit: BEST_OF });
  const newest = after?.newest ?? hits[0];
  if (newest === undefined) return [];
  const { legId, sentenceNo } = newest;
  const scored = hits.map((hit) => ({
    ...hit,
    position: {
      score: scoreOf(hit.text, options.query.wanted),
      legId: hit.legId,
      sentenceNo: hit.sentenceNo,
      newest: { legId, sentenceNo },
    },
  }));
  return scored
    .filter(({ position }) => after === undefined || byScore(after, position) < 0)
    .sort((a, b) => byScore(a.position, b.position))
    .slice(0, options.limit);
}

function byScore(a: BestPosition, b: BestPosition): number {
  if (a.score !== b.score) return b.score - a.score;
  if (a.legId !== b.legId) return a.legId < b.legId ? 1 : -1;
  return b.sentenceNo - a.sentenceNo;
}
