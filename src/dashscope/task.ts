import { randomUUID } from 'node:crypto';

import { type Framing, framingOf } from './audio-frames.ts';
import { usualBytesPerSecond } from './audio-rates.ts';
import { encodeFinishTask, encodeRunTask } from './client-messages.ts';
import type { Connection, OpenConnection } from './connection.ts';
import { DashScopeAborted, DashScopeError, type DashScopeTaskFailed } from './errors.ts';
import type { RecognitionParameters } from './parameters.ts';
import { decodeServerMessage, type SentenceResult } from './server-messages.ts';
import {
  deadlineMs,
  type IgnoredMessage,
  initialTaskState,
  nextTaskState,
  type TaskDeadlines,
  type TaskEvent,
  type TaskOutput,
  type TaskState,
} from './task-machine.ts';

/** What the owner of a task is told: `onStarted` at most once, results, then `onEnd` exactly once and nothing after. */
export interface TaskListener {
  onStarted(): void;
  /** Each text frame of the service as it came, before what it says. */
  onText?(text: string): void;
  onResult(result: SentenceResult): void;
  /** Nothing was heard in the whole task; an end without error follows. */
  onNoSpeech?(error: DashScopeTaskFailed): void;
  /** @param error undefined when the service has given its last words */
  onEnd(error: Error | undefined): void;
}

export interface TaskLimits extends TaskDeadlines {
  /** Audio that may wait, held before task-started or buffered by the socket; beyond it `ASR_BACKLOG_FULL`. */
  readonly backlogMaxMs: number;
}

export const TASK_LIMITS: TaskLimits = {
  connectTimeoutMs: 10_000,
  startTimeoutMs: 10_000,
  finishTimeoutMs: 10_000,
  backlogMaxMs: 10_000,
};

export interface RecognitionTaskOptions {
  readonly model: string;
  readonly parameters: RecognitionParameters;
  readonly limits: TaskLimits;
  readonly listener: TaskListener;
  /** Opens the task's connection, or hands out one that is free. */
  readonly connect: OpenConnection;
  /** Default: a new one from {@link newTaskId}. */
  readonly taskId?: string | undefined;
  /** `reusable`: the caller may reuse a pushed buffer at once, and what has to wait is copied. Default: `kept`. */
  readonly pushedBuffers?: 'kept' | 'reusable' | undefined;
}

/** 32 hex digits: our id for a task, and the request id that the vendor's support asks for. */
export function newTaskId(): string {
  return randomUUID().replaceAll('-', '');
}

export interface TaskCounters {
  readonly framesSent: number;
  readonly bytesSent: number;
  /** Bytes that came after the end, or after finish. */
  readonly bytesRefused: number;
  readonly ignored: Readonly<Record<IgnoredMessage, number>>;
}

/** A push is welcome as long as less audio waits. */
const HIGH_WATER_MS = 1_000;
/** For compressed audio, whose bytes tell little about its time. */
const BACKLOG_MAX_BYTES_AT_LEAST = 131_072;
const HIGH_WATER_BYTES_AT_LEAST = 32_768;

