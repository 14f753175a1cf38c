import type { SampleScript, ScriptSentence } from '../sample/sample.ts';
import type { LegRole } from '../sip/role-rules.ts';

/** A sentence that was read back from the database. */
export interface ReadBack {
  /** Position of its leg in the call; the script's legs have the same order. */
  readonly legNo: number;
  readonly role: LegRole;
  readonly beginMs: number;
  readonly endMs: number;
  readonly text: string;
}

/** One sentence of the script and the one that was stored for it. */
export interface Pair {
  readonly script: ScriptSentence;
  readonly stored: ReadBack;
  /** Stored minus script. */
  readonly beginDeltaMs: number;
  readonly endDeltaMs: number;
}

export type ComparedSentence =
  | ({ readonly kind: 'exact' } & Pair)
  | ({ readonly kind: 'text-differs' } & Pair)
  /** In the script, not in the table. */
  | { readonly kind: 'missing'; readonly script: ScriptSentence }
  /** In the table, not in the script. */
  | { readonly kind: 'extra'; readonly stored: ReadBack };

export interface Comparison {
  /** By begin, the script's where there is one. */
  readonly sentences: readonly ComparedSentence[];
  readonly scriptSentences: number;
  readonly exact: number;
  /** The largest difference of any pair, whether its text differs or not; 0 where there is no pair. */
  readonly beginDeltaMaxMs: number;
  readonly endDeltaMaxMs: number;
  /** Every text equal, every time within the limit, every sentence under its party's role, none besides. */
  readonly verdict: 'equal' | 'different';
}

/** Promise 3 of the design: a sentence's times are right to within 60 ms of the audio. */
export const TIME_LIMIT_MS = 60;

/**
 * Compares what was stored with what the sample says, leg by leg. Sentences are paired in order, so that the
 * fewest stay alone; two different texts are a pair only where they overlap in time.
 */
export function compareWithScript(script: SampleScript, stored: readonly ReadBack[]): Comparison {
  const legs = new Set([...script.legs.keys(), ...stored.map(({ legNo }) => legNo)]);
  const sentences = [...legs].flatMap((legNo) =>
    pairUp(
      script.sentences.filter(({ party }) => party === script.legs[legNo]?.party),
      stored.filter((sentence) => sentence.legNo === legNo).sort((a, b) => a.beginMs - b.beginMs),
    ),
  );
  sentences.sort((a, b) => beginOf(a) - beginOf(b));
  const pairs = sentences.filter((found) => found.kind === 'exact' || found.kind === 'text-differs');
  const deltaMaxMs = (delta: 'beginDeltaMs' | 'endDeltaMs'): number =>
    Math.max(0, ...pairs.map((pair) => Math.abs(pair[delta])));
  return {
    sentences,
    scriptSentences: script.sentences.length,
    exact: sentences.filter(({ kind }) => kind === 'exact').length,
    beginDeltaMaxMs: deltaMaxMs('beginDeltaMs'),
    endDeltaMaxMs: deltaMaxMs('endDeltaMs'),
    verdict: sentences.every(isFaultless) && sentences.length > 0 ? 'equal' : 'different',
  };
}

function isFaultless(found: ComparedSentence): boolean {
  return found.kind === 'exact' && isInTime(found) && found.stored.role === found.script.party;
}

export function isInTime({ beginDeltaMs, endDeltaMs }: Pair): boolean {
  return Math.abs(beginDeltaMs) <= TIME_LIMIT_MS && Math.abs(endDeltaMs) <= TIME_LIMIT_MS;
}

function beginOf(found: ComparedSentence): number {
  return found.kind === 'extra' ? found.stored.beginMs : found.script.beginMs;
}

/** What an alignment costs: one for a sentence alone, less than two for a pair that says something else. */
const ALONE = 1;
const TEXT_DIFFERS = 1.5;

/** The cheapest alignment of two lists in order (Needleman and Wunsch), one leg's sentences each. */
function pairUp(script: readonly ScriptSentence[], stored: readonly ReadBack[]): ComparedSentence[] {
  const stepCost = (own: ScriptSentence, other: ReadBack): number => {
    if (own.text === other.text) return 0;
    const overlap = own.beginMs < other.endMs && other.beginMs < own.endMs;
    return overlap ? TEXT_DIFFERS : Number.POSITIVE_INFINITY;
  };
  // cost[i][j]: of the script from sentence i on, against the stored from j on.
  const cost = Array.from({ length: script.length + 1 }, () => new Float64Array(stored.length + 1));
  for (let i = script.length; i >= 0; i -= 1) {
    for (let j = stored.length; j >= 0; j -= 1) {
      if (i === script.length || j === stored.length) {
        cost[i]![j] = (script.length - i + stored.length - j) * ALONE;
        continue;
      }
      cost[i]![j] = Math.min(
        cost[i + 1]![j + 1]! + stepCost(script[i]!, stored[j]!),
        cost[i + 1]![j]! + ALONE,
        cost[i]![j + 1]! + ALONE,
      );
    }
  }
  const found: ComparedSentence[] = [];
  let i = 0;
  let j = 0;
  while (i < script.length || j < stored.length) {
    const own = script[i];
    const other = stored[j];
    const here = cost[i]![j]!;
    if (own && other && here === cost[i + 1]![j + 1]! + stepCost(own, other)) {
      found.push(pairOf(own, other));
      i += 1;
      j += 1;
    } else if (own && (!other || here === cost[i + 1]![j]! + ALONE)) {
      found.push({ kind: 'missing', script: own });
      i += 1;
    } else if (other) {
      found.push({ kind: 'extra', stored: other });
      j += 1;
    }
  }
  return found;
}

function pairOf(script: ScriptSentence, stored: ReadBack): ComparedSentence {
  return {
    kind: script.text === stored.text ? 'exact' : 'text-differs',
    script,
    stored,
    beginDeltaMs: stored.beginMs - script.beginMs,
    endDeltaMs: stored.endMs - script.endMs,
  };
}
