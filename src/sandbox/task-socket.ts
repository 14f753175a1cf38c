import type { RawData, WebSocket } from 'ws';

import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import {
  type ClientRequest,
  decodeClientFrame,
  type TaskFailure,
  type TaskRequest,
} from './client-frames.ts';
import { FaultTiming } from './fault-timing.ts';
import type { FailureFault, FaultAction, TaskFaults } from './faults.ts';
import type { FfmpegPool } from './ffmpeg-decoder.ts';
import type { SandboxProtocol, SandboxTimers } from './protocol-terms.ts';
import type { SandboxRecogniser } from './recogniser.ts';
import { encodeTaskFailed, encodeTaskFinished, encodeTaskStarted } from './server-frames.ts';
import { TaskRun } from './task-run.ts';

/** Whether a run-task may start. */
export type Admission =
  | { readonly kind: 'admitted'; readonly faults: TaskFaults }
  | { readonly kind: 'refused'; readonly failure: FailureFault };

/** What a socket needs of its server. */
export interface TaskSocketContext {
  readonly recogniser: SandboxRecogniser;
  readonly ffmpeg: FfmpegPool;
  readonly protocol: SandboxProtocol;
  readonly timers: SandboxTimers;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Asked for each run-task. */
  admit(task: TaskRequest): Admission;
  count(what: SocketCount, by?: number): void;
  /** A task came to life (1) or is gone (-1). */
  onTask(by: 1 | -1): void;
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
 */
type SocketState =
  | { readonly kind: 'idle' }
  | {
      readonly kind: 'starting';
      readonly run: TaskRun;
      readonly early: Buffer[];
      earlyBytes: number;
      finishAsked: boolean;
    }
  | { readonly kind: 'running'; readonly run: TaskRun }
  | { readonly kind: 'finishing'; readonly run: TaskRun }
  | { readonly kind: 'closed' };

/** Audio that is kept before task-started. */
const EARLY_MAX_BYTES = 1 << 20;
/** Results that a client does not read; beyond it the socket is cut. */
const UNREAD_MAX_BYTES = 4 << 20;
const NORMAL_CLOSURE = 1000;
const INTERNAL_ERROR = 1011;

export class TaskSocket {
  readonly #socket: WebSocket;
  readonly #context: TaskSocketContext;
  #state: SocketState = { kind: 'idle' };
  /** The state's own time limit. */
  #limit: NodeJS.Timeout | undefined;
  readonly #timing: FaultTiming;
  /** Why nothing is read. */
  readonly #pauses = new Set<'fault' | 'decoder'>();

