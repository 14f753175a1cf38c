import type { DashScopeError } from '../../src/dashscope/errors.ts';
import type { Manner } from './faulted-recognition.ts';

/** Where the client is when the fault strikes. */
export const MOMENTS = ['connecting', 'starting', 'streaming', 'finishing'] as const;
export type Moment = (typeof MOMENTS)[number];

/** How it ends: in an error, or in everything that was said. */
export type Ending =
  | { readonly kind: 'error'; readonly error: Partial<DashScopeError>; readonly opened: boolean }
  | { readonly kind: 'everything'; readonly finals: 'in order' | 'in any order' | 'twice' }
  /** Nothing was said, and the service calls that a failure. */
  | { readonly kind: 'no-speech' };

export interface Run {
  /** As people write it. */
  readonly fault: string;
  /** A second fault, which brings the first to its moment. */
  readonly beside?: string;
  readonly manner: Manner;
  readonly ending: Ending;
  /** On a socket that served a task before, where that changes something: a fresh one takes its place, unseen. */
  readonly reused?: 'replaced';
}

/** One fault at one moment: tried in these ways, or impossible by what the fault is. */
export type Cell = readonly Run[] | string;

const MANNER: Readonly<Record<Moment, Manner>> = {
  connecting: 'at once',
  starting: 'at once',
  streaming: 'endless',
  finishing: 'at once',
};

const fails = (
  moment: Moment,
  fault: string,
  error: Partial<DashScopeError>,
  more: Partial<Run> & { readonly opened?: boolean } = {},
): Run => {
  const { opened = moment === 'streaming' || moment === 'finishing', ...rest } = more;
  return { fault, manner: MANNER[moment], ending: { kind: 'error', error, opened }, ...rest };
};

const lives = (
  moment: Moment,
  fault: string,
  finals: 'in order' | 'in any order' | 'twice' = 'in order',
): Run => ({
  fault,
  manner: moment === 'streaming' ? 'after a result' : MANNER[moment],
  ending: { kind: 'everything', finals },
});

const refused = (args: string, error: Partial<DashScopeError>): Run =>
  fails('connecting', `refuse:${args}`, { kind: 'handshake', code: 'ASR_HANDSHAKE_REFUSED', ...error });

/** Every way to end a socket; 1007 alone says that the same would be refused again. */
const drops = (moment: Moment, at: string, more: Partial<Run> = {}): Run[] =>
  [
    ['none', 1006],
    ['1000', 1000],
    ['1001', 1001],
    ['1007', 1007],
    ['1011', 1011],
  ].map(([close, closeCode]) =>
    fails(
      moment,
      `drop:close=${String(close)},${at}`,
      {
        kind: 'close',
        code: 'ASR_CONNECTION_LOST',
        closeCode: closeCode as number,
        retryable: closeCode !== 1007,
      },
      more,
    ),
  );

const failed = (moment: Moment, at: string, more: Partial<Run> = {}): Run =>
  fails(
    moment,
    `fail:code=InternalError,${at}`,
    { kind: 'task', code: 'ASR_TASK_FAILED', dashscopeCode: 'InternalError', retryable: true },
    more,
  );

const noSpeech = (code: string): Run => ({
  fault: `fail:code=${code},at=finish`,
  manner: 'silence',
  ending: { kind: 'no-speech' },
});

const TIMEOUT = { kind: 'timeout', code: 'ASR_TIMEOUT', retryable: true } as const;
const BACKLOG = { kind: 'overload', code: 'ASR_BACKLOG_FULL', retryable: true } as const;
const UNREACHABLE = { kind: 'network', code: 'ASR_UNREACHABLE', retryable: true } as const;
const REQUEST_REFUSED = { kind: 'handshake', code: 'ASR_REQUEST_REFUSED' } as const;

const UPGRADE_OVER = 'strikes in the upgrade, which is over';
const NO_TASK = 'strikes from run-task on, which is not sent yet';
const NO_RESULT = 'strikes with results, and none comes before task-started';
const NOT_STARTING = 'strikes in place of task-started, which has come';
const NOT_ASKED = 'strikes in the answer to finish-task, which is not sent yet';
const NO_REQUEST = 'strikes in REST, which the client uses for the key of a new connection only';

const afterUpgrade = { starting: UPGRADE_OVER, streaming: UPGRADE_OVER, finishing: UPGRADE_OVER } as const;
const afterKey = { starting: NO_REQUEST, streaming: NO_REQUEST, finishing: NO_REQUEST } as const;
const beforeResults = { connecting: NO_TASK, starting: NO_RESULT } as const;
const atFinishOnly = { connecting: NO_TASK, starting: NOT_ASKED, streaming: NOT_ASKED } as const;

/** A fault of results: the client takes them as they come, before and after it asked for the end. */
const results =
  (args = '', finals?: 'in any order' | 'twice') =>
  (name: string) => ({
    ...beforeResults,
    streaming: [lives('streaming', `${name}${args}`, finals)],
    finishing: [lives('finishing', `${name}${args}`, finals)],
  });

