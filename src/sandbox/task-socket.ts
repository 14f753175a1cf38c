import type { RawData, WebSocket } from 'ws';

import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import {
  type ClientRequest,
  decodeClientFrame,
  type TaskFailure,
  type TaskRequest,
} from './client-frames.ts';
import type { TaskFaults } from './faults.ts';
import type { Recognition, RecognitionEvent, SandboxRecogniser } from './recogniser.ts';
import {
  encodeHeartbeat,
  encodeResult,
  encodeTaskFailed,
  encodeTaskFinished,
  encodeTaskStarted,
  encodeUnknownEvent,
} from './server-frames.ts';

/** The service's own limits; tests shorten them. */
export interface SandboxTimers {
  /** A running task that gets no frame at all fails. */
  readonly noFrameMs: number;
  /** A running task with heartbeat off that hears nothing but silence fails. */
  readonly silenceMs: number;
  /** A socket without a task is closed. */
  readonly idleMs: number;
  /** Silent audio between two heartbeat results, with heartbeat on; the real period is not known. */
  readonly heartbeatMs: number;
}

export const SANDBOX_TIMERS: SandboxTimers = {
  noFrameMs: 23_000,
  silenceMs: 60_000,
  idleMs: 60_000,
  heartbeatMs: 5_000,
};

/** What a socket needs of its server. */
export interface TaskSocketContext {
  readonly recogniser: SandboxRecogniser;
  readonly timers: SandboxTimers;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Asked for each run-task: may it start, and what goes wrong in it. */
  admit(task: TaskRequest): { readonly admitted: boolean; readonly faults: TaskFaults };
  count(what: SocketCount, by?: number): void;
}

export const SOCKET_COUNTS = [
  'tasksStarted',
  'tasksFinished',
  'tasksFailed',
  'framesReceived',
  'bytesReceived',
  'framesStray',
  'results',
  'finals',
  'requestsRefused',
] as const;
export type SocketCount = (typeof SOCKET_COUNTS)[number];

/**
 * One socket, one task at a time:
 *
 *     idle ──run-task──▶ starting ──task-started──▶ running ──finish-task──▶ finishing ──task-finished──▶ idle
 *       run-task in another state, and whatever cannot be read ──▶ task-failed and close, from any state
 *
 * Lenient as the real service is known to be: audio before task-started is kept (the Java SDK sends it),
 * finish-task before it is remembered, finish-task may name another task.
 */
type SocketState =
  | { readonly kind: 'idle' }
  | {
      readonly kind: 'starting';
      readonly running: Running;
      readonly early: Buffer[];
      earlyBytes: number;
      finishAsked: boolean;
    }
  | { readonly kind: 'running'; readonly running: Running }
  | { readonly kind: 'finishing'; readonly running: Running }
  | { readonly kind: 'closed' };

interface Running {
  readonly task: TaskRequest;
  readonly faults: TaskFaults;
  readonly recognition: Recognition;
  frames: number;
  sentenceId: number;
  /** Whether the open sentence has had a result. */
  sentenceBegun: boolean;
  heartbeatAtMs: number;
  /** Monotonic time when speech was last heard, and where in the audio that was. */
  speechSeenAtMs: number;
  speechSeenMs: number;
}

/** Audio that is kept before task-started. */
const EARLY_MAX_BYTES = 1 << 20;
/** Results that a client does not read; beyond it the socket is cut. */
const UNREAD_MAX_BYTES = 4 << 20;
const NORMAL_CLOSURE = 1000;

export class TaskSocket {
  readonly #socket: WebSocket;
  readonly #context: TaskSocketContext;
  #state: SocketState = { kind: 'idle' };
  /** The state's own time limit: idle, or no frame. */
  #limit: NodeJS.Timeout | undefined;
  #startTimer: NodeJS.Timeout | undefined;

