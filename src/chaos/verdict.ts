import type { SpokenSentence } from './script.ts';

/** What was said on a leg, as far as anybody can have heard it. */
export interface HeardLeg {
  /** Names the leg in both lists, such as `<SIP Call-ID> 0`. */
  readonly key: string;
  readonly sentences: readonly SpokenSentence[];
  /**
   * On the leg's clock: from here on nobody may have listened, since the intake was killed or the call ended.
   * Undefined: heard to its end.
   */
  readonly heardToMs?: number | undefined;
  /** So much of its audio came too late or not at all, since the machine was too busy: no fault of the service. */
  readonly lateMs?: number;
}

/** A sentence that was read back. */
export interface StoredLine {
  readonly key: string;
  readonly sentenceNo: number;
  readonly beginMs: number;
  readonly endMs: number;
  readonly text: string;
}

export interface Verdict {
  /** Sentences that were said and heard to their end. */
  readonly spoken: number;
  readonly stored: number;
  readonly missing: number;
  /** Rows that say again what another row of the leg says. */
  readonly doubled: number;
  readonly wrongInTime: number;
  /** Of the missing: there is a row with the text, but the recogniser did not get all of the audio. */
  readonly damaged: number;
  /** Missing, wrong in time or strange by no more than what came late on the leg; counted here only. */
  readonly starved: number;
  /** Rows that nobody said on that leg. */
  readonly strange: number;
  /** Legs whose sentences are not numbered 1, 2, 3 … in the order of speech. */
  readonly misnumbered: number;
  /** Sentences in which the intake was killed: they may be there, once. */
  readonly cut: number;
  /** Said when nobody listened; not counted as spoken. */
  readonly unheard: number;
  /** The largest difference of any begin or end. */
  readonly worstMs: number;
  readonly examples: readonly string[];
}

/** Promise 3 of the design: a sentence's times are right to within 60 ms of the audio. */
export const TIME_LIMIT_MS = 60;
/**
 * Audio that had left less than this before a kill may have been in a socket, in the jitter buffer or not yet
 * written: 60 ms of playout, 100 ms of a chunk, the recording's bound for write-behind.
 */
export const HEARD_MARGIN_MS = 500;
/** A recogniser by energy begins a sentence this much before or after its first sample. */
const EDGE_MS = 200;
const EXAMPLES_MAX = 20;

/** Compares what was said with what was stored, leg by leg and sentence by sentence. */
export function judge(heard: readonly HeardLeg[], stored: readonly StoredLine[]): Verdict {
  const count = new Counts();
  const linesOf = new Map<string, StoredLine[]>();
  for (const line of stored) {
    const lines = linesOf.get(line.key);
    if (lines === undefined) linesOf.set(line.key, [line]);
    else lines.push(line);
  }
  for (const leg of heard) {
    judgeLeg(leg, linesOf.get(leg.key) ?? [], count);
    linesOf.delete(leg.key);
  }
  for (const line of [...linesOf.values()].flat()) count.note('strange', line.key, line.text);
  return { ...count.counts, stored: stored.length, worstMs: count.worstMs, examples: count.examples };
}

export function isFaultless({ missing, doubled, wrongInTime, strange, misnumbered }: Verdict): boolean {
  return missing + doubled + wrongInTime + strange + misnumbered === 0;
}

type CountName =
  | 'spoken'
  | 'missing'
  | 'doubled'
  | 'wrongInTime'
  | 'damaged'
  | 'starved'
  | 'strange'
  | 'misnumbered'
  | 'cut'
  | 'unheard';
const SILENT: ReadonlySet<CountName> = new Set(['spoken', 'cut', 'unheard', 'starved']);

class Counts {
  readonly counts: Record<CountName, number> = {
    spoken: 0,
    missing: 0,
    doubled: 0,
    wrongInTime: 0,
    damaged: 0,
    starved: 0,
    strange: 0,
    misnumbered: 0,
    cut: 0,
    unheard: 0,
  };
  readonly examples: string[] = [];
  worstMs = 0;

