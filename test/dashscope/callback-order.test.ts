import { type AddressInfo, createServer } from 'node:net';

import { describe, expect, it } from 'vitest';

import { ConnectionPool } from '../../src/dashscope/connection-pool.ts';
import { DashScopeError } from '../../src/dashscope/errors.ts';
import type { RecognitionOptions } from '../../src/dashscope/recognition.ts';
import {
  faulty,
  FRAME,
  partialFirst,
  recognitionOn,
  running,
  serviceWith,
  type Told,
} from './recognition-probe.ts';
import {
  type ClientFrame,
  FINAL,
  goodService,
  PARTIAL,
  type Script,
  ScriptedService,
  type ServiceSocket,
} from './scripted-service.ts';

// That nothing is told twice, out of order or after `close` is seen to after every test: see recognition-probe.ts.

const WAYS = ['a socket of its own', 'a pool'] as const;

function recognitionBy(
  way: (typeof WAYS)[number],
  { url }: { readonly url: string },
  options: Partial<RecognitionOptions> = {},
): Told {
  if (way === 'a socket of its own') return recognitionOn({ url }, options);
  const { apiKey = 'sk-1', ...more } = options;
  const pool = new ConnectionPool({ url, apiKey });
  running.push(pool);
  return recognitionOn({ url }, { ...more, pool });
}

/** Frames by which the service knows where the client is. */
const FRAME_OF = { starting: 'run-task', streaming: 'audio', finishing: 'finish-task' } as const;
type Moment = keyof typeof FRAME_OF;
const MOMENTS: readonly Moment[] = ['starting', 'streaming', 'finishing'];

interface Fault {
  readonly name: string;
  readonly strike: (at: {
    readonly socket: ServiceSocket;
    readonly taskId: string;
    readonly probe: Told;
    readonly stopping: AbortController;
  }) => void;
  readonly error: Partial<DashScopeError> & { readonly closeReason?: string };
  /** Whether what the service said before is heard. */
  readonly resultsHeard: boolean;
  readonly moments?: readonly Moment[];
  readonly limits?: RecognitionOptions['limits'];
}

const close = (code: number): Fault => ({
  name: `closes with ${code}`,
  strike: ({ socket }) => {
    if (code === 1006) socket.cut();
    else socket.close(code, 'so it is');
  },
  error: {
    kind: 'close',
    code: 'ASR_CONNECTION_LOST',
    closeCode: code,
    closeReason: code === 1006 ? '' : 'so it is',
    retryable: code !== 1007,
  },
  resultsHeard: code !== 1006,
});

const FAULTS: readonly Fault[] = [
  ...[1000, 1001, 1006, 1007, 1011].map(close),
  {
    name: 'sends task-failed',
    strike: ({ socket, taskId }) => {
      socket.failed(taskId, 'Throttling.RateQuota', 'Requests rate limit exceeded, please try again later.');
    },
    error: {
      kind: 'task',
      code: 'ASR_TASK_FAILED',
      dashscopeCode: 'Throttling.RateQuota',
      dashscopeMessage: 'Requests rate limit exceeded, please try again later.',
      retryable: true,
    },
    resultsHeard: true,
  },
  {
    name: 'says nothing more',
    strike: () => undefined,
    error: { kind: 'timeout', code: 'ASR_TIMEOUT', retryable: true },
    resultsHeard: false,
    // Streaming may last as long as the call; the service itself ends it.
    moments: ['starting', 'finishing'],
    limits: { startTimeoutMs: 50, stopTimeoutMs: 50 },
  },
  {
    name: 'is left by abort()',
    strike: ({ probe }) => {
      probe.recognition.abort(new Error('hung up'));
    },
    error: { kind: 'aborted', code: 'ASR_ABORTED', cause: new Error('hung up'), retryable: false },
    resultsHeard: false,
  },
  {
    name: 'is left by the signal',
    strike: ({ stopping }) => {
      stopping.abort(new Error('hung up'));
    },
    error: { kind: 'aborted', code: 'ASR_ABORTED', cause: new Error('hung up'), retryable: false },
    resultsHeard: false,
  },
];

