import type { LegRecord } from '../call/record.ts';
import type { CallId, LegId } from '../ids.ts';
import type { SearchQuery } from '../search/query.ts';

/** What a sentence must be besides holding the words. Left out: any. */
export interface SearchFilter {
  readonly tenant?: string | undefined;
  /** Said at or after. */
  readonly from?: Date | undefined;
  /** Said before. */
  readonly to?: Date | undefined;
  /** Of the leg that it was said on. */
  readonly role?: string | undefined;
  /** `positive`, `negative` or `neutral`. */
  readonly emotion?: string | undefined;
  readonly callId?: CallId | undefined;
  /** In calls of this agent: the name, or the user of the address, of a leg whose role is `agent`; case does not matter. */
  readonly agent?: string | undefined;
  /** In calls with this number on a leg, with or without its country and trunk prefix; digits. */
  readonly number?: string | undefined;
  /** In calls that are known by this id, of whatever kind. */
  readonly identifier?: string | undefined;
  /** In calls whose metadata has this `category`. */
  readonly category?: string | undefined;
}

/** The place of a sentence in the order of a result. */
export interface SearchPosition {
  readonly legId: LegId;
  readonly sentenceNo: number;
}

export interface FoundSentence extends SearchPosition {
  readonly callId: CallId;
  readonly tenant: string;
  readonly legNo: number;
  readonly role: LegRecord['role'];
  readonly beginMs: number;
  readonly endMs: number;
  readonly beginAt: Date;
  readonly endAt: Date;
  readonly text: string;
  readonly emoTag: string | null;
}

export interface SearchOptions {
  readonly query: SearchQuery;
  readonly filter: SearchFilter;
  /** Sentences behind this one; undefined begins with the newest. */
  readonly after?: SearchPosition | undefined;
  readonly limit: number;
  /** Default: {@link WINDOW_ROWS}, and fewer for an emotion. */
  readonly windowRows?: number;
}

/** So many of the newest sentences are looked through before the index is asked. */
export const WINDOW_ROWS = 5_000;