  note(name: CountName, key = '', what = ''): void {
    this.counts[name] += 1;
    if (SILENT.has(name) || this.examples.length >= EXAMPLES_MAX) return;
    this.examples.push(`${name}: ${key} ${what}`);
  }
}

function judgeLeg(leg: HeardLeg, lines: readonly StoredLine[], count: Counts): void {
  const byNumber = [...lines].sort((a, b) => a.sentenceNo - b.sentenceNo);
  const inOrder = byNumber.every(
    ({ sentenceNo, beginMs }, index) =>
      sentenceNo === index + 1 && beginMs >= (byNumber[index - 1]?.beginMs ?? 0),
  );
  if (!inOrder) {
    const numbers = byNumber.map(({ sentenceNo, beginMs }) => `${sentenceNo}@${beginMs}`).join(' ');
    count.note('misnumbered', leg.key, numbers);
  }
  const explained = new Set<StoredLine>();
  const heardToMs = leg.heardToMs ?? Number.POSITIVE_INFINITY;
  const lateMs = leg.lateMs ?? 0;
  for (const sentence of leg.sentences) {
    const exact = lines.filter(({ text }) => text === sentence.text);
    const damaged = lines.filter(
      (line) =>
        !exact.includes(line) &&
        (isMarked(sentence, line) || (lateMs > 0 && isRestOf(sentence, line, lateMs))),
    );
    for (const line of [...exact, ...damaged]) explained.add(line);
    // A sentence that was torn apart by late packets may be there in pieces.
    for (const line of (lateMs > 0 ? exact : [...exact, ...damaged]).slice(1)) {
      count.note('doubled', leg.key, `${line.text} ${line.beginMs}`);
    }
    const fate = fateOf(sentence, heardToMs);
    count.note(fate);
    const [line] = exact;
    if (fate === 'spoken' && line === undefined) {
      const isStarved = lateMs > 0 && (damaged.length > 0 || 2 * lateMs >= sentence.endMs - sentence.beginMs);
      const where = `${sentence.text} ${sentence.beginMs}-${sentence.endMs}`;
      count.note(isStarved ? 'starved' : 'missing', leg.key, where);
      if (!isStarved && damaged.length > 0) count.note('damaged', leg.key, where);
    }
    if (line === undefined) continue;
    const off = Math.max(
      Math.abs(line.beginMs - sentence.beginMs),
      fate === 'spoken' ? Math.abs(line.endMs - sentence.endMs) : 0,
    );
    if (off > TIME_LIMIT_MS && off <= TIME_LIMIT_MS + lateMs) {
      count.note('starved');
      continue;
    }
    count.worstMs = Math.max(count.worstMs, off);
    if (off > TIME_LIMIT_MS) count.note('wrongInTime', leg.key, `${line.text} by ${off} ms`);
  }
  const cut = leg.sentences.find((sentence) => fateOf(sentence, heardToMs) === 'cut');
  for (const line of lines) {
    if (explained.has(line)) continue;
    // What is left of a sentence may be too short to carry its text.
    if (cut === undefined || !isRestOf(cut, line, 0)) {
      count.note('strange', leg.key, `${line.text} ${line.beginMs}-${line.endMs}`);
    }
  }
}

/** The text came whole, its audio did not: the recogniser of captions marks it, without a full stop. */
const isMarked = (sentence: SpokenSentence, { text }: StoredLine): boolean =>
  text.startsWith(`${sentence.text.replace(/。$/u, '')} [`) || text.startsWith(`${sentence.text} [`);

/** What is left of a sentence whose audio did not come whole may say nothing. */
const isRestOf = (sentence: SpokenSentence, { text, beginMs, endMs }: StoredLine, lateMs: number): boolean =>
  (text.startsWith('[speech') || text.startsWith(sentence.text)) &&
  beginMs >= sentence.beginMs - EDGE_MS &&
  endMs <= sentence.endMs + EDGE_MS + lateMs;

function fateOf({ beginMs, endMs }: SpokenSentence, heardToMs: number): 'spoken' | 'cut' | 'unheard' {
  if (endMs + HEARD_MARGIN_MS <= heardToMs) return 'spoken';
  return beginMs <= heardToMs ? 'cut' : 'unheard';
}
