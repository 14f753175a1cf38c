import { randomUUID } from 'node:crypto';

import { CallscribeError } from '../errors.ts';
import { AudioFrames } from './audio-frames.ts';
import { encodeFinishTask, encodeRunTask } from './client-messages.ts';
import type { Connection, ConnectionListener } from './connection.ts';
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
  onResult(result: SentenceResult): void;
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
  /** PCM only: the backlog is counted in milliseconds of it. */
  readonly parameters: RecognitionParameters & { readonly format: 'pcm' };
  readonly limits: TaskLimits;
  readonly listener: TaskListener;
  /** Opens the task's connection, or hands out one that is free. */
  readonly connect: (listener: ConnectionListener) => Connection;
}

export interface TaskCounters {
  readonly framesSent: number;
  readonly bytesSent: number;
  /** Bytes that came after the end, or after finish. */
  readonly bytesRefused: number;
  readonly ignored: Readonly<Record<IgnoredMessage, number>>;
}

/** "Paraformer client events": about 100 ms of audio a frame, 1 to 16 KB. */
const FRAME_MS = 100;
const BYTES_PER_SAMPLE = 2;

/** Runs one recognition task: drives {@link nextTaskState}, and moves its bytes and timers. */
export class RecognitionTask {
  /** Our id for the task, and the request id that the vendor's support asks for. */
  readonly taskId = randomUUID().replaceAll('-', '');
  readonly #options: RecognitionTaskOptions;
  readonly #frames: AudioFrames;
  readonly #backlogMaxBytes: number;
  #state: TaskState = initialTaskState;
  #connection: Connection | undefined;
  /** Whole frames that wait for task-started. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #bytesTaken = 0;
  #finishAsked = false;
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
    const bytesPerMs = (options.parameters.sampleRate * BYTES_PER_SAMPLE) / 1000;
    this.#options = options;
    this.#frames = new AudioFrames(Math.round(bytesPerMs * FRAME_MS));
    this.#backlogMaxBytes = bytesPerMs * options.limits.backlogMaxMs;
    this.#closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  static start(options: RecognitionTaskOptions): RecognitionTask {
    const task = new RecognitionTask(options);
    task.#armDeadline();
    task.#connection = options.connect({
      onOpen: () => {
        task.#handle({ kind: 'opened' });
      },
      onText: (text) => {
        task.#handle({ kind: 'message', message: decodeServerMessage(text) });
      },
      onEnd: (error) => {
        task.#handle({ kind: 'closed', error });
      },
    });
    return task;
  }

  /** A snapshot. */
  get counters(): TaskCounters {
    return { ...this.#counters, ignored: { ...this.#counters.ignored } };
  }

  get state(): TaskState['kind'] {
    return this.#state.kind;
  }

  /** Takes audio of any length. Never blocks, never throws; after the end, or after `finish`, it is counted and dropped. */
  push(pcm: Buffer): void {
    if (this.#finishAsked || this.#isOver()) {
      this.#counters.bytesRefused += pcm.length;
      return;
    }
    this.#bytesTaken += pcm.length;
    for (const frame of this.#frames.push(pcm)) {
      if (this.#state.kind === 'streaming') this.#send(frame);
      else this.#hold(frame);
    }
    if (this.#backlogBytes() > this.#backlogMaxBytes) this.#failBacklog();
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
    return this.abort(new CallscribeError('ASR_ABORTED', 'the task was disposed of before its end'));
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
      case 'ignored':
        this.#counters.ignored[output.why] += 1;
        return;
      default:
        output satisfies never;
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

  #backlogBytes(): number {
    return this.#heldBytes + this.#frames.waitingBytes + (this.#connection?.bufferedBytes ?? 0);
  }

  #failBacklog(): void {
    const text = `more than ${this.#options.limits.backlogMaxMs} ms of audio wait for the recogniser`;
    this.#handle({
      kind: 'fail',
      error: new CallscribeError('ASR_BACKLOG_FULL', text, { retryable: true }),
    });
  }

  #armDeadline(): void {
    clearTimeout(this.#deadline);
    const timeoutMs = deadlineMs(this.#state, this.#options.limits);
    if (timeoutMs === undefined) return;
    this.#deadline = setTimeout(() => {
      this.#handle({ kind: 'deadline' });
    }, timeoutMs);
  }

  #release(error: Error | undefined): void {
    this.#dropHeld();
    this.#frames.flush();
    this.#options.listener.onEnd(error);
    void (this.#connection?.close() ?? Promise.resolve()).then(this.#resolveClosed);
  }
}
