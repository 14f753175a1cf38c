import { DashScopeError, DashScopeTaskFailed, DashScopeTimeout } from './errors.ts';
import type { SentenceResult, ServerMessage } from './server-messages.ts';

/**
 * One recognition task on one connection.
 *
 *     connecting ──opened──▶ starting ──task-started──▶ streaming ──finish──▶ finishing ──task-finished──▶ finished
 *        run-task is sent ───┘  audio is held until ───┘           └─ finish-task is sent
 *
 *     finish while connecting or starting is remembered and done after task-started, behind the held audio;
 *     without any audio and before run-task it leads straight to finished.
 *     Any state but the last two ──task-failed, closed, deadline, fail──▶ failed; nothing leads out of the last two.
 */
export type TaskState =
  /** No task exists yet at the service. */
  | { readonly kind: 'connecting'; readonly finishAsked: boolean }
  | { readonly kind: 'starting'; readonly finishAsked: boolean }
  /** Audio flows as it comes. `heard`: the service has given text. */
  | { readonly kind: 'streaming'; readonly heard: boolean }
  | { readonly kind: 'finishing'; readonly heard: boolean }
  | { readonly kind: 'finished' }
  | { readonly kind: 'failed'; readonly error: Error };

export type TaskEvent =
  | { readonly kind: 'opened' }
  | { readonly kind: 'message'; readonly message: ServerMessage }
  /** The connection is gone, or never came to be. */
  | { readonly kind: 'closed'; readonly error: Error }
  /** No audio follows; `audioGiven` tells whether any came before. */
  | { readonly kind: 'finish'; readonly audioGiven: boolean }
  /** The state lasted longer than {@link TaskDeadlines} allows. */
  | { readonly kind: 'deadline' }
  /** Ended by us: aborted, or a bound was reached. */
  | { readonly kind: 'fail'; readonly error: Error };

/** What the adapter has to do, in order. */
export type TaskOutput =
  | { readonly kind: 'send-run-task' }
  | { readonly kind: 'send-held-audio' }
  | { readonly kind: 'send-finish-task' }
  | { readonly kind: 'started' }
  | { readonly kind: 'result'; readonly result: SentenceResult }
  /** The service heard nothing in the whole task, which is its (empty) result. */
  | { readonly kind: 'no-speech'; readonly error: DashScopeTaskFailed }
  | { readonly kind: 'ignored'; readonly why: IgnoredMessage };

export const IGNORED_MESSAGES = ['heartbeat', 'foreign', 'unknown', 'malformed', 'misplaced'] as const;
export type IgnoredMessage = (typeof IGNORED_MESSAGES)[number];

/** How long the states that wait for the service may last. */
export interface TaskDeadlines {
  readonly connectTimeoutMs: number;
  readonly startTimeoutMs: number;
  readonly finishTimeoutMs: number;
}

export const initialTaskState: TaskState = { kind: 'connecting', finishAsked: false };

/** @returns undefined where the state may last as long as the call */
export function deadlineMs(state: TaskState, deadlines: TaskDeadlines): number | undefined {
  if (state.kind === 'connecting') return deadlines.connectTimeoutMs;
  if (state.kind === 'starting') return deadlines.startTimeoutMs;
  if (state.kind === 'finishing') return deadlines.finishTimeoutMs;
  return undefined;
}

export interface TaskStep {
  readonly state: TaskState;
  readonly outputs: readonly TaskOutput[];
}

const stay = (state: TaskState, ...outputs: TaskOutput[]): TaskStep => ({ state, outputs });
const ignored = (state: TaskState, why: IgnoredMessage): TaskStep => stay(state, { kind: 'ignored', why });
const fail = (error: Error): TaskStep => ({ state: { kind: 'failed', error }, outputs: [] });

/** @param taskId the task's own; a message of another is ignored */
export function nextTaskState(state: TaskState, event: TaskEvent, taskId: string): TaskStep {
  if (state.kind === 'finished' || state.kind === 'failed') return stay(state);
  switch (event.kind) {
    case 'opened':
      if (state.kind !== 'connecting') return stay(state);
      return stay({ ...state, kind: 'starting' }, { kind: 'send-run-task' });
    case 'message':
      return onMessage(state, event.message, taskId);
    case 'finish':
      return onFinish(state, event.audioGiven);
    case 'closed':
    case 'fail':
      return fail(event.error);
    case 'deadline':
      return fail(new DashScopeTimeout(TIMEOUT_TEXT[state.kind], taskId));
  }
}

type LiveState = Exclude<TaskState, { kind: 'finished' | 'failed' }>;

const TIMEOUT_TEXT: Record<LiveState['kind'], string> = {
  connecting: 'no connection to the recogniser in time',
  starting: 'the recogniser did not answer run-task with task-started in time',
  streaming: 'the recogniser is late',
  finishing:
    'the recogniser did not answer finish-task with task-finished in time; the last words may be missing',
};

function onFinish(state: LiveState, audioGiven: boolean): TaskStep {
  switch (state.kind) {
    case 'connecting':
      // Nothing was said and nobody was asked: an empty result without bothering the service.
      return audioGiven ? stay({ ...state, finishAsked: true }) : stay({ kind: 'finished' });
    case 'starting':
      // "Paraformer client events": finish-task only after the server's task-started.
      return stay({ ...state, finishAsked: true });
    case 'streaming':
      return stay({ ...state, kind: 'finishing' }, { kind: 'send-finish-task' });
    case 'finishing':
      return stay(state);
  }
}

function onMessage(state: LiveState, message: ServerMessage, taskId: string): TaskStep {
  if (message.kind === 'malformed') return ignored(state, 'malformed');
  // An empty id stands where the service could not read ours.
  const named = message.taskId ?? '';
  if (named !== '' && named !== taskId) return ignored(state, 'foreign');
  switch (message.kind) {
    case 'unknown':
      return ignored(state, 'unknown');
    case 'heartbeat':
      return ignored(state, 'heartbeat');
    case 'task-started':
      return state.kind === 'starting' ? started(state.finishAsked) : ignored(state, 'misplaced');
    case 'result-generated': {
      if (state.kind !== 'streaming' && state.kind !== 'finishing') return ignored(state, 'misplaced');
      const heard = state.heard || message.result.text !== '';
      return stay(heard === state.heard ? state : { ...state, heard }, {
        kind: 'result',
        result: message.result,
      });
    }
    case 'task-finished':
      if (state.kind === 'finishing') return stay({ kind: 'finished' });
      // Audio that is still to come would be lost without a word.
      return fail(
        new DashScopeError('protocol', 'ASR_PROTOCOL', `task-finished came unasked, while ${state.kind}`, {
          retryable: true,
          requestId: taskId,
        }),
      );
    case 'task-failed': {
      const error = new DashScopeTaskFailed(taskId, message.errorCode, message.errorMessage);
      // A leg on which nobody spoke: asked for the end, the service says that there was nothing.
      if (error.noSpeech && state.kind === 'finishing' && !state.heard) {
        return stay({ kind: 'finished' }, { kind: 'no-speech', error });
      }
      return fail(error);
    }
  }
}

function started(finishAsked: boolean): TaskStep {
  const outputs: TaskOutput[] = [{ kind: 'started' }, { kind: 'send-held-audio' }];
  if (!finishAsked) return stay({ kind: 'streaming', heard: false }, ...outputs);
  return stay({ kind: 'finishing', heard: false }, ...outputs, { kind: 'send-finish-task' });
}