describe.each(WAYS)('on %s', (way) => {
  it('normal end: open, events, complete, close', async () => {
    const { recognition, told } = recognitionBy(way, await serviceWith(partialFirst));
    await recognition.start();
    expect(told).toEqual(['open']);
    recognition.sendAudioFrame(FRAME);
    await recognition.stop();
    expect(told).toEqual(['open', '您', '您好。|', 'complete', 'close']);
  });

  it.each(
    FAULTS.flatMap((fault) =>
      (fault.moments ?? MOMENTS).map((moment) => [fault.name, moment, fault] as const),
    ),
  )('the service %s while %s: error, close', async (_name, moment, fault) => {
    const stopping = new AbortController();
    const holder: { probe?: Told } = {};
    const script = faulty((frame, socket) => {
      if (frame.kind !== FRAME_OF[moment]) return false;
      const taskId = taskIdOf(socket.frames);
      if (fault.resultsHeard && moment !== 'starting') {
        socket.result(taskId, moment === 'streaming' ? PARTIAL : FINAL);
      }
      fault.strike({ socket, taskId, probe: holder.probe!, stopping });
      return true;
    });
    const { limits } = fault;
    const probe = recognitionBy(way, await serviceWith(script), { signal: stopping.signal, limits });
    holder.probe = probe;
    const { recognition, told, errors, closed } = probe;
    const started = recognition.start();
    if (moment === 'starting') recognition.sendAudioFrame(FRAME);
    else {
      await started;
      recognition.sendAudioFrame(FRAME);
      if (moment === 'finishing') {
        const thrown: unknown = await recognition.stop().catch((error: unknown) => error);
        expect(told.at(-1)).toBe('close');
        expect(thrown).toBe(errors[0]);
      }
    }
    await closed;
    const heard = { starting: [], streaming: ['您'], finishing: ['您好。|'] }[moment];
    expect(told).toEqual([
      ...(moment === 'starting' ? [] : ['open']),
      ...(fault.resultsHeard ? heard : []),
      'error',
      'close',
    ]);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ ...fault.error, requestId: recognition.getLastRequestId() });
    // Whoever looks at a promise, or goes on sending, is told the same.
    if (moment === 'starting') await expect(started).rejects.toBe(errors[0]);
    await expect(recognition.stop()).rejects.toBe(errors[0]);
    expect(() => recognition.sendAudioFrame(FRAME)).toThrow(errors[0]);
  });

  it.each([401, 403])('refused handshake with %i: error, close', async (httpStatus) => {
    const { recognition, told, errors } = recognitionBy(
      way,
      await serviceWith(goodService, () => httpStatus),
    );
    await expect(recognition.start()).rejects.toBeInstanceOf(DashScopeError);
    expect(told).toEqual(['error', 'close']);
    // The body's own words are kept: see scripted-service.ts.
    expect(errors).toMatchObject([
      { kind: 'handshake', httpStatus, retryable: false, dashscopeCode: 'InvalidApiKey', requestId: 'r-1' },
    ]);
  });

  it('nobody listens: error, close', async () => {
    const service = await ScriptedService.start();
    const { url } = service;
    await service[Symbol.asyncDispose]();
    const { recognition, told, errors } = recognitionBy(way, { url });
    await expect(recognition.start()).rejects.toBeInstanceOf(DashScopeError);
    expect(told).toEqual(['error', 'close']);
    expect(errors).toMatchObject([{ kind: 'network', code: 'ASR_UNREACHABLE', retryable: true }]);
  });

  it('time-out while connecting: error, close', async () => {
    const { recognition, told, errors } = recognitionBy(way, await silentServer(), {
      limits: { connectTimeoutMs: 30 },
    });
    await expect(recognition.start()).rejects.toBeInstanceOf(DashScopeError);
    expect(told).toEqual(['error', 'close']);
    expect(errors).toMatchObject([{ kind: 'timeout', code: 'ASR_TIMEOUT', retryable: true }]);
  });

  it('abort while connecting: error, close', async () => {
    const server = await silentServer();
    const { recognition, told, errors } = recognitionBy(way, server);
    const started = recognition.start();
    await server.asked;
    recognition.abort();
    const thrown: unknown = await started.catch((error: unknown) => error);
    expect(thrown).toBe(errors[0]);
    await expect(recognition.stop()).rejects.toBe(errors[0]);
    expect(told).toEqual(['error', 'close']);
    expect(errors).toMatchObject([{ kind: 'aborted', code: 'ASR_ABORTED' }]);
  });

  it('abort before the connection: error, close, and no connection', async () => {
    const service = await serviceWith();
    const { recognition, told } = recognitionBy(way, service, { signal: AbortSignal.abort() });
    await expect(recognition.start()).rejects.toMatchObject({ kind: 'aborted' });
    expect(told).toEqual(['error', 'close']);
    expect(service.sockets).toHaveLength(0);
  });

  it('a credential provider that fails: error, close', async () => {
    const apiKey = (): Promise<string> => Promise.reject(new Error('vault sealed'));
    const { recognition, told, errors } = recognitionBy(way, await serviceWith(), { apiKey });
    await expect(recognition.start()).rejects.toBeInstanceOf(DashScopeError);
    expect(told).toEqual(['error', 'close']);
    expect(errors[0]).toMatchObject({ kind: 'network', cause: { message: 'vault sealed' } });
  });

  it('nothing was said and nothing sent: complete, close', async () => {
    const { recognition, told } = recognitionBy(way, await serviceWith());
    const started = recognition.start();
    await recognition.stop();
    await started;
    expect(told).toEqual(['complete', 'close']);
  });

  it('silence that the service calls a failure: complete, close, with a warning', async () => {
    const script = faulty((frame, socket) => {
      if (frame.kind !== 'finish-task') return false;
      socket.failed(frame.taskId, 'NO_VALID_AUDIO_ERROR');
      return true;
    });
    const { recognition, told } = recognitionBy(way, await serviceWith(script));
    void recognition.start();
    recognition.sendAudioFrame(FRAME);
    await recognition.stop();
    expect(told).toEqual(['open', 'complete', 'close']);
    expect(recognition.warnings).toMatchObject([{ kind: 'no-speech', subject: 'NO_VALID_AUDIO_ERROR' }]);
  });

  it('stop before task-started, which comes: open, events, complete, close', async () => {
    const { recognition, told } = recognitionBy(way, await serviceWith(partialFirst));
    void recognition.start();
    recognition.sendAudioFrame(FRAME);
    await recognition.stop();
    expect(told).toEqual(['open', '您', '您好。|', 'complete', 'close']);
  });
});