  constructor(socket: WebSocket, context: TaskSocketContext) {
    this.#socket = socket;
    this.#context = context;
    socket.on('message', (data: RawData, isBinary: boolean) => {
      this.#guard(() => {
        if (isBinary) this.#onAudio(data as Buffer);
        else this.#onRequest(decodeClientFrame((data as Buffer).toString('utf8')));
      });
    });
    // A broken frame or a lost peer: `close` follows.
    socket.on('error', (error) => {
      context.logger.debug({ err: error }, 'sandbox socket failed');
    });
    socket.on('close', () => {
      this.#enter({ kind: 'closed' });
    });
    this.#enter({ kind: 'idle' });
  }

  /** Whatever a client sends, and whatever goes wrong in the recogniser, ends its own task at most. */
  #guard(act: () => void): void {
    try {
      act();
    } catch (thrown) {
      this.#context.logger.error({ err: thrown }, 'sandbox recogniser failed');
      this.#fail({ code: 'InternalError.Algo', message: 'The sandbox failed.' });
    }
  }

  #enter(state: SocketState): void {
    clearTimeout(this.#limit);
    clearTimeout(this.#startTimer);
    this.#state = state;
    const { timers } = this.#context;
    if (state.kind === 'idle') {
      this.#limit = setTimeout(() => {
        this.#socket.close(NORMAL_CLOSURE);
      }, timers.idleMs);
    } else if (state.kind === 'running') {
      this.#limit = setTimeout(() => {
        const seconds = Math.round(timers.noFrameMs / 1000);
        this.#fail({ code: 'CLIENT_ERROR', message: `request timeout after ${seconds} seconds.` });
      }, timers.noFrameMs);
    }
  }

  #onRequest(request: ClientRequest): void {
    if (this.#state.kind === 'closed') return;
    switch (request.kind) {
      case 'refused':
        this.#context.count('requestsRefused');
        this.#fail(request.failure);
        return;
      case 'run-task':
        if (this.#state.kind === 'idle') this.#onRunTask(request.task);
        else {
          this.#fail({
            code: 'InvalidParameter',
            message: `run-task came while a task is ${this.#state.kind}.`,
          });
        }
        return;
      case 'finish-task':
        this.#onFinishTask(request.taskId);
        return;
      default:
        request satisfies never;
    }
  }

  #onRunTask(task: TaskRequest): void {
    const { recogniser, clock } = this.#context;
    const { admitted, faults } = this.#context.admit(task);
    const { taskId } = task;
    if (!admitted) {
      const message = 'Requests rate limit exceeded, please try again later.';
      this.#fail({ taskId, code: 'Throttling.RateQuota', message });
      return;
    }
    if (faults.failStart !== undefined) {
      this.#fail({ taskId, ...faults.failStart });
      return;
    }
    const running: Running = {
      task,
      faults,
      recognition: recogniser.open(task),
      frames: 0,
      sentenceId: 1,
      sentenceBegun: false,
      heartbeatAtMs: 0,
      speechSeenAtMs: clock.monotonicMs(),
      speechSeenMs: 0,
    };
    this.#enter({ kind: 'starting', running, early: [], earlyBytes: 0, finishAsked: false });
    const { startDelayMs } = faults;
    if (startDelayMs === undefined) this.#start();
    else if (startDelayMs !== 'never') {
      this.#startTimer = setTimeout(() => {
        this.#guard(() => {
          this.#start();
        });
      }, startDelayMs);
    }
  }

  #start(): void {
    if (this.#state.kind !== 'starting') return;
    const { running, early, finishAsked } = this.#state;
    this.#enter({ kind: 'running', running });
    this.#context.count('tasksStarted');
    this.#send(encodeTaskStarted(running.task.taskId));
    this.#faultAtFrame(running);
    for (const audio of early) this.#onAudio(audio);
    if (finishAsked) this.#onFinishTask(running.task.taskId);
  }

  #onFinishTask(taskId: string): void {
    const state = this.#state;
    if (state.kind === 'starting') {
      state.finishAsked = true;
      return;
    }
    if (state.kind === 'closed') return;
    if (state.kind !== 'running') {
      this.#fail({ taskId, code: 'InvalidParameter', message: `finish-task came while ${state.kind}.` });
      return;
    }
    const { running } = state;
    this.#enter({ kind: 'finishing', running });
    if (running.faults.neverFinish === true) return;
    if (running.faults.failFinish !== undefined) {
      this.#fail(running.faults.failFinish);
      return;
    }
    this.#tell(running, running.recognition.flush());
    const payload = running.faults.emptyTaskFinished === true ? 'empty' : 'usual';
    this.#send(encodeTaskFinished(running.task.taskId, payload));
    this.#context.count('tasksFinished');
    this.#enter({ kind: 'idle' });
  }

  #onAudio(audio: Buffer): void {
    const state = this.#state;
    if (state.kind === 'starting') {
      if (state.earlyBytes + audio.length > EARLY_MAX_BYTES) {
        this.#context.count('framesStray');
        return;
      }
      state.early.push(audio);
      state.earlyBytes += audio.length;
      return;
    }
    if (state.kind !== 'running') {
      this.#context.count('framesStray');
      return;
    }
    const { running } = state;
    this.#limit?.refresh();
    this.#context.count('framesReceived');
    this.#context.count('bytesReceived', audio.length);
    running.frames += 1;
    this.#tell(running, running.recognition.feed(audio));
    this.#watchSilence(running);
    this.#faultAtFrame(running);
  }

  #tell(running: Running, events: readonly RecognitionEvent[]): void {
    const { task, faults, recognition } = running;
    for (const event of events) {
      if (faults.noise === true) this.#sendNoise(event);
      const frame = encodeResult(task.taskId, event, {
        sentenceId: running.sentenceId,
        first: !running.sentenceBegun,
        emotion: task.emotion,
        audioMs: recognition.audioMs,
        form: faults.results ?? 'usual',
      });
      this.#send(frame);
      this.#context.count('results');
      running.sentenceBegun = event.kind === 'partial';
      if (event.kind !== 'final') continue;
      this.#context.count('finals');
      if (faults.doubleFinals === true) this.#send(frame);
      running.sentenceId += 1;
    }
  }

  #sendNoise(event: RecognitionEvent): void {
    const other = '00000000000000000000000000000000';
    const facts = { sentenceId: 1, first: true, emotion: false, audioMs: 0, form: 'usual' } as const;
    this.#send(encodeUnknownEvent(other));
    this.#send(encodeResult(other, { ...event, text: 'of another task' }, facts));
    this.#send('not JSON');
  }

  /** Silent audio keeps a task alive only where its client asked for heartbeats. */
  #watchSilence(running: Running): void {
    const { clock, timers } = this.#context;
    const { recognition, task } = running;
    const nowMs = clock.monotonicMs();
    if (recognition.lastSpeechMs > running.speechSeenMs) {
      running.speechSeenMs = recognition.lastSpeechMs;
      running.speechSeenAtMs = nowMs;
    }
    if (!task.heartbeat) {
      if (nowMs - running.speechSeenAtMs < timers.silenceMs) return;
      this.#fail({ code: 'RequestTimeOut', message: 'Response timeout!' });
      return;
    }
    if (recognition.audioMs - Math.max(running.heartbeatAtMs, running.speechSeenMs) < timers.heartbeatMs) {
      return;
    }
    running.heartbeatAtMs = recognition.audioMs;
    this.#send(encodeHeartbeat(task.taskId));
  }

  #faultAtFrame({ faults, frames }: Running): void {
    if (faults.stopReadingAtFrame === frames) this.#socket.pause();
    if (faults.failAtFrame?.frame === frames) this.#fail(faults.failAtFrame);
    if (faults.closeAtFrame?.frame !== frames) return;
    const { closeCode } = faults.closeAtFrame;
    if (closeCode === 1006) this.#socket.terminate();
    else this.#socket.close(closeCode);
  }

  /** task-failed, then the close that always follows it: the socket cannot be used again. */
  #fail({ code, message, taskId }: Partial<TaskFailure> & Pick<TaskFailure, 'code' | 'message'>): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    const own = state.kind === 'idle' ? '' : state.running.task.taskId;
    this.#send(encodeTaskFailed({ taskId: own === '' ? (taskId ?? '') : own, code, message }));
    this.#context.count('tasksFailed');
    this.#enter({ kind: 'closed' });
    this.#socket.close(NORMAL_CLOSURE);
  }

  #send(text: string): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.#socket.bufferedAmount > UNREAD_MAX_BYTES) this.#socket.terminate();
    else this.#socket.send(text);
  }
}
