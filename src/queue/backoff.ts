/**
 * How long to wait before the next attempt: doubling from `minMs` up to `maxMs`, the last half of it at random so
 * that many who lost the same server do not all come back at the same moment.
 *
 * @param attempt 1, 2, 3 …
 * @param random 0 to 1
 */
export function backoffMs(
  attempt: number,
  random: number,
  { minMs, maxMs }: { readonly minMs: number; readonly maxMs: number },
): number {
  const fullMs = Math.min(maxMs, minMs * 2 ** Math.min(attempt - 1, 30));
  return Math.round(fullMs * (0.5 + random / 2));
}
