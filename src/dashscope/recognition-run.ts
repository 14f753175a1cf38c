import type { Clock } from '../clock.ts';
import { CallscribeError } from '../errors.ts';
import { FRAME_MAX_BYTES } from './audio-rates.ts';
import type { OpenConnection } from './connection.ts';
import { DashScopeAborted, DashScopeError, type DashScopeTaskFailed, DashScopeTimeout } from './errors.ts';
import type { RecognitionParameters } from './parameters.ts';
import type { CallbackCaller } from './recognition-callback.ts';
import { RecognitionResult } from './recognition-result.ts';
import { ResultQueue } from './result-queue.ts';
import type { SentenceResult } from './server-messages.ts';
import { RecognitionTask, type TaskCounters, type TaskLimits } from './task.ts';

export interface RunOptions {
  readonly taskId: string;
  readonly model: string;
  readonly parameters: RecognitionParameters;
  readonly limits: TaskLimits;
  readonly connect: OpenConnection;
  readonly callbacks: CallbackCaller;
  readonly signals: readonly AbortSignal[];
  readonly clock: Clock;
  /** What the delay of the first result is counted from: the run's begin for a file. */
  readonly delayFrom: 'first-audio' | 'begin';
  /** Told before the callback. */
  readonly onResult?: ((result: RecognitionResult) => void) | undefined;
  readonly onNoSpeech: (error: DashScopeTaskFailed) => void;
}

/** How long `stop` waits: in whole, or, for a file whose end may lag, since the service last gave a result. */
export interface StopDeadline {
  readonly timeoutMs: number;
  readonly since: 'stop' | 'last-result';
}

/** Results that may wait for the reader of `results()`; beyond it the run fails. */
const WAITING_RESULTS_MAX = 1_000;

