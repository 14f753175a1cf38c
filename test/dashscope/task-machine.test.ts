import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { SentenceResult, ServerMessage } from '../../src/dashscope/server-messages.ts';
import {
  deadlineMs,
  initialTaskState,
  nextTaskState,
  type TaskEvent,
  type TaskOutput,
  type TaskState,
} from '../../src/dashscope/task-machine.ts';

const TASK_ID = 'task-1';

const result = (text: string): SentenceResult => ({
  sentenceId: 1,
  beginMs: 0,
  endMs: undefined,
  text,
  final: false,
  words: [],
  emotion: undefined,
  usageSeconds: undefined,
});
const told = (message: ServerMessage): TaskEvent => ({ kind: 'message', message });

const OPENED: TaskEvent = { kind: 'opened' };
const STARTED = told({ kind: 'task-started', taskId: TASK_ID });
const RESULT = told({ kind: 'result-generated', taskId: TASK_ID, result: result('好') });
const FINISHED = told({ kind: 'task-finished', taskId: TASK_ID });
const FINISH: TaskEvent = { kind: 'finish', audioGiven: true };
const CLOSED: TaskEvent = { kind: 'closed', error: new Error('closed') };
const DEADLINE: TaskEvent = { kind: 'deadline' };
const failed = (errorCode: string): TaskEvent =>
  told({ kind: 'task-failed', taskId: TASK_ID, errorCode, errorMessage: '' });

function run(...events: TaskEvent[]): { state: TaskState; outputs: TaskOutput['kind'][] } {
  let state = initialTaskState;
  const outputs: TaskOutput['kind'][] = [];
  for (const event of events) {
    const step = nextTaskState(state, event, TASK_ID);
    state = step.state;
    outputs.push(...step.outputs.map((output) => output.kind));
  }
  return { state, outputs };
}

describe('the machine of a task', () => {
  it('goes through its states, and says what to send', () => {
    expect(run(OPENED, STARTED, RESULT, FINISH, RESULT, FINISHED)).toEqual({
      state: { kind: 'finished' },
      outputs: ['send-run-task', 'started', 'send-held-audio', 'result', 'send-finish-task', 'result'],
    });
  });

  it.each([
    ['before the connection', [FINISH, OPENED, STARTED]],
    ['before task-started', [OPENED, FINISH, STARTED]],
  ])('sends finish-task after the held audio, asked %s', (_case, events) => {
    expect(run(...events)).toEqual({
      state: { kind: 'finishing', heard: false },
      outputs: ['send-run-task', 'started', 'send-held-audio', 'send-finish-task'],
    });
  });

  it('ends without a task when there was no audio', () => {
    expect(run({ kind: 'finish', audioGiven: false })).toEqual({ state: { kind: 'finished' }, outputs: [] });
  });

  it('sends finish-task once, however often it is asked', () => {
    expect(
      run(OPENED, STARTED, FINISH, FINISH, FINISH).outputs.filter((kind) => kind === 'send-finish-task'),
    ).toHaveLength(1);
  });

  it.each([
    [
      'a result of another task',
      told({ kind: 'result-generated', taskId: 'task-2', result: result('好') }),
      'foreign',
    ],
    ['the end of another task', told({ kind: 'task-finished', taskId: 'task-2' }), 'foreign'],
    [
      'the failure of another task',
      told({ kind: 'task-failed', taskId: 'x', errorCode: '', errorMessage: '' }),
      'foreign',
    ],
    ['an unknown event', told({ kind: 'unknown', taskId: TASK_ID }), 'unknown'],
    ['a heartbeat', told({ kind: 'heartbeat', taskId: TASK_ID }), 'heartbeat'],
    ['what cannot be read', told({ kind: 'malformed', fault: '' }), 'malformed'],
    ['a second task-started', STARTED, 'misplaced'],
  ])('counts %s and goes on', (_case, event, why) => {
    const { state } = run(OPENED, STARTED);
    expect(nextTaskState(state, event, TASK_ID)).toEqual({ state, outputs: [{ kind: 'ignored', why }] });
  });

  it('takes a message that names no task as its own', () => {
    expect(run(OPENED, told({ kind: 'task-started', taskId: undefined })).state.kind).toBe('streaming');
  });

  it('does not take a result before task-started', () => {
    expect(run(OPENED, RESULT).outputs).toEqual(['send-run-task', 'ignored']);
  });

  it.each([
    ['connecting', []],
    ['starting', [OPENED]],
    ['streaming', [OPENED, STARTED]],
    ['finishing', [OPENED, STARTED, FINISH]],
  ])('fails from %s by close, deadline, task-failed and from inside', (kind, events) => {
    const { state } = run(...events);
    expect(state.kind).toBe(kind);
    const inside: TaskEvent = { kind: 'fail', error: new Error('inside') };
    for (const event of [CLOSED, DEADLINE, inside, failed('InternalError')]) {
      expect(nextTaskState(state, event, TASK_ID).state.kind).toBe('failed');
    }
  });

  it('fails when the service finishes a task unasked, for audio would be lost', () => {
    expect(run(OPENED, STARTED, FINISHED).state).toMatchObject({
      kind: 'failed',
      error: { code: 'ASR_PROTOCOL', retryable: true },
    });
  });

  it.each(['NO_VALID_AUDIO_ERROR', 'NO_INPUT_AUDIO_ERROR', 'EmptyAudio'])(
    'takes %s as an empty end only when the end was asked for and nothing was heard',
    (code) => {
      expect(run(OPENED, STARTED, FINISH, failed(code)).state.kind).toBe('finished');
      expect(run(OPENED, STARTED, failed(code)).state.kind).toBe('failed');
      expect(run(OPENED, STARTED, RESULT, FINISH, failed(code)).state.kind).toBe('failed');
      expect(run(OPENED, STARTED, FINISH, RESULT, failed(code)).state.kind).toBe('failed');
    },
  );

  it('has a deadline in each state that waits for the service, and in no other', () => {
    const deadlines = { connectTimeoutMs: 1, startTimeoutMs: 2, finishTimeoutMs: 3 };
    const of = (...events: TaskEvent[]): number | undefined => deadlineMs(run(...events).state, deadlines);
    expect([of(), of(OPENED), of(OPENED, STARTED), of(OPENED, STARTED, FINISH), of(CLOSED)]).toEqual([
      1,
      2,
      undefined,
      3,
      undefined,
    ]);
  });

  it('any events: run-task and finish-task once at most, in order, and nothing after the end', () => {
    const anyEvent = fc.constantFrom<TaskEvent>(
      OPENED,
      STARTED,
      RESULT,
      FINISHED,
      FINISH,
      CLOSED,
      DEADLINE,
      failed('Throttling'),
      failed('EmptyAudio'),
    );
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 20 }), (events) => {
        let state = initialTaskState;
        const sent: string[] = [];
        for (const event of events) {
          const over = state.kind === 'finished' || state.kind === 'failed';
          const step = nextTaskState(state, event, TASK_ID);
          if (over) expect(step).toEqual({ state, outputs: [] });
          state = step.state;
          sent.push(...step.outputs.map((output) => output.kind).filter((kind) => kind.startsWith('send-')));
        }
        expect([
          '',
          'send-run-task',
          'send-run-task,send-held-audio',
          'send-run-task,send-held-audio,send-finish-task',
        ]).toContain(sent.join());
      }),
    );
  });
});
