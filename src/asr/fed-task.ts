import type { Clock } from '../clock.ts';
import { CallscribeError, toError } from '../errors.ts';
import type { LegAudioSource } from './audio-source.ts';
import { isLoud } from './loud-stretches.ts';
import type { ResiliencePolicy } from './resilience-policy.ts';
import type { RecognitionTerms, SentenceEvent } from './session.ts';
import type { AsrTask, StartAsrTask } from './task.ts';

/** What a task needs of the leg whose audio it takes. */
export interface FedTaskOptions {
  readonly startTask: StartAsrTask;
  readonly session: RecognitionTerms;
  readonly source: LegAudioSource;
  /** The leg's position of the task's first sample. */
  readonly baseSample: number;
  /** One past the newest sample that is for this task. */
  readonly endSample: () => number;
  /** No audio follows that. */
  readonly isWhole: () => boolean;
  readonly policy: Pick<ResiliencePolicy, 'catchUpRate' | 'stallAfterMs'>;
  readonly clock: Clock;
  readonly onStarted: () => void;
  readonly onSentence: (event: SentenceEvent) => void;
  /** Once, and nothing after it. @param error undefined: everything that was sent is recognised */
  readonly onEnd: (error: Error | undefined) => void;
}

/** Half a second at a time, so that a bounded rate is an even one. */
const READ_SAMPLES = 4_000;
const PART_BYTES = 1_600;
const PART_MS = 100;
const WATCH_MS = 500;
const SAMPLES_PER_MS = 8;
const BYTES_PER_SAMPLE = 2;

/**
 * One task and the audio that goes into it, from `baseSample` on without a gap:
 *
 *     starting ──started──▶ catching up ──level with the leg──▶ live ──the leg ends──▶ finishing ──▶ over
 *                             ▲  reads the source, at a bounded rate   │ chunks as they come
 *                             └────── the task takes no more just now ─┘
 *
 * A task that says nothing while speech goes in, or takes nothing, is ended as stalled.
 */
export class FedTask {
  readonly #options: FedTaskOptions;
  readonly #task: AsrTask;
  readonly #watch: NodeJS.Timeout;
  readonly #startedAtMs: number;
  #mode: 'starting' | 'catching-up' | 'live' | 'finishing' | 'over' = 'starting';
  #hasStarted = false;
  #sentSample: number;
  #sentenceOpen = false;
  #heardAnything = false;
  #heardAtMs: number;
  /** Loud audio that was sent since the recogniser last said anything. */
  #unansweredMs = 0;
  /** Since when the task, or the source, has kept us waiting. */
  #blockedSinceMs: number | undefined;
  #wake: (() => void) | undefined;
  #renewAsked = false;