  constructor(socket: WebSocket, context: TaskSocketContext) {
    this.#socket = socket;
    this.#context = context;
    this.#timing = new FaultTiming(
      (action) => {
        this.#strike(action);
      },
      (act) => {
        this.#guard(act);
      },
    );
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
    if (state.kind === 'idle' || state.kind === 'closed') this.#dropTask();
    this.#state = state;
    const { timers } = this.#context;
    switch (state.kind) {
      case 'idle':
        this.#limitState(timers.idleMs, () => {
          this.#hangUp(NORMAL_CLOSURE);
        });
        return;
      case 'running':
        this.#limitState(timers.noFrameMs, () => {
          const seconds = Math.round(timers.noFrameMs / 1000);
          this.#fail({ code: 'CLIENT_ERROR', message: `request timeout after ${seconds} seconds.` });
        });
        return;
      case 'starting':
      case 'finishing':
        // Only where a fault, or a decoder, keeps it from going on.
        this.#limitState(timers.idleMs, () => {
          this.#hangUp(INTERNAL_ERROR);
        });
        return;
      case 'closed':
        return;
      default:
        state satisfies never;
    }
  }

  #limitState(ms: number, act: () => void): void {
    this.#limit = setTimeout(act, ms);
  }

  /** Nothing of a task outlives it. */
  #dropTask(): void {
    this.#timing.clear();
    this.#pause('decoder', false);
    this.#pause('fault', false);
    const state = this.#state;
    if (state.kind === 'idle' || state.kind === 'closed') return;
    state.run.close();
    this.#context.onTask(-1);
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
        else this.#refuse(`run-task came while a task is ${this.#state.kind}.`);
        return;
      case 'finish-task':
        this.#onFinishTask(request.taskId);
        return;
      default:
        request satisfies never;
    }
  }

  #onRunTask(task: TaskRequest): void {
    const { taskId } = task;
    const admission = this.#context.admit(task);
    if (admission.kind === 'refused') {
      this.#fail({ taskId, ...admission.failure });
      return;
    }
    const { faults } = admission;
    const run = new TaskRun(task, faults, {
      ...this.#context,
      onReady: () => {
        this.#onReady(faults);
      },
      send: (text) => {
        this.#send(text);
      },
      onResult: (no, final) => {
        this.#context.count('results');
        if (final) this.#context.count('finals');
        this.#timing.reach((moment) => moment.at === 'result' && moment.no === no);
      },
      fail: (failure) => {
        this.#fail(failure);
      },
      onPressure: (pressure) => {
        this.#pause('decoder', pressure === 'full');
      },
    });
    this.#enter({ kind: 'starting', run, early: [], earlyBytes: 0, finishAsked: false });
    this.#context.onTask(1);
    this.#timing.arm(faults);
    this.#timing.reach((moment) => moment.at === 'run-task');
    if (this.#isStarting()) run.open();
  }

  /** A fault may have ended the task meanwhile. */
  #isStarting(): boolean {
    return this.#state.kind === 'starting';
  }

  #onReady({ startDelayMs }: TaskFaults): void {
    if (startDelayMs === undefined) this.#start();
    else if (startDelayMs !== 'never') {
      this.#timing.after(startDelayMs, () => {
        this.#start();
      });
    }
  }

  #start(): void {
    if (this.#state.kind !== 'starting') return;
    const { run, early, finishAsked } = this.#state;
    this.#enter({ kind: 'running', run });
    this.#context.count('tasksStarted');
    this.#send(encodeTaskStarted(run.task.taskId));
    this.#timing.reach((moment) => moment.at === 'task-started');
    for (const audio of early) this.#onAudio(audio);
    if (finishAsked) this.#onFinishTask(run.task.taskId);
  }

  #onFinishTask(taskId: string): void {
    const state = this.#state;
    const strict = this.#context.protocol === 'strict';
    if (state.kind === 'closed') return;
    if (state.kind === 'starting' && !strict) {
      state.finishAsked = true;
      return;
    }
    if (state.kind !== 'running') {
      this.#refuse(`finish-task came while ${state.kind}.`, taskId);
      return;
    }
    const { run } = state;
    if (strict && taskId !== run.task.taskId) {
      this.#refuse('finish-task names another task.');
      return;
    }
    this.#enter({ kind: 'finishing', run });
    this.#timing.reach((moment) => moment.at === 'finish-task');
    if (run.faults.neverFinish === true || this.#state.kind !== 'finishing') return;
    run.finish(() => {
      const payload = run.faults.emptyTaskFinished === true ? 'empty' : 'usual';
      this.#send(encodeTaskFinished(run.task.taskId, payload));
      this.#context.count('tasksFinished');
      this.#enter({ kind: 'idle' });
    });
  }

  #onAudio(audio: Buffer): void {
    const state = this.#state;
    const strict = this.#context.protocol === 'strict';
    if (strict && (state.kind === 'starting' || state.kind === 'finishing')) {
      this.#refuse(`audio came ${state.kind === 'starting' ? 'before task-started' : 'after finish-task'}.`);
      return;
    }
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
    const { run } = state;
    this.#limit?.refresh();
    this.#context.count('framesReceived');
    this.#context.count('bytesReceived', audio.length);
    run.feed(audio);
    const { frames } = run;
    this.#timing.reach((moment) => moment.at === 'frame' && moment.no === frames);
  }

  #strike(action: FaultAction): void {
    switch (action.kind) {
      case 'fail':
        this.#fail(action);
        return;
      case 'close':
        this.#hangUp(action.closeCode, action.reason);
        return;
      case 'stop-reading':
        this.#pause('fault', true);
        if (action.forMs === 'ever') return;
        this.#timing.after(action.forMs, () => {
          this.#pause('fault', false);
        });
        return;
      default:
        action satisfies never;
    }
  }

  #pause(why: 'fault' | 'decoder', paused: boolean): void {
    const { size } = this.#pauses;
    if (paused) this.#pauses.add(why);
    else this.#pauses.delete(why);
    if (size === 0 && this.#pauses.size === 1) this.#socket.pause();
    else if (size === 1 && this.#pauses.size === 0) this.#socket.resume();
  }

  #refuse(message: string, taskId = ''): void {
    this.#fail({ taskId, code: 'InvalidParameter', message });
  }

  /** task-failed, then the close that always follows it: the socket cannot be used again. */
  #fail({ code, message, taskId = '' }: Partial<TaskFailure> & FailureFault): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    const own = state.kind === 'idle' ? '' : state.run.task.taskId;
    this.#send(encodeTaskFailed({ taskId: own === '' ? taskId : own, code, message }));
    this.#context.count('tasksFailed');
    this.#hangUp(NORMAL_CLOSURE);
  }

  /** @param closeCode `none` cuts the socket without a close frame */
  #hangUp(closeCode: number | 'none', reason = ''): void {
    this.#enter({ kind: 'closed' });
    if (closeCode === 'none') this.#socket.terminate();
    else this.#socket.close(closeCode, closeReason(reason));
  }

  #send(text: string): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.#socket.bufferedAmount > UNREAD_MAX_BYTES) this.#socket.terminate();
    else this.#socket.send(text);
  }
}

/** RFC 6455 §5.5: a close frame has room for 123 bytes of reason. */
function closeReason(text: string): string {
  return Buffer.from(text).subarray(0, 120).toString('utf8');
}
