import { lowestIdAt, timeOfId } from '../ids.ts';
import { beginOfMonth, monthOf, monthsAfter } from './months.ts';
import type { SearchFilter, SearchPosition } from './search-filter.ts';

/** Ids of legs from, included, up to, not included. */
export interface IdSpan {
  readonly from: string;
  readonly to: string;
}

/** A sentence is said after its call began, and no later than this; a filter of time looks no further back. */
export const CALL_MAX_DAYS = 7;
const DAY_MS = 86_400_000;
/** Between the clocks of two intakes. */
const SKEW_MS = 60_000;

const LOWEST = '00000000-0000-0000-0000-000000000000';
/** Above every id that carries a time, below nearly all random ones (migration 0006). */
const RANDOM_FROM = '04000000-0000-0000-0000-000000000000';
const HIGHEST = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/**
 * The ids in which a search looks, one span after the other until its page is full: the newest month, the one before, six
 * more, all before, and at last the random ids of before there were months. Each reads its own partitions only.
 */
export function searchSpans(
  { from, to }: Pick<SearchFilter, 'from' | 'to'>,
  after: SearchPosition | undefined,
  now: Date,
): readonly IdSpan[] {
  const lowest =
    from === undefined ? LOWEST : lowestIdAt(new Date(Math.max(0, from.getTime() - CALL_MAX_DAYS * DAY_MS)));
  const highest = to === undefined ? RANDOM_FROM : lowestIdAt(new Date(Math.max(0, to.getTime() + SKEW_MS)));
  const isRandom = after !== undefined && after.legId >= RANDOM_FROM;
  const cursorAt = after === undefined || isRandom ? undefined : timeOfId(after.legId);
  const newest = [to, cursorAt, now].reduce<Date>(
    (low, at) => (at !== undefined && at < low ? at : low),
    now,
  );
  const begins = [0, 1, 7].map((months) => lowestIdAt(beginOfMonth(monthsAfter(monthOf(newest), -months))));
  const edges = [...begins, LOWEST];
  const spans = edges.map((edge, index) => ({
    from: edge < lowest ? lowest : edge,
    to: index === 0 ? highest : least(edges[index - 1] ?? highest, highest),
  }));
  // A random id says nothing of its time.
  return [
    ...(isRandom ? [] : spans.filter((span) => span.from < span.to)),
    { from: RANDOM_FROM, to: HIGHEST },
  ];
}

export const isWithin = ({ from, to }: IdSpan, legId: string): boolean => legId >= from && legId < to;

/** The newest two where they follow each other: a month has hardly begun, and is looked through with the one before. */
export function newestSpan([newest, before]: readonly IdSpan[]): IdSpan | undefined {
  if (newest === undefined || before?.to !== newest.from) return newest;
  return { from: before.from, to: newest.to };
}

const least = (a: string, b: string): string => (a < b ? a : b);
