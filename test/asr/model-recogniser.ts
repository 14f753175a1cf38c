import type { AsrTask, AsrTaskListener, StartAsrTask } from '../../src/asr/task.ts';
import {
  DashScopeConnectionLost,
  DashScopeTaskFailed,
  DashScopeTimeout,
} from '../../src/dashscope/errors.ts';

/** On the leg's clock; multiples of 10 ms. */
export interface SpokenSentence {
  readonly beginMs: number;
  readonly endMs: number;
  readonly text: string;
}

/** What becomes of one task. Times of `end` are of the task's own audio. */
export interface TaskPlan {
  readonly startsAfterMs: number;
  readonly end:
    | { readonly kind: 'good' | 'never-starts' | 'throttled' | 'loses-last-words' }
    | { readonly kind: 'dropped' | 'silent'; readonly atMs: number }
    | { readonly kind: 'after-results'; readonly results: number };
  readonly resultsLateMs: number;
  readonly finalsTwice: boolean;
  /** `end_time` null and no words. */
  readonly finalsWithoutEnd: boolean;
  /** Where its audio begins in the last breath of a sentence, that breath is a sentence to it. */
  readonly hearsTail: boolean;
}

export const FRAME_SAMPLES = 80;
const FRAME_MS = 10;
const GOOD: TaskPlan = {
  startsAfterMs: 0,
  end: { kind: 'good' },
  resultsLateMs: 0,
  finalsTwice: false,
  finalsWithoutEnd: false,
  hearsTail: false,
};
/** A sentence is over after so much silence, or where the next one begins. */
const SENTENCE_SILENCE_MS = 800;
const PARTIAL_EVERY_MS = 200;
const START_TIMEOUT_MS = 10_000;

/**
 * A leg's audio in which every frame of 10 ms says where it is: the first sample holds its number, the others are loud
 * where somebody speaks.
 */
export function toPcm(
  sentences: readonly SpokenSentence[],
  fromSample: number,
  frames: number | undefined,
): Buffer {
  const count = frames ?? 0;
  const pcm = Buffer.alloc(count * 2);
  const isSpoken = (ms: number): boolean =>
    sentences.some(({ beginMs, endMs }) => ms >= beginMs && ms < endMs);
  for (let frame = 0; frame * FRAME_SAMPLES < count; frame += 1) {
    const frameNo = fromSample / FRAME_SAMPLES + frame;
    const loud = isSpoken(frameNo * FRAME_MS);
    for (let sample = 0; sample < FRAME_SAMPLES; sample += 1) {
      const value = sample === 0 ? frameNo % 32_768 : loud ? (sample % 2 === 0 ? 8_000 : -8_000) : 0;
      pcm.writeInt16LE(value, (frame * FRAME_SAMPLES + sample) * 2);
    }
  }
  return pcm;
}

/**
 * Recognises such audio as the service would, and breaks as it is told to. It knows nothing of the leg but what it is
 * sent: a sentence of which the beginning was not sent is heard as another one, so that audio that is missing, doubled
 * or out of order shows in the texts.
 */
export class ModelRecogniser {
  readonly #sentences: readonly SpokenSentence[];
  readonly #plans: readonly TaskPlan[];
  #tasks = 0;

  constructor(sentences: readonly SpokenSentence[], plans: readonly TaskPlan[]) {
    this.#sentences = sentences;
    this.#plans = plans;
  }

  get tasks(): number {
    return this.#tasks;
  }

