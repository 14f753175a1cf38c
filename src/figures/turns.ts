import type { Interval } from './intervals.ts';

/** A sentence as turns see it: whose, from when to when on the wall clock. */
export interface Utterance extends Interval {
  readonly legNo: number;
}

/** Two people may begin together, and a recogniser's edges are not exact. */
export const INTERRUPTION_MIN_MS = 300;

/** A pause this long ends what was said in one go. */
export const MONOLOGUE_PAUSE_MAX_MS = 3_000;

/**
 * How often a leg takes the word from another: it begins while another's sentence has been going on for
 * {@link INTERRUPTION_MIN_MS} and goes on for as long at least, and still speaks when that one has ended. A short
 * "yes" within another's sentence is none. Speech over several others at once counts once.
 *
 * @param inOrder all utterances of the call, by begin
 */
export function interruptionsBy(legNo: number, inOrder: readonly Utterance[]): number {
  let count = 0;
  const going: Utterance[] = [];
  for (const utterance of inOrder) {
    const still = going.filter(({ endMs }) => endMs > utterance.beginMs);
    going.splice(0, going.length, ...still);
    if (utterance.legNo === legNo && going.some((other) => isInterruption(utterance, other))) count += 1;
    going.push(utterance);
  }
  return count;
}

const isInterruption = (by: Utterance, of: Utterance): boolean =>
  by.legNo !== of.legNo &&
  by.beginMs - of.beginMs >= INTERRUPTION_MIN_MS &&
  of.endMs - by.beginMs >= INTERRUPTION_MIN_MS &&
  by.endMs > of.endMs;

/**
 * The longest stretch of a leg's sentences with no pause over {@link MONOLOGUE_PAUSE_MAX_MS} between them and no
 * sentence of another leg that began between; one that began and ended within one of its own does not count.
 *
 * @param inOrder all utterances of the call, by begin
 */
export function longestMonologueMs(legNo: number, inOrder: readonly Utterance[]): number {
  let longestMs = 0;
  let run: { beginMs: number; endMs: number } | undefined;
  for (const { legNo: by, beginMs, endMs } of inOrder) {
    if (by !== legNo) {
      if (run === undefined || endMs > run.endMs) run = undefined;
      continue;
    }
    if (run === undefined || beginMs - run.endMs > MONOLOGUE_PAUSE_MAX_MS) run = { beginMs, endMs };
    else run.endMs = Math.max(run.endMs, endMs);
    longestMs = Math.max(longestMs, run.endMs - run.beginMs);
  }
  return longestMs;
}