  constructor(options: FedTaskOptions) {
    this.#options = options;
    this.#sentSample = options.baseSample;
    this.#startedAtMs = this.#heardAtMs = options.clock.monotonicMs();
    this.#task = options.startTask(options.session, {
      onStarted: () => {
        if (this.#mode !== 'starting') return;
        this.#hasStarted = true;
        this.#heardAtMs = options.clock.monotonicMs();
        options.onStarted();
        this.#catchUp();
      },
      onHeard: () => {
        this.#heardAtMs = options.clock.monotonicMs();
        this.#unansweredMs = 0;
      },
      onSentence: (event) => {
        if (this.#mode === 'over') return;
        this.#heardAnything = true;
        this.#sentenceOpen = event.kind === 'partial';
        options.onSentence(event);
      },
      onEnd: (error) => {
        this.#end(error);
      },
    });
    this.#watch = setInterval(() => {
      this.#checkStall();
    }, WATCH_MS);
  }

  get taskId(): string {
    return this.#task.taskId;
  }

  get malformedMessages(): number {
    return this.#task.malformedMessages;
  }

  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  /** One past the last sample that the task was given. */
  get sentSample(): number {
    return this.#sentSample;
  }

  /** Whether the recogniser gave a sentence, or part of one. */
  get hasHeard(): boolean {
    return this.#heardAnything;
  }

  get ageMs(): number {
    return this.#options.clock.monotonicMs() - this.#startedAtMs;
  }

  /** Level with the leg, and no sentence is begun: a good moment to let another task go on. */
  get isBetweenSentences(): boolean {
    return this.#mode === 'live' && !this.#sentenceOpen;
  }

  /** The leg has a new chunk, which begins at `beginSample`; `pcm` may be sent as it is. */
  push(pcm: Buffer, beginSample: number, loud: boolean): void {
    if (this.#mode !== 'live') {
      this.#wakeUp();
    } else if (beginSample !== this.#sentSample) {
      // Cannot be, unless the leg's positions leap; the source knows.
      this.#catchUp();
    } else if (!this.#sendPart(pcm, loud)) {
      this.#catchUp();
    }
  }

  /** The audio up to `endSample` is all that it is to hear: finishes when that is sent. */
  whole(): void {
    if (this.#mode === 'live') this.#finish();
    else this.#wakeUp();
  }

  /** Takes no more; what it was given is recognised to the end. */
  finishEarly(): void {
    this.#renewAsked = true;
    if (this.#mode === 'live') this.#finish();
    else this.#wakeUp();
  }

  /** Ends at once and tells nothing more. */
  drop(reason: Error): void {
    if (this.#mode === 'over') return;
    this.#over();
    this.#task.abort(reason);
  }

  #catchUp(): void {
    this.#mode = 'catching-up';
    this.#pump().catch((error: unknown) => {
      this.#fail(gone('cannot be read again', toError(error)));
    });
  }

  async #pump(): Promise<void> {
    const { source, endSample, isWhole, clock, policy } = this.#options;
    const fromSample = this.#sentSample;
    const fromMs = clock.monotonicMs();
    while (this.#mode === 'catching-up') {
      await this.#blocked(this.#task.drained());
      if (this.#isOver()) return;
      const missing = endSample() - this.#sentSample;
      if (this.#renewAsked || (missing <= 0 && isWhole())) {
        this.#finish();
        return;
      }
      if (missing <= 0) {
        this.#mode = 'live';
        return;
      }
      const pcm = await this.#blocked(source.read(this.#sentSample, Math.min(missing, READ_SAMPLES)));
      if (this.#isOver()) return;
      if (source.beginSample > this.#sentSample) {
        this.#fail(gone('was let go before it could be sent'));
        return;
      }
      if (pcm.length === 0) await this.#sleep(PART_MS);
      else this.#send(pcm);
      const dueMs = fromMs + (this.#sentSample - fromSample) / SAMPLES_PER_MS / policy.catchUpRate;
      const earlyMs = dueMs - clock.monotonicMs();
      // The last piece is not held back: behind it the leg is level.
      if (earlyMs > 1 && this.#sentSample < endSample()) await this.#pause(earlyMs);
    }
  }

  #send(pcm: Buffer): void {
    for (let at = 0; at < pcm.length; at += PART_BYTES) {
      const part = pcm.subarray(at, at + PART_BYTES);
      this.#sendPart(part, isLoud(part));
    }
  }

  /** @returns whether the task takes more */
  #sendPart(pcm: Buffer, loud: boolean): boolean {
    this.#sentSample += pcm.length / BYTES_PER_SAMPLE;
    if (loud) this.#unansweredMs += PART_MS;
    return this.#task.push(pcm);
  }

  #finish(): void {
    this.#mode = 'finishing';
    this.#task.finish();
  }

  async #blocked<T>(wait: Promise<T>): Promise<T> {
    this.#blockedSinceMs = this.#options.clock.monotonicMs();
    try {
      return await wait;
    } finally {
      this.#blockedSinceMs = undefined;
    }
  }

  /** For so long, or until the leg has news. */
  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** For so long, whatever the leg has, unless the task is over before. */
  async #pause(ms: number): Promise<void> {
    const untilMs = this.#options.clock.monotonicMs() + ms;
    for (let leftMs = ms; leftMs > 0 && !this.#isOver();) {
      await this.#sleep(leftMs);
      leftMs = untilMs - this.#options.clock.monotonicMs();
    }
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #checkStall(): void {
    if (this.#mode !== 'catching-up' && this.#mode !== 'live') return;
    const { clock, policy } = this.#options;
    const nowMs = clock.monotonicMs();
    const isDeaf =
      this.#unansweredMs * 2 >= policy.stallAfterMs && nowMs - this.#heardAtMs >= policy.stallAfterMs;
    const isStuck = this.#blockedSinceMs !== undefined && nowMs - this.#blockedSinceMs >= policy.stallAfterMs;
    if (!isDeaf && !isStuck) return;
    const what = isDeaf ? 'speech went in and nothing came back' : 'no audio could be sent';
    this.#fail(
      new CallscribeError('ASR_STALLED', `task: ${what} for ${policy.stallAfterMs} ms, expected a result`, {
        retryable: true,
      }),
    );
  }

  #fail(error: Error): void {
    if (this.#isOver()) return;
    this.#over();
    this.#task.abort(error);
    this.#options.onEnd(error);
  }

  #end(error: Error | undefined): void {
    if (this.#isOver()) return;
    this.#over();
    this.#options.onEnd(error);
  }

  #over(): void {
    this.#mode = 'over';
    clearInterval(this.#watch);
    this.#wakeUp();
  }

  #isOver(): boolean {
    return this.#mode === 'over';
  }
}

function gone(what: string, cause?: Error): CallscribeError {
  return new CallscribeError('ASR_AUDIO_GONE', `audio of the leg: ${what}, expected it to be kept`, {
    cause,
  });
}
