import type { SentenceEvent } from './session.ts';

/**
 * A replay begins so much before the end of the last final, whose milliseconds are rounded, so that not one sample of
 * what follows is missing.
 */
const LEAD_SAMPLES = 80;
/** A replay that begins in the last breath of a sentence hears no more than this of it. */
const TAIL_MAX_MS = 200;
/** Two recognitions of the same audio agree on where a sentence begins to within this; the same text to within that. */
const SAME_BEGIN_MS = 50;
const SAME_TEXT_MS = 300;
const SAMPLES_PER_MS = 8;

/** What was accepted last. */
interface LastFinal {
  readonly beginMs: number;
  readonly endMs: number;
  readonly text: string;
  readonly taskNo: number;
}

/**
 * Where the tasks of one leg meet: turns the times of each task into times of the leg, and lets every sentence through
 * once, whichever task gives it. Pure.
 *
 *     leg    ├──final 1──┤   ├──final 2──┤      (lost) sentence 3
 *     task 1 ├───────────────────────────╳
 *     task 2                             ├──────sentence 3 …     begins where final 2 ended
 */
export class Seam {
  #taskNo = 0;
  #baseMs = 0;
  #last: LastFinal | undefined;
  #settledSample: number;
  /** Begins of this task's finals on the leg, so that one that comes twice is known; the newest ones. */
  #begins: number[] = [];

  /** @param fromSample where the leg's recognition begins */
  constructor(fromSample: number) {
    this.#settledSample = fromSample;
  }

  /** Everything before this was recognised, or will not be: the next task need not hear it. */
  get settledSample(): number {
    return this.#settledSample;
  }

  /** The same for what a reader counts in milliseconds. */
  get settledMs(): number {
    return this.#settledSample / SAMPLES_PER_MS;
  }

  /** Audio that no task need hear again: its results are in, or it was given up. */
  settle(sample: number): void {
    this.#settledSample = Math.max(this.#settledSample, sample);
  }

  /** A new task hears the leg from `baseSample` on; what an older one may still say is not for this seam. */
  begin(baseSample: number): void {
    this.#taskNo += 1;
    this.#baseMs = baseSample / SAMPLES_PER_MS;
    this.#begins = [];
  }

  /** @returns the event on the leg's clock; undefined where the leg has it already */
  accept(event: SentenceEvent): SentenceEvent | undefined {
    const moved = this.#onLeg(event);
    if (this.#isKnown(moved, this.#baseMs + event.beginMs)) return undefined;
    if (moved.kind === 'partial') return moved;
    this.#begins = [...this.#begins.slice(-BEGINS_MAX), moved.beginMs];
    this.#last = { beginMs: moved.beginMs, endMs: moved.endMs, text: moved.text, taskNo: this.#taskNo };
    this.settle(moved.endMs * SAMPLES_PER_MS - LEAD_SAMPLES);
    return moved;
  }

  /** @param heardMs where the task says that the sentence begins, be it in what it was given to hear again */
  #isKnown(event: SentenceEvent, heardMs: number): boolean {
    const { beginMs, text } = event;
    // No two sentences of a task begin at the same time.
    if (this.#begins.includes(beginMs)) return true;
    const last = this.#last;
    if (last === undefined || last.taskNo === this.#taskNo) return false;
    if (last.endMs === last.beginMs) {
      // A final without an end, and without words that tell it: the replay heard it from its begin.
      const apartMs = Math.abs(beginMs - last.beginMs);
      return apartMs <= SAME_BEGIN_MS || (apartMs <= SAME_TEXT_MS && text === last.text);
    }
    return event.kind === 'final' && heardMs < last.endMs && event.endMs <= last.endMs + TAIL_MAX_MS;
  }

  /** Whatever a replay hears begins, for the leg, no earlier than the last final ended. */
  #onLeg(event: SentenceEvent): SentenceEvent {
    const last = this.#last;
    const earliestMs =
      last === undefined || last.taskNo === this.#taskNo || this.#begins.length > 0 ? 0 : last.endMs;
    const onLeg = (taskMs: number): number => Math.max(earliestMs, Math.round(this.#baseMs + taskMs));
    const beginMs = onLeg(event.beginMs);
    if (event.kind === 'partial') return { ...event, beginMs };
    return {
      ...event,
      beginMs,
      endMs: onLeg(event.endMs),
      words: event.words.map((word) => ({
        ...word,
        beginMs: onLeg(word.beginMs),
        endMs: onLeg(word.endMs),
      })),
    };
  }
}

/** One comes twice at once, if at all. */
const BEGINS_MAX = 32;
