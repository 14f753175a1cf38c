import type { ConnectionFault, FaultMoment, RefusalFault, RequestFault, TaskFaults } from './faults.ts';

/** A fault as people write it, such as `drop:result=2,close=none`, read. */
export interface FaultText {
  readonly text: string;
  /** How likely it strikes each time; 1 unless it has `p=`. */
  readonly probability: number;
  readonly effect: FaultEffect;
}

export type FaultEffect =
  | { readonly on: 'connection'; readonly fault: ConnectionFault }
  | { readonly on: 'task'; readonly faults: TaskFaults }
  /** Strikes where `part` occurs in `POST /api/v1/… create_vocabulary`; the empty one always does. */
  | { readonly on: 'request'; readonly fault: RequestFault; readonly part: string };

export type FaultTextResult =
  | { readonly kind: 'fault'; readonly fault: FaultText }
  | { readonly kind: 'invalid'; readonly reason: string };

/** Usage of each fault and what it does; the order is that of a connection's life. */
export const FAULT_USAGE: readonly (readonly [usage: string, effect: string])[] = [
  ['refuse:status=429[,code=…][,message=…]', 'answers the upgrade with 400 to 599 instead of 101'],
  ['stall-upgrade[:for=ms]', 'answers the upgrade late, or never'],
  ['cut-upgrade', 'ends the connection instead of answering the upgrade'],
  ['stall-start[:for=ms]', 'sends task-started late, or never'],
  [
    'fail:code=InternalError[,message=…][,MOMENT]',
    'sends task-failed, then closes; default moment at=run-task',
  ],
  [
    'drop[:close=none|1000…4999][,reason=…][,MOMENT]',
    'ends the socket, without a close frame unless told; default moment at=start',
  ],
  ['stop-reading[:for=ms][,MOMENT]', 'reads nothing more; default moment at=start'],
  ['late:for=ms', 'each result comes so much later'],
  ['shuffle:window=N', 'holds N results back and sends them in a random order'],
  ['missing:share=0.5', 'leaves that share of the optional fields of results out, at random'],
  ['bare', 'results have begin_time, text and, on finals, end_time only'],
  ['end-null', 'finals have sentence_end true and end_time null'],
  ['double-finals', 'each final comes twice'],
  ['noise', 'unknown events, results of another task and broken JSON come between'],
  ['empty-finished', 'task-finished has an empty payload'],
  ['never-finish', 'does not answer finish-task'],
  [
    'rest-refuse:status=503[,code=…][,message=…][,on=…]',
    'answers a REST request with 400 to 599; on=create_vocabulary, on=tokens, …: only where this occurs',
  ],
  ['rest-stall[:for=ms][,on=…]', 'does what the REST request asks and answers late, or never'],
  ['rest-cut[:on=…]', 'ends the connection instead of answering a REST request'],
  ['rest-lose-answer[:on=…]', 'does what the REST request asks, then ends the connection'],
];

export const FAULT_MOMENTS =
  'at=run-task, at=start, at=finish, frame=N, result=N, or ms=N (after run-task); any fault takes p=0…1';

const TEXT_MAX = 1_000;
const NUMBER_MAX = 86_400_000;

type Args = Map<string, string>;
class Unreadable extends Error {}

/** Reads `name` or `name:key=value,key=value`. Never throws. */
export function parseFaultText(text: string): FaultTextResult {
  const [, name = '', rest] = /^([a-z-]+)(?::(.*))?$/s.exec(text) ?? [];
  if (text.length > TEXT_MAX) {
    return { kind: 'invalid', reason: `a fault has at most ${TEXT_MAX} characters` };
  }
  try {
    const args = parseArgs(rest ?? '');
    const probability = number(args, 'p', { min: 0, max: 1, whole: false }) ?? 1;
    const effect = effectOf(name, args);
    const unknown = [...args.keys()];
    if (unknown.length > 0) throw new Unreadable(`${name} does not know ${unknown.join(', ')}`);
    return { kind: 'fault', fault: { text, probability, effect } };
  } catch (thrown) {
    if (!(thrown instanceof Unreadable)) throw thrown;
    return { kind: 'invalid', reason: thrown.message };
  }
}

function parseArgs(rest: string): Args {
  const args: Args = new Map();
  if (rest === '') return args;
  for (const part of rest.split(',')) {
    const at = part.indexOf('=');
    if (at <= 0) throw new Unreadable(`expected key=value, found ${JSON.stringify(part)}`);
    args.set(part.slice(0, at), part.slice(at + 1));
  }
  return args;
}

