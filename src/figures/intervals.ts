/** A stretch of time in milliseconds, from `beginMs` up to but not including `endMs`. */
export interface Interval {
  readonly beginMs: number;
  readonly endMs: number;
}

/** What the intervals cover, without overlaps, in order; empty ones vanish. */
export function union(intervals: readonly Interval[]): readonly Interval[] {
  const covered: { beginMs: number; endMs: number }[] = [];
  const inOrder = intervals
    .filter(({ beginMs, endMs }) => endMs > beginMs)
    .toSorted((one, other) => one.beginMs - other.beginMs);
  for (const { beginMs, endMs } of inOrder) {
    const last = covered.at(-1);
    if (last !== undefined && beginMs <= last.endMs) last.endMs = Math.max(last.endMs, endMs);
    else covered.push({ beginMs, endMs });
  }
  return covered;
}

/** How long they are together; intervals that overlap count twice, so see {@link union}. */
export const totalMs = (intervals: readonly Interval[]): number =>
  intervals.reduce((sum, { beginMs, endMs }) => sum + (endMs - beginMs), 0);

/** What of the span is not covered. @param covered a {@link union} */
export function gaps(span: Interval, covered: readonly Interval[]): readonly Interval[] {
  const found: Interval[] = [];
  let atMs = span.beginMs;
  for (const { beginMs, endMs } of covered) {
    if (beginMs > atMs) found.push({ beginMs: atMs, endMs: Math.min(beginMs, span.endMs) });
    atMs = Math.max(atMs, endMs);
    if (atMs >= span.endMs) break;
  }
  if (atMs < span.endMs) found.push({ beginMs: atMs, endMs: span.endMs });
  return found.filter(({ beginMs, endMs }) => endMs > beginMs);
}