/** Runs one recognition task: drives {@link nextTaskState}, and moves its bytes and timers. */
export class RecognitionTask {
  /** Our id for the task, and the request id that the vendor's support asks for. */
  readonly taskId: string;
  readonly #options: RecognitionTaskOptions;
  readonly #frames: Framing;
  readonly #bytesPerMs: number;
  readonly #backlogMaxBytes: number;
  readonly #highWaterBytes: number;
  #state: TaskState = initialTaskState;
  #connection: Connection | undefined;
  /** Whole frames that wait for task-started. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #bytesTaken = 0;
  #finishAsked = false;
  #finishedByService = false;
  /** Who waits for the backlog to shrink. */
  #waiting: (() => void)[] = [];
  #deadline: NodeJS.Timeout | undefined;
  readonly #closed: Promise<void>;
  #resolveClosed!: () => void;
  readonly #counters = {
    framesSent: 0,
    bytesSent: 0,
    bytesRefused: 0,
    ignored: { heartbeat: 0, foreign: 0, unknown: 0, malformed: 0, misplaced: 0 },
  };

  private constructor(options: RecognitionTaskOptions) {
    const { parameters, limits } = options;
    this.taskId = options.taskId ?? newTaskId();
    this.#options = options;
    this.#frames = framingOf(parameters.format, parameters.sampleRate);
    this.#bytesPerMs = usualBytesPerSecond(parameters.format, parameters.sampleRate) / 1_000;
    const exact = parameters.format === 'pcm';
    this.#backlogMaxBytes = Math.max(
      this.#bytesPerMs * limits.backlogMaxMs,
      exact ? 0 : BACKLOG_MAX_BYTES_AT_LEAST,
    );
    this.#highWaterBytes = Math.min(
      Math.max(this.#bytesPerMs * HIGH_WATER_MS, exact ? 0 : HIGH_WATER_BYTES_AT_LEAST),
      this.#backlogMaxBytes / 2,
    );
    this.#closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  static start(options: RecognitionTaskOptions): RecognitionTask {
    const task = new RecognitionTask(options);
    task.#connection = options.connect({
      onTurn: () => {
        if (task.#state.kind === 'connecting') task.#armDeadline();
      },
      onOpen: () => {
        task.#handle({ kind: 'opened' });
      },
      onText: (text) => {
        task.#onText(text);
      },
      onDrain: () => {
        task.#wakeWaiting();
      },
      onEnd: (error) => {
        task.#handle({ kind: 'closed', error });
      },
    });
    if (!task.#connection.queued) task.#armDeadline();
    return task;
  }

  /** A snapshot. */
  get counters(): TaskCounters {
    return { ...this.#counters, ignored: { ...this.#counters.ignored } };
  }

  get state(): TaskState['kind'] {
    return this.#state.kind;
  }

  /** Resolves, never rejects, when the task is over and its connection released. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  /** Audio that was pushed but that the operating system has not taken, in bytes. */
  get backlogBytes(): number {
    return this.#heldBytes + this.#frames.waitingBytes + (this.#connection?.bufferedBytes ?? 0);
  }

  /** The same in milliseconds: exact for pcm, from usual bit rates for compressed audio. */
  get backlogMs(): number {
    return this.backlogBytes / this.#bytesPerMs;
  }

  /**
   * Takes audio of any length. Never blocks, never throws; after the end, or after `finish`, it is counted and dropped.
   *
   * @returns false when much audio waits: better push no more before {@link drained}
   */
  push(audio: Buffer): boolean {
    if (this.#finishAsked || this.#isOver()) {
      this.#counters.bytesRefused += audio.length;
      return false;
    }
    this.#bytesTaken += audio.length;
    // The usual case, ten times a second on each leg: a whole frame, and nothing before it.
    if (this.#state.kind === 'streaming' && this.#frames.passes(audio.length)) this.#send(audio);
    else this.#cut(audio);
    const backlogBytes = this.backlogBytes;
    if (backlogBytes > this.#backlogMaxBytes) this.#failBacklog();
    return backlogBytes < this.#highWaterBytes;
  }

  /** Resolves, never rejects, when a push is welcome again or the task is over. */
  drained(): Promise<void> {
    if (this.#isOver() || this.backlogBytes < this.#highWaterBytes) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** No audio follows. Resolves, never rejects, when the task is over and its connection released. */
  finish(): Promise<void> {
    this.#finishAsked = true;
    this.#handle({ kind: 'finish', audioGiven: this.#bytesTaken > 0 });
    return this.#closed;
  }

  /** Ends at once with `reason`; resolves when the connection is released. */
  abort(reason: Error): Promise<void> {
    this.#handle({ kind: 'fail', error: reason });
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.abort(new DashScopeAborted('the task was disposed of before its end'));
  }

  #onText(text: string): void {
    const message = decodeServerMessage(text);
    this.#options.listener.onText?.(text);
    this.#finishedByService = message.kind === 'task-finished';
    this.#handle({ kind: 'message', message });
  }

  #handle(event: TaskEvent): void {
    const before = this.#state;
    const { state, outputs } = nextTaskState(before, event, this.taskId);
    this.#state = state;
    if (state.kind !== before.kind) this.#armDeadline();
    for (const output of outputs) this.#perform(output);
    if (state.kind !== before.kind && (state.kind === 'finished' || state.kind === 'failed')) {
      this.#release(state.kind === 'failed' ? state.error : undefined);
    }
  }

  #perform(output: TaskOutput): void {
    const { model, parameters, listener } = this.#options;
    switch (output.kind) {
      case 'send-run-task':
        this.#connection?.sendText(encodeRunTask({ taskId: this.taskId, model, parameters }));
        return;
      case 'send-held-audio':
        for (const frame of this.#held) this.#send(frame);
        this.#dropHeld();
        this.#wakeWaiting();
        return;
      case 'send-finish-task': {
        const last = this.#frames.flush();
        if (last !== undefined) this.#send(last);
        this.#connection?.sendText(encodeFinishTask(this.taskId));
        return;
      }
      case 'started':
        listener.onStarted();
        return;
      case 'result':
        listener.onResult(output.result);
        return;
      case 'no-speech':
        listener.onNoSpeech?.(output.error);
        return;
      case 'ignored':
        this.#counters.ignored[output.why] += 1;
        return;
      default:
        output satisfies never;
    }
  }

  #cut(audio: Buffer): void {
    // Some of it waits, while the caller may already fill its buffer anew.
    const kept = this.#options.pushedBuffers === 'reusable' ? Buffer.from(audio) : audio;
    for (const frame of this.#frames.push(kept)) {
      if (this.#state.kind === 'streaming') this.#send(frame);
      else this.#hold(frame);
    }
  }

  #isOver(): boolean {
    return this.#state.kind === 'finished' || this.#state.kind === 'failed';
  }

  #send(frame: Buffer): void {
    this.#connection?.sendAudio(frame);
    this.#counters.framesSent += 1;
    this.#counters.bytesSent += frame.length;
  }

  #hold(frame: Buffer): void {
    this.#held.push(frame);
    this.#heldBytes += frame.length;
  }

  #dropHeld(): void {
    this.#held = [];
    this.#heldBytes = 0;
  }

  #wakeWaiting(): void {
    if (this.#waiting.length === 0) return;
    if (!this.#isOver() && this.backlogBytes >= this.#highWaterBytes) return;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #failBacklog(): void {
    const text = `more than ${this.#options.limits.backlogMaxMs} ms of audio wait for the recogniser`;
    this.#handle({
      kind: 'fail',
      error: new DashScopeError('overload', 'ASR_BACKLOG_FULL', text, { retryable: true }),
    });
  }

  #armDeadline(): void {
    clearTimeout(this.#deadline);
    const timeoutMs = deadlineMs(this.#state, this.#options.limits);
    if (timeoutMs === undefined || timeoutMs === Infinity) return;
    this.#deadline = setTimeout(() => {
      this.#handle({ kind: 'deadline' });
    }, timeoutMs);
  }

  #release(error: Error | undefined): void {
    this.#dropHeld();
    this.#frames.flush();
    this.#wakeWaiting();
    if (error instanceof DashScopeError) error.requestId ??= this.taskId;
    this.#options.listener.onEnd(error);
    void this.#releaseConnection(error === undefined && this.#finishedByService).then(this.#resolveClosed);
  }

  /** @param reusable the service has finished the task, so that the socket may serve another; never after a failure */
  async #releaseConnection(reusable: boolean): Promise<void> {
    await (reusable ? this.#connection?.release() : this.#connection?.close());
  }
}