/** Every fault of the sandbox at every moment of a recognition. */
export const FAULT_TABLE: Readonly<Record<string, Readonly<Record<Moment, Cell>>>> = {
  refuse: {
    connecting: [
      refused('status=400', { httpStatus: 400, retryable: false }),
      refused('status=401', { httpStatus: 401, dashscopeCode: 'InvalidApiKey', retryable: false }),
      refused('status=403', { httpStatus: 403, dashscopeCode: 'AccessDenied', retryable: false }),
      refused('status=429', { httpStatus: 429, dashscopeCode: 'Throttling.RateQuota', retryable: true }),
      refused('status=500', { httpStatus: 500, dashscopeCode: 'InternalError', retryable: true }),
      refused('status=503', { httpStatus: 503, dashscopeCode: 'ServiceUnavailable', retryable: true }),
      refused('status=429,code=PostpaidBillOverdue', {
        dashscopeCode: 'PostpaidBillOverdue',
        retryable: false,
      }),
    ],
    ...afterUpgrade,
  },
  'stall-upgrade': {
    connecting: [fails('connecting', 'stall-upgrade', TIMEOUT), lives('connecting', 'stall-upgrade:for=20')],
    ...afterUpgrade,
  },
  'cut-upgrade': { connecting: [fails('connecting', 'cut-upgrade', UNREACHABLE)], ...afterUpgrade },
  'stall-start': {
    connecting: NO_TASK,
    starting: [
      fails('starting', 'stall-start', TIMEOUT, { reused: 'replaced' }),
      lives('starting', 'stall-start:for=20'),
    ],
    streaming: NOT_STARTING,
    finishing: NOT_STARTING,
  },
  fail: {
    connecting: NO_TASK,
    starting: [failed('starting', 'at=run-task'), failed('starting', 'ms=20', { beside: 'stall-start' })],
    streaming: ['at=start', 'frame=5', 'result=2', 'ms=30'].map((at) => failed('streaming', at)),
    finishing: [
      failed('finishing', 'at=finish'),
      failed('finishing', 'result=2'),
      noSpeech('NO_VALID_AUDIO_ERROR'),
      noSpeech('NO_INPUT_AUDIO_ERROR'),
      noSpeech('EmptyAudio'),
    ],
  },
  drop: {
    connecting: NO_TASK,
    starting: [
      ...drops('starting', 'at=run-task', { reused: 'replaced' }),
      ...drops('starting', 'ms=20', { beside: 'stall-start', reused: 'replaced' }).slice(0, 2),
    ],
    streaming: ['at=start', 'frame=5', 'result=2', 'ms=30'].flatMap((at) => drops('streaming', at)),
    finishing: ['at=finish', 'result=2'].flatMap((at) => drops('finishing', at)),
  },
  'stop-reading': {
    connecting: NO_TASK,
    starting: [
      fails('starting', 'stop-reading:at=run-task', TIMEOUT, { opened: true }),
      fails('starting', 'stop-reading:at=run-task', BACKLOG, { opened: true, manner: 'endless' }),
      fails('starting', 'stop-reading:at=run-task', TIMEOUT, { beside: 'stall-start', reused: 'replaced' }),
      lives('starting', 'stop-reading:for=20,at=run-task'),
    ],
    streaming: [
      fails('streaming', 'stop-reading:frame=5', BACKLOG),
      fails('streaming', 'stop-reading:result=2', BACKLOG),
      lives('streaming', 'stop-reading:for=20,frame=5'),
    ],
    finishing: [
      fails('finishing', 'stop-reading:frame=5', TIMEOUT),
      // It was read before; the close that follows is read again.
      lives('finishing', 'stop-reading:at=finish'),
      lives('finishing', 'stop-reading:for=20,frame=5'),
    ],
  },
  late: {
    ...beforeResults,
    streaming: [lives('streaming', 'late:for=20')],
    finishing: [lives('finishing', 'late:for=20'), fails('finishing', 'late:for=5000', TIMEOUT)],
  },
  shuffle: results(':window=3', 'in any order')('shuffle'),
  missing: {
    ...beforeResults,
    streaming: [lives('streaming', 'missing:share=1'), lives('streaming', 'missing:share=0.5')],
    finishing: [lives('finishing', 'missing:share=1'), lives('finishing', 'missing:share=0.5')],
  },
  bare: results()('bare'),
  'end-null': results()('end-null'),
  'double-finals': results('', 'twice')('double-finals'),
  noise: results()('noise'),
  'empty-finished': { ...atFinishOnly, finishing: [lives('finishing', 'empty-finished')] },
  'never-finish': { ...atFinishOnly, finishing: [fails('finishing', 'never-finish', TIMEOUT)] },
  'rest-refuse': {
    connecting: [
      fails('connecting', 'rest-refuse:status=401', {
        ...REQUEST_REFUSED,
        httpStatus: 401,
        dashscopeCode: 'InvalidApiKey',
        retryable: false,
      }),
      fails('connecting', 'rest-refuse:status=503', {
        ...REQUEST_REFUSED,
        httpStatus: 503,
        retryable: true,
      }),
    ],
    ...afterKey,
  },
  'rest-stall': {
    connecting: [fails('connecting', 'rest-stall', TIMEOUT), lives('connecting', 'rest-stall:for=20')],
    ...afterKey,
  },
  'rest-cut': { connecting: [fails('connecting', 'rest-cut', UNREACHABLE)], ...afterKey },
  'rest-lose-answer': {
    connecting: [fails('connecting', 'rest-lose-answer', UNREACHABLE)],
    ...afterKey,
  },
};