/** One run of a recognition, from `start` to `onClose`: a task, its callbacks, its reader and its delays. */
export class RecognitionRun {
  readonly #options: RunOptions;
  readonly #task: RecognitionTask;
  readonly #beganAtMs: number;
  #queue: ResultQueue<RecognitionResult> | undefined;
  #state: 'running' | 'stopping' | 'over' | 'closed' = 'running';
  #error: DashScopeError | undefined;
  #firstAudioAtMs: number | undefined;
  #lastMessage: string | undefined;
  #firstTextAtMs: number | undefined;
  #stoppedAtMs: number | undefined;
  #completedAtMs: number | undefined;
  #stopTimer: NodeJS.Timeout | undefined;
  #refreshStopTimer = false;
  readonly #overSignal = new AbortController();
  readonly #opened = promiseWithHandles<undefined>();
  readonly #done = promiseWithHandles<undefined>();
  readonly #onAbort = (): void => {
    const signal = this.#options.signals.find((each) => each.aborted);
    this.abort(new DashScopeAborted('the recognition was aborted by its signal', signal?.reason));
  };

  /** @param queue results that somebody reads already */
  constructor(options: RunOptions, queue: ResultQueue<RecognitionResult> | undefined) {
    const { taskId, model, parameters, limits, connect, callbacks, signals, clock } = options;
    this.#options = options;
    this.#queue = queue;
    this.#beganAtMs = clock.monotonicMs();
    this.#task = RecognitionTask.start({
      taskId,
      model,
      parameters,
      // `stop` has a deadline of its own.
      limits: { ...limits, finishTimeoutMs: Infinity },
      connect,
      pushedBuffers: 'reusable',
      listener: {
        onStarted: () => {
          this.#opened.resolve(undefined);
          callbacks.tell('onOpen');
        },
        onText: (text) => {
          this.#lastMessage = text;
        },
        onResult: (result) => {
          this.#onResult(result);
        },
        onNoSpeech: options.onNoSpeech,
        onEnd: (error) => {
          void this.#onEnd(error === undefined ? undefined : asDashScopeError(error));
        },
      },
    });
    for (const signal of signals) signal.addEventListener('abort', this.#onAbort);
    if (signals.some((signal) => signal.aborted)) this.#onAbort();
  }

  /** `over`: it has ended, and `onClose` is to come. */
  get state(): 'running' | 'stopping' | 'over' | 'closed' {
    return this.#state;
  }

  get taskId(): string {
    return this.#task.taskId;
  }

  /** What ended the run; undefined before, and after a good end. */
  get error(): DashScopeError | undefined {
    return this.#error;
  }

  /** Resolves at task-started; rejects when the run fails before it. Rejections need no handler. */
  get opened(): Promise<undefined> {
    return this.#opened.promise;
  }

  /** Resolves after `onClose`; rejects with the error. Rejections need no handler. */
  get done(): Promise<undefined> {
    return this.#done.promise;
  }

  /** Aborts when the run ends, however it does. */
  get overSignal(): AbortSignal {
    return this.#overSignal.signal;
  }

  /** What the service said last, as it came; undefined before. */
  get lastMessage(): string | undefined {
    return this.#lastMessage;
  }

  get backlogBytes(): number {
    return this.#task.backlogBytes;
  }

  get backlogMs(): number {
    return this.#task.backlogMs;
  }

  get counters(): TaskCounters {
    return this.#task.counters;
  }

  get firstPackageDelayMs(): number | undefined {
    const from = this.#options.delayFrom === 'begin' ? this.#beganAtMs : this.#firstAudioAtMs;
    return elapsedMs(from, this.#firstTextAtMs);
  }

  get lastPackageDelayMs(): number | undefined {
    return elapsedMs(this.#stoppedAtMs, this.#completedAtMs);
  }

  /** Its results from now on; the whole of them where it is asked for in the turn of `start`. */
  results(): AsyncIterable<RecognitionResult> {
    this.#queue ??= newResultQueue(() => {
      this.abandon();
    });
    if (this.#isOver()) this.#queue.end(this.#error);
    return this.#queue;
  }

  /** @returns false when much audio waits */
  push(audio: Buffer): boolean {
    this.#firstAudioAtMs ??= this.#options.clock.monotonicMs();
    return this.#task.push(audio);
  }

  /** Resolves, never rejects, when a push is welcome again or the run is over. */
  drained(): Promise<void> {
    return this.#task.drained();
  }

  /** Pushes audio of any length no faster than it is taken. @throws {DashScopeError} that ended the run */
  async send(audio: Buffer): Promise<void> {
    for (let at = 0; at < audio.length; at += FRAME_MAX_BYTES) {
      if (this.#error !== undefined) throw this.#error;
      if (!this.push(audio.subarray(at, at + FRAME_MAX_BYTES))) await this.drained();
    }
    if (this.#error !== undefined) throw this.#error;
  }

  stop({ timeoutMs, since }: StopDeadline): Promise<undefined> {
    if (this.#state !== 'running') return this.done;
    this.#state = 'stopping';
    this.#stoppedAtMs = this.#options.clock.monotonicMs();
    this.#refreshStopTimer = since === 'last-result';
    this.#stopTimer = setTimeout(() => {
      const text =
        since === 'stop'
          ? `the recogniser did not finish within ${timeoutMs} ms of stop; the last words may be missing`
          : `the recogniser gave nothing for ${timeoutMs} ms while it should finish; the last words may be missing`;
      this.abort(new DashScopeTimeout(text, this.taskId));
    }, timeoutMs);
    void this.#task.finish();
    return this.done;
  }

  /** Ends at once with `error`; nothing happens where the run is over. */
  abort(error: DashScopeError): void {
    if (!this.#isOver()) void this.#task.abort(error);
  }

  /** The reader of `results()` left. */
  abandon(): void {
    this.abort(new DashScopeAborted('the reader of the results left before their end'));
  }

  #isOver(): boolean {
    return this.#state === 'over' || this.#state === 'closed';
  }

  #onResult(sentence: SentenceResult): void {
    if (sentence.text !== '') this.#firstTextAtMs ??= this.#options.clock.monotonicMs();
    if (this.#refreshStopTimer) this.#stopTimer?.refresh();
    const result = new RecognitionResult(this.taskId, sentence);
    this.#options.onResult?.(result);
    this.#options.callbacks.tell('onEvent', result);
    const queue = this.#queue;
    if (queue === undefined) return;
    queue.push(result);
    if (queue.length <= WAITING_RESULTS_MAX) return;
    const text = `more than ${WAITING_RESULTS_MAX} results wait for their reader`;
    this.abort(new DashScopeError('overload', 'ASR_BACKLOG_FULL', text, { requestId: this.taskId }));
  }

  async #onEnd(error: DashScopeError | undefined): Promise<void> {
    const { clock, callbacks, signals } = this.#options;
    this.#state = 'over';
    this.#error = error;
    if (error === undefined) this.#completedAtMs = clock.monotonicMs();
    clearTimeout(this.#stopTimer);
    for (const signal of signals) signal.removeEventListener('abort', this.#onAbort);
    // A turn later, so that no callback runs inside a call of its own owner, and the run knows its task.
    await Promise.resolve();
    this.#overSignal.abort();
    if (error === undefined) callbacks.tell('onComplete');
    else callbacks.tell('onError', error);
    this.#queue?.end(error);
    await this.#task.closed;
    this.#state = 'closed';
    callbacks.tell('onClose');
    if (error === undefined) {
      // Nothing was said, and the service was not asked.
      this.#opened.resolve(undefined);
      this.#done.resolve(undefined);
    } else {
      this.#opened.reject(error);
      this.#done.reject(error);
    }
  }
}

/** Results for one reader; a partial that it has not read yet gives way to what comes next. */
export function newResultQueue(onAbandoned: () => void): ResultQueue<RecognitionResult> {
  return new ResultQueue({ replaces: (_newer, waiting) => !waiting.isSentenceEnd(), onAbandoned });
}

/** The credential provider is the caller's, and so may its errors be. */
function asDashScopeError(error: Error): DashScopeError {
  if (error instanceof DashScopeError) return error;
  const code = error instanceof CallscribeError ? error.code : 'ASR_UNREACHABLE';
  return new DashScopeError('network', code, 'no connection could be made for the recognition', {
    cause: error,
    retryable: error instanceof CallscribeError && error.retryable,
  });
}

function elapsedMs(fromMs: number | undefined, toMs: number | undefined): number | undefined {
  return fromMs === undefined || toMs === undefined ? undefined : Math.max(0, Math.round(toMs - fromMs));
}

interface Handles<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

/** Nobody has to look at the promise: the callbacks tell the same. */
function promiseWithHandles<T>(): Handles<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