it('a pool whose queue is full: error, close', async () => {
  const { url } = await serviceWith();
  const pool = new ConnectionPool({
    url,
    apiKey: 'sk-1',
    startRate: { perSecond: 0.001, burst: 1 },
    waitingMax: 0,
  });
  running.push(pool);
  void recognitionOn({ url }, { pool }).recognition.start();
  const { recognition, told, errors } = recognitionOn({ url }, { pool });
  await expect(recognition.start()).rejects.toBeInstanceOf(DashScopeError);
  expect(told).toEqual(['error', 'close']);
  expect(errors).toMatchObject([{ kind: 'overload', code: 'ASR_QUEUE_FULL', retryable: true }]);
});

it('a credential provider that gives all who wait the same error: each run has its own', async () => {
  const service = await serviceWith();
  const shared = new DashScopeError('handshake', 'ASR_REQUEST_REFUSED', 'no', {
    httpStatus: 429,
    retryable: true,
  });
  const apiKey = (): Promise<string> => Promise.reject(shared);
  const both = [recognitionOn(service, { apiKey }), recognitionOn(service, { apiKey })];
  await Promise.allSettled(both.map(({ recognition }) => recognition.start()));
  for (const { recognition, errors } of both) {
    const requestId = recognition.getLastRequestId();
    expect(errors).toMatchObject([
      { kind: 'handshake', httpStatus: 429, retryable: true, requestId, cause: shared },
    ]);
  }
  expect(shared.requestId).toBeUndefined();
});

it('stop has a deadline of its own, also while nothing has started', async () => {
  const silent: Script = () => undefined;
  const { recognition, told, errors } = recognitionOn(await serviceWith(silent));
  void recognition.start();
  recognition.sendAudioFrame(FRAME);
  await expect(recognition.stop({ timeoutMs: 20 })).rejects.toMatchObject({ code: 'ASR_TIMEOUT' });
  expect(told).toEqual(['error', 'close']);
  expect(errors[0]).toMatchObject({ retryable: true, requestId: recognition.getLastRequestId() });
});

function taskIdOf(frames: readonly ClientFrame[]): string {
  return frames.flatMap((frame) => (frame.kind === 'run-task' ? [frame.taskId] : [])).at(-1)!;
}

/** Takes connections and never answers. */
async function silentServer(): Promise<{ readonly url: string; readonly asked: Promise<void> }> {
  let onAsked!: () => void;
  const asked = new Promise<void>((resolve) => (onAsked = resolve));
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      onAsked();
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  running.push({
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      }),
  });
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`, asked };
}