  readonly startTask: StartAsrTask = (_options, listener) => {
    const plan = this.#plans[this.#tasks] ?? GOOD;
    this.#tasks += 1;
    return new ModelTask(`task-${this.#tasks}`, this.#sentences, plan, listener);
  };
}

class ModelTask implements AsrTask {
  readonly taskId: string;
  readonly malformedMessages = 0;
  readonly #sentences: readonly SpokenSentence[];
  readonly #plan: TaskPlan;
  readonly #listener: AsrTaskListener;
  #over = false;
  #bytes: Buffer = Buffer.alloc(0);
  /** The leg's frame that the task's audio begins with, as its samples tell. */
  #firstFrame: number | undefined;
  #heardMs = 0;
  #nextSentence: number | undefined;
  #nextPartialMs = 0;
  #results = 0;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(
    taskId: string,
    sentences: readonly SpokenSentence[],
    plan: TaskPlan,
    listener: AsrTaskListener,
  ) {
    this.taskId = taskId;
    this.#sentences = sentences;
    this.#plan = plan;
    this.#listener = listener;
    const { startsAfterMs, end } = plan;
    if (end.kind === 'never-starts') {
      this.#after(START_TIMEOUT_MS, () => {
        this.#fail(new DashScopeTimeout('the model never starts'));
      });
    } else if (end.kind === 'throttled') {
      this.#after(startsAfterMs, () => {
        this.#fail(new DashScopeTaskFailed(taskId, 'Throttling.RateQuota', ''));
      });
    } else {
      this.#after(startsAfterMs, () => {
        listener.onHeard();
        listener.onStarted();
      });
    }
  }

  push(pcm: Buffer): boolean {
    if (this.#over) return false;
    this.#bytes = Buffer.concat([this.#bytes, pcm]);
    this.#hear();
    return true;
  }

  drained(): Promise<void> {
    return Promise.resolve();
  }

  finish(): void {
    if (this.#over) return;
    const { end } = this.#plan;
    if (end.kind === 'loses-last-words') {
      this.#after(1, () => {
        this.#fail(new DashScopeConnectionLost(1006));
      });
      return;
    }
    if (end.kind === 'silent' && this.#heardMs >= end.atMs) {
      this.#after(10_000, () => {
        this.#fail(new DashScopeTimeout('the model does not finish'));
      });
      return;
    }
    this.#closeSentences('all');
    this.#after(this.#plan.resultsLateMs + 1, () => {
      this.#end(undefined);
    });
  }

  abort(reason: Error): void {
    this.#fail(reason);
  }

  #hear(): void {
    const frameBytes = FRAME_SAMPLES * 2;
    // A replay may begin inside a frame, by what is read again for safety; frames begin where the leg's do.
    while (!this.#over && this.#bytes.length >= frameBytes) {
      const frameNo = this.#bytes.readInt16LE(0);
      this.#bytes = this.#bytes.subarray(frameBytes);
      if (this.#firstFrame === undefined) {
        this.#firstFrame = frameNo;
        this.#nextSentence = undefined;
        const baseMs = frameNo * FRAME_MS;
        this.#nextSentence = this.#sentences.findIndex(({ endMs }) => endMs > baseMs);
        if (this.#nextSentence === -1) this.#nextSentence = this.#sentences.length;
      }
      if (frameNo !== this.#firstFrame + this.#heardMs / FRAME_MS) {
        throw new Error(`the model was sent frame ${frameNo} out of order`);
      }
      this.#heardMs += FRAME_MS;
      this.#closeSentences('what-is-over');
      this.#tellPartial();
      this.#breakIfDue();
    }
  }

  get #baseMs(): number {
    return (this.#firstFrame ?? 0) * FRAME_MS;
  }

  get #legMs(): number {
    return this.#baseMs + this.#heardMs;
  }

  #closeSentences(which: 'all' | 'what-is-over'): void {
    for (;;) {
      const index = this.#nextSentence;
      const sentence = index === undefined ? undefined : this.#sentences[index];
      if (index === undefined || sentence === undefined || sentence.beginMs >= this.#legMs) return;
      const next = this.#sentences[index + 1];
      const isOver =
        this.#legMs >= sentence.endMs + SENTENCE_SILENCE_MS ||
        (next !== undefined && this.#legMs > next.beginMs);
      if (!isOver && which === 'what-is-over') return;
      this.#nextSentence = index + 1;
      this.#tellFinal(sentence);
    }
  }

  #tellFinal(sentence: SpokenSentence): void {
    const isWhole = sentence.beginMs >= this.#baseMs && sentence.endMs <= this.#legMs;
    const beginMs = Math.max(0, sentence.beginMs - this.#baseMs);
    const endMs = Math.min(sentence.endMs, this.#legMs) - this.#baseMs;
    const isBreath = !isWhole && sentence.beginMs < this.#baseMs && endMs <= 20;
    if (isBreath && !this.#plan.hearsTail) return;
    const text = isWhole ? sentence.text : `part of ${sentence.text}`;
    const { finalsWithoutEnd, finalsTwice } = this.#plan;
    for (let copy = 0; copy < (finalsTwice ? 2 : 1); copy += 1) {
      this.#tell(() => {
        this.#listener.onSentence({
          kind: 'final',
          taskId: this.taskId,
          beginMs,
          endMs: finalsWithoutEnd ? beginMs : endMs,
          text,
          words: [],
          emotion: undefined,
        });
      });
    }
  }

  #tellPartial(): void {
    const sentence = this.#sentences[this.#nextSentence ?? Infinity];
    if (sentence === undefined || sentence.beginMs >= this.#legMs || this.#heardMs < this.#nextPartialMs) {
      return;
    }
    if (sentence.beginMs < this.#baseMs && !this.#plan.hearsTail) return;
    this.#nextPartialMs = this.#heardMs + PARTIAL_EVERY_MS;
    const beginMs = Math.max(0, sentence.beginMs - this.#baseMs);
    this.#tell(() => {
      this.#listener.onSentence({ kind: 'partial', taskId: this.taskId, beginMs, text: 'part' });
    });
  }

  /** Results come in order, all equally late, and none after the end. */
  #tell(tell: () => void): void {
    const { end, resultsLateMs } = this.#plan;
    if (end.kind === 'silent' && this.#heardMs >= end.atMs) return;
    this.#after(resultsLateMs, () => {
      this.#listener.onHeard();
      tell();
      this.#results += 1;
      if (end.kind === 'after-results' && this.#results >= end.results) {
        this.#fail(new DashScopeConnectionLost(1011));
      }
    });
  }

  #breakIfDue(): void {
    const { end } = this.#plan;
    if (end.kind === 'dropped' && this.#heardMs >= end.atMs) {
      this.#after(0, () => {
        this.#fail(new DashScopeConnectionLost(1006));
      });
    }
  }

  #after(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.#over) act();
    }, ms);
    this.#timers.add(timer);
  }

  #fail(error: Error): void {
    this.#end(error);
  }

  #end(error: Error | undefined): void {
    if (this.#over) return;
    this.#over = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#listener.onEnd(error);
  }
}