function effectOf(name: string, args: Args): FaultEffect {
  const task = (faults: TaskFaults): FaultEffect => ({ on: 'task', faults });
  const rest = (fault: RequestFault): FaultEffect => ({ on: 'request', fault, part: take(args, 'on') ?? '' });
  switch (name) {
    case 'refuse':
      return { on: 'connection', fault: { kind: 'refuse', ...refusal(args) } };
    case 'stall-upgrade':
      return { on: 'connection', fault: { kind: 'stall', forMs: duration(args) ?? 'ever' } };
    case 'cut-upgrade':
      return { on: 'connection', fault: { kind: 'cut' } };
    case 'rest-refuse':
      return rest({ kind: 'refuse', ...refusal(args) });
    case 'rest-stall':
      return rest({ kind: 'stall', forMs: duration(args) ?? 'ever' });
    case 'rest-cut':
      return rest({ kind: 'cut' });
    case 'rest-lose-answer':
      return rest({ kind: 'lose-answer' });
    case 'stall-start':
      return task({ startDelayMs: duration(args) ?? 'never' });
    case 'fail': {
      const failure = { code: take(args, 'code') ?? 'InternalError', message: take(args, 'message') ?? '' };
      const moment = momentOf(args) ?? { at: 'run-task' };
      return task({ timed: [{ moment, action: { kind: 'fail', ...failure } }] });
    }
    case 'drop': {
      const close = { closeCode: closeCode(args), reason: take(args, 'reason') ?? '' };
      const moment = momentOf(args) ?? { at: 'task-started' };
      return task({ timed: [{ moment, action: { kind: 'close', ...close } }] });
    }
    case 'stop-reading': {
      const forMs = duration(args) ?? 'ever';
      const moment = momentOf(args) ?? { at: 'task-started' };
      return task({ timed: [{ moment, action: { kind: 'stop-reading', forMs } }] });
    }
    case 'late':
      return task({ lateResultsMs: required(duration(args), 'late', 'for') });
    case 'shuffle':
      return task({
        shuffleResults: required(number(args, 'window', { min: 2, max: 100 }), 'shuffle', 'window'),
      });
    case 'missing':
      return task({ missingFields: number(args, 'share', { min: 0, max: 1, whole: false }) ?? 0.5 });
    case 'bare':
    case 'end-null':
      return task({ results: name });
    case 'double-finals':
      return task({ doubleFinals: true });
    case 'noise':
      return task({ noise: true });
    case 'empty-finished':
      return task({ emptyTaskFinished: true });
    case 'never-finish':
      return task({ neverFinish: true });
    default:
      throw new Unreadable(
        `no fault is called ${JSON.stringify(name)}; there are ${FAULT_USAGE.map(([usage]) => /^[a-z-]+/.exec(usage)?.[0]).join(', ')}`,
      );
  }
}

function momentOf(args: Args): FaultMoment | undefined {
  const moments: FaultMoment[] = [];
  const at = take(args, 'at');
  if (at === 'run-task') moments.push({ at: 'run-task' });
  else if (at === 'start') moments.push({ at: 'task-started' });
  else if (at === 'finish') moments.push({ at: 'finish-task' });
  else if (at !== undefined) {
    throw new Unreadable(`at is run-task, start or finish, not ${JSON.stringify(at)}`);
  }
  const frame = number(args, 'frame', { min: 1 });
  if (frame !== undefined) moments.push({ at: 'frame', no: frame });
  const result = number(args, 'result', { min: 1 });
  if (result !== undefined) moments.push({ at: 'result', no: result });
  const ms = number(args, 'ms', { min: 0 });
  if (ms !== undefined) moments.push({ at: 'ms', ms });
  if (moments.length > 1) throw new Unreadable('a fault has one moment: one of at, frame, result and ms');
  return moments[0];
}

const REFUSALS: Readonly<Partial<Record<number, readonly [code: string, message: string]>>> = {
  401: ['InvalidApiKey', 'Invalid API-key provided.'],
  403: ['AccessDenied', 'Access denied.'],
  429: ['Throttling.RateQuota', 'Requests rate limit exceeded, please try again later.'],
  500: [
    'InternalError',
    'An internal error has occurred, please try again later or contact service support.',
  ],
  503: ['ServiceUnavailable', 'The service is overloaded.'],
};

function refusal(args: Args): RefusalFault {
  const status = required(number(args, 'status', { min: 400, max: 599 }), 'refuse', 'status');
  const [code, message] = REFUSALS[status] ?? ['InvalidParameter', 'Refused by a fault of the sandbox.'];
  return { status, code: take(args, 'code') ?? code, message: take(args, 'message') ?? message };
}

/** RFC 6455 §7.4: what may stand in a close frame. */
function closeCode(args: Args): number | 'none' {
  const close = take(args, 'close') ?? 'none';
  if (close === 'none' || close === '1006') return 'none';
  const code = Number(close);
  const reserved = code === 1004 || code === 1005 || (code > 1014 && code < 3000);
  if (Number.isInteger(code) && code >= 1000 && code <= 4999 && !reserved) return code;
  throw new Unreadable(`close is none or a close code that may be sent, not ${JSON.stringify(close)}`);
}

const duration = (args: Args): number | undefined => number(args, 'for', { min: 0 });

function take(args: Args, key: string): string | undefined {
  const value = args.get(key);
  args.delete(key);
  return value;
}

function number(
  args: Args,
  key: string,
  range: { readonly min: number; readonly max?: number; readonly whole?: boolean },
): number | undefined {
  const { min, max = NUMBER_MAX, whole = true } = range;
  const text = take(args, key);
  if (text === undefined) return undefined;
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
  throw new Unreadable(`${key} is a number from ${min} to ${max}, not ${JSON.stringify(text)}`);
}

function required<T>(value: T | undefined, name: string, key: string): T {
  if (value === undefined) throw new Unreadable(`${name} needs ${key}=`);
  return value;
}
