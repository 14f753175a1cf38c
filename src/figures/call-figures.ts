import type { LegRecord } from '../call/record.ts';
import { type EmotionFigures, emotionOfLeg } from './emotion.ts';
import { gaps, type Interval, totalMs, union } from './intervals.ts';
import { interruptionsBy, longestMonologueMs, type Utterance } from './turns.ts';

/** One leg, as far as figures need it. Times are milliseconds of wall time. */
export interface LegFacts {
  readonly legNo: number;
  readonly role: LegRecord['role'];
  /** Undefined where no audio ever came. */
  readonly startedAtMs: number | undefined;
  readonly endedAtMs: number | undefined;
  /** Audio that was heard, and what of it no recogniser took. */
  readonly heardMs: number;
  readonly unrecognisedMs: number;
  readonly concealedMs: number;
}

export interface SentenceFacts extends Utterance {
  readonly text: string;
  readonly words: number;
  readonly emoTag: string | null;
  readonly emoConfidence: number | null;
}

export interface LegFigures {
  readonly legNo: number;
  readonly role: LegRecord['role'];
  readonly talkMs: number;
  readonly interruptions: number;
  readonly longestMonologueMs: number;
  readonly sentences: number;
  readonly words: number;
  readonly characters: number;
  readonly heardMs: number;
  readonly recognisedMs: number;
  readonly concealedMs: number;
  readonly emotion: EmotionFigures;
}

/** What a call comes to; docs/database.md defines each figure. Milliseconds where the name says so. */
export interface CallFigures {
  /** From the first sample of any leg to the last leg's end. */
  readonly spanMs: number;
  readonly agentTalkMs: number;
  readonly customerTalkMs: number;
  readonly otherTalkMs: number;
  readonly silenceMs: number;
  readonly longestSilenceMs: number;
  readonly overlapMs: number;
  readonly interruptions: number;
  readonly longestMonologueMs: number;
  readonly sentences: number;
  readonly words: number;
  readonly characters: number;
  readonly heardMs: number;
  readonly recognisedMs: number;
  readonly concealedMs: number;
  readonly legs: readonly LegFigures[];
}

/** The call's figures from all its legs and all its final sentences, in any order. */
export function figuresOf(legs: readonly LegFacts[], sentences: readonly SentenceFacts[]): CallFigures {
  const inOrder = sentences.toSorted((one, other) => one.beginMs - other.beginMs || one.legNo - other.legNo);
  const span = spanOf(legs, inOrder);
  const ofLegs = legs
    .toSorted((one, other) => one.legNo - other.legNo)
    .map((leg) => figuresOfLeg(leg, inOrder, span));
  const talk = (...roles: readonly LegRecord['role'][]): number => {
    const legNos = new Set(legs.filter((leg) => roles.includes(leg.role)).map(({ legNo }) => legNo));
    return totalMs(union(inOrder.filter(({ legNo }) => legNos.has(legNo))));
  };
  const anyone = union(inOrder);
  const silences = gaps(span, anyone);
  const sum = (read: (leg: LegFigures) => number): number =>
    ofLegs.reduce((total, leg) => total + read(leg), 0);
  return {
    spanMs: totalMs([span]),
    agentTalkMs: talk('agent'),
    customerTalkMs: talk('customer'),
    otherTalkMs: talk('mixed', 'unknown'),
    silenceMs: totalMs(silences),
    longestSilenceMs: Math.max(0, ...silences.map((silence) => totalMs([silence]))),
    overlapMs: overlapMs(legs, inOrder),
    interruptions: sum((leg) => leg.interruptions),
    longestMonologueMs: Math.max(0, ...ofLegs.map((leg) => leg.longestMonologueMs)),
    sentences: inOrder.length,
    words: sum((leg) => leg.words),
    characters: sum((leg) => leg.characters),
    heardMs: sum((leg) => leg.heardMs),
    recognisedMs: sum((leg) => leg.recognisedMs),
    concealedMs: sum((leg) => leg.concealedMs),
    legs: ofLegs,
  };
}

function figuresOfLeg(leg: LegFacts, all: readonly SentenceFacts[], span: Interval): LegFigures {
  const { legNo, role, heardMs, unrecognisedMs, concealedMs } = leg;
  const own = all.filter((sentence) => sentence.legNo === legNo);
  return {
    legNo,
    role,
    talkMs: totalMs(union(own)),
    interruptions: interruptionsBy(legNo, all),
    longestMonologueMs: longestMonologueMs(legNo, all),
    sentences: own.length,
    words: own.reduce((sum, { words }) => sum + words, 0),
    characters: own.reduce((sum, { text }) => sum + countCharacters(text), 0),
    heardMs,
    recognisedMs: Math.max(0, heardMs - unrecognisedMs),
    concealedMs,
    emotion: emotionOfLeg(own, span),
  };
}

/** From the first sample to the end; a sentence may reach a little over what the legs say. */
function spanOf(legs: readonly LegFacts[], sentences: readonly Interval[]): Interval {
  const begins = legs.flatMap(({ startedAtMs }) => startedAtMs ?? []);
  const ends = legs.flatMap(({ startedAtMs, endedAtMs }) =>
    startedAtMs === undefined ? [] : (endedAtMs ?? []),
  );
  const beginMs = Math.min(...begins, ...sentences.map((sentence) => sentence.beginMs));
  const endMs = Math.max(...ends, ...sentences.map((sentence) => sentence.endMs));
  return beginMs < endMs ? { beginMs, endMs } : { beginMs: 0, endMs: 0 };
}

/** While two legs or more speak. */
function overlapMs(legs: readonly LegFacts[], sentences: readonly SentenceFacts[]): number {
  const edges = legs
    .flatMap(({ legNo }) => union(sentences.filter((sentence) => sentence.legNo === legNo)))
    .flatMap(({ beginMs, endMs }) => [
      { atMs: beginMs, speakers: 1 },
      { atMs: endMs, speakers: -1 },
    ])
    .toSorted((one, other) => one.atMs - other.atMs);
  let speaking = 0;
  let lastMs = 0;
  let totalOverlapMs = 0;
  for (const { atMs, speakers } of edges) {
    if (speaking >= 2) totalOverlapMs += atMs - lastMs;
    speaking += speakers;
    lastMs = atMs;
  }
  return totalOverlapMs;
}

/** Letters, ideographs and digits; no punctuation, no blanks. */
const countCharacters = (text: string): number => text.match(/[\p{L}\p{N}]/gu)?.length ?? 0;
