import { type CallId, type LegId, newCallId, newLegId } from '../ids.ts';
import { seededRandom } from '../seeded-random.ts';
import { corpus } from './search-corpus.ts';

const END_MS = Date.UTC(2026, 10, 22);
/** Over so many days the table of the bench lies. */
export const SEARCH_DAYS = 60;
const DAY_MS = 86_400_000;
export const FIRST_DAY = new Date(END_MS - SEARCH_DAYS * DAY_MS);
const SENTENCES_A_LEG = 20;

/** A sentence with its place. */
export interface Row {
  readonly legId: LegId;
  readonly callId: CallId;
  readonly sentenceNo: number;
  readonly beginAt: Date;
  readonly text: string;
  readonly emotion: string | undefined;
}

/** Legs one after the other, evenly over the days before now. */
export function* rows(sentences: number, seed: number, days: number): Generator<Row> {
  const random = seededRandom(seed + 1);
  const endMs = END_MS;
  const beginMs = endMs - days * DAY_MS;
  let no = 0;
  let callId = newCallId(new Date(beginMs));
  let legId = newLegId(callId);
  for (const { text, emotion } of corpus(sentences, seed)) {
    const atMs = beginMs + (no / sentences) * (endMs - beginMs);
    if (no % SENTENCES_A_LEG === 0) {
      callId = newCallId(new Date(atMs));
      legId = newLegId(callId);
    }
    const beginAt = new Date(Math.round(atMs + random() * 60_000));
    yield { legId, callId, sentenceNo: (no % SENTENCES_A_LEG) + 1, beginAt, text, emotion };
    no += 1;
  }
}

export function* batches<T>(all: Iterable<T>, size: number): Generator<T[]> {
  let batch: T[] = [];
  for (const one of all) {
    batch.push(one);
    if (batch.length === size) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}
