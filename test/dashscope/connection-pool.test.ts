import { afterEach, describe, expect, it } from 'vitest';

import { ConnectionPool, type ConnectionPoolOptions } from '../../src/dashscope/connection-pool.ts';
import { RecognitionTask, TASK_LIMITS, type TaskLimits } from '../../src/dashscope/task.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { goodService, openResources, type Script, ScriptedService } from './scripted-service.ts';

const running: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of running.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

async function serviceWith(...args: Parameters<typeof ScriptedService.start>): Promise<ScriptedService> {
  const service = await ScriptedService.start(...args);
  running.push(service);
  return service;
}

function poolOn(url: string, options: Partial<ConnectionPoolOptions> = {}): ConnectionPool {
  const startRate = { perSecond: 1_000, burst: 1_000 };
  const pool = new ConnectionPool({ url, apiKey: 'sk-1', startRate, ...options });
  running.push(pool);
  return pool;
}

interface Ran {
  readonly task: RecognitionTask;
  readonly started: Promise<void>;
  /** The error, or undefined. */
  readonly ended: Promise<unknown>;
}

function start(pool: ConnectionPool, limits: Partial<TaskLimits> = {}): Ran {
  let onStarted!: () => void;
  let onEnd!: (error: unknown) => void;
  const started = new Promise<void>((resolve) => (onStarted = resolve));
  const ended = new Promise<unknown>((resolve) => (onEnd = resolve));
  const task = RecognitionTask.start({
    model: 'paraformer-realtime-8k-v2',
    parameters: { format: 'pcm', sampleRate: 8000 },
    limits: { ...TASK_LIMITS, ...limits },
    connect: pool.connect,
    listener: { onStarted, onResult: () => undefined, onEnd },
  });
  return { task, started, ended };
}

/** One whole task with 100 ms of audio. */
async function runTask(pool: ConnectionPool): Promise<unknown> {
  const { task, ended } = start(pool);
  task.push(Buffer.alloc(1_600));
  await task.finish();
  return ended;
}

const kinds = (service: ScriptedService): string[] => service.frames.map((frame) => frame.kind);

describe('a socket after its task', () => {
  it('serves the next task, with another task id, when the service finished the one before', async () => {
    const service = await serviceWith();
    const pool = poolOn(service.url);
    expect([await runTask(pool), await runTask(pool)]).toEqual([undefined, undefined]);
    expect(service.sockets).toHaveLength(1);
    expect(kinds(service)).toEqual(['run-task', 'audio', 'finish-task', 'run-task', 'audio', 'finish-task']);
    const ids = service.frames.flatMap((frame) => (frame.kind === 'run-task' ? [frame.taskId] : []));
    expect(new Set(ids).size).toBe(2);
    expect(pool.counters).toMatchObject({ opened: 1, reused: 1, started: 2, idle: 1, inUse: 0 });
  });

  it('is not used again after task-failed', async () => {
    const script: Script = (frame, socket) => {
      if (frame.kind === 'audio' && socket.no === 1) socket.failed('', 'InternalError');
      else goodService(frame, socket);
    };
    const service = await serviceWith(script);
    const pool = poolOn(service.url);
    expect(await runTask(pool)).toMatchObject({ dashscopeCode: 'InternalError' });
    expect(await runTask(pool)).toBeUndefined();
    expect(service.sockets).toHaveLength(2);
    expect(pool.counters).toMatchObject({ opened: 2, reused: 0 });
  });

  it('is not used again after an abort', async () => {
    const service = await serviceWith();
    const pool = poolOn(service.url);
    const { task, started } = start(pool);
    await started;
    await task.abort(new Error('enough'));
    expect(await runTask(pool)).toBeUndefined();
    expect(service.sockets).toHaveLength(2);
  });

  it('is not used again when it was idle for too long', async () => {
    const service = await serviceWith();
    const pool = poolOn(service.url, { idleMaxMs: 1 });
    await runTask(pool);
    while (pool.counters.idle > 0) await new Promise(setImmediate);
    await runTask(pool);
    expect(pool.counters).toMatchObject({ opened: 2, reused: 0 });
  });

  it.each([
    ['no reuse is wanted', { idleMaxMs: 0 }],
    ['enough sockets wait', { idleMax: 0 }],
  ])('is closed when %s', async (_case, options) => {
    const service = await serviceWith();
    const pool = poolOn(service.url, options);
    await runTask(pool);
    expect(pool.counters).toMatchObject({ idle: 0 });
  });

  it('is not used again when it speaks while it has no task', async () => {
    const service = await serviceWith();
    const pool = poolOn(service.url);
    await runTask(pool);
    service.sockets[0]!.result('late', { begin_time: 0, text: '' });
    while (pool.counters.idle > 0) await new Promise(setImmediate);
    expect(await runTask(pool)).toBeUndefined();
    expect(pool.counters).toMatchObject({ opened: 2, reused: 0 });
  });

  it('is forgotten when the service closes it', async () => {
    const service = await serviceWith();
    const pool = poolOn(service.url);
    await runTask(pool);
    service.sockets[0]!.close(1000);
    while (pool.counters.idle > 0) await new Promise(setImmediate);
    expect(await runTask(pool)).toBeUndefined();
    expect(pool.counters).toMatchObject({ opened: 2, reused: 0, replaced: 0 });
  });
});

describe('a reused socket that is dead', () => {
  /** The first socket serves one task, then does `fault` at the next run-task. */
  const staleAfterOne =
    (fault: (socket: Parameters<Script>[1]) => void): Script =>
    (frame, socket) => {
      const runs = socket.frames.filter((each) => each.kind === 'run-task').length;
      if (frame.kind === 'run-task' && socket.no === 1 && runs === 2) fault(socket);
      else goodService(frame, socket);
    };

  it.each<[string, (socket: Parameters<Script>[1]) => void]>([
    [
      'is cut',
      (socket) => {
        socket.cut();
      },
    ],
    [
      'is closed',
      (socket) => {
        socket.close(1001);
      },
    ],
    ['says nothing', () => undefined],
  ])('and %s before it answers run-task is replaced once, unseen by the task', async (_case, fault) => {
    const service = await serviceWith(staleAfterOne(fault));
    const pool = poolOn(service.url, { reusedAnswerMs: 50 });
    await runTask(pool);
    expect(await runTask(pool)).toBeUndefined();
    expect(service.sockets).toHaveLength(2);
    expect(service.sockets[1]!.frames.map((frame) => frame.kind)).toEqual([
      'run-task',
      'audio',
      'finish-task',
    ]);
    const [first, second] = service.sockets.map((socket) => socket.frames);
    expect(second![0]).toEqual(first!.filter((frame) => frame.kind === 'run-task')[1]);
    expect(pool.counters).toMatchObject({ opened: 2, reused: 1, replaced: 1, started: 3 });
  });

  it('is replaced only once: a fresh one that fails fails the task', async () => {
    const script: Script = (frame, socket) => {
      const runs = socket.frames.filter((each) => each.kind === 'run-task').length;
      if (frame.kind === 'run-task' && (socket.no > 1 || runs === 2)) socket.cut();
      else goodService(frame, socket);
    };
    const service = await serviceWith(script);
    const pool = poolOn(service.url);
    await runTask(pool);
    expect(await runTask(pool)).toMatchObject({ code: 'ASR_CONNECTION_LOST', kind: 'close' });
    expect(service.sockets).toHaveLength(2);
  });

  it('is not replaced once it has answered', async () => {
    const script: Script = (frame, socket) => {
      const runs = socket.frames.filter((each) => each.kind === 'run-task').length;
      if (frame.kind === 'audio' && runs === 2) socket.cut();
      else goodService(frame, socket);
    };
    const service = await serviceWith(script);
    const pool = poolOn(service.url);
    await runTask(pool);
    expect(await runTask(pool)).toMatchObject({ code: 'ASR_CONNECTION_LOST' });
    expect(service.sockets).toHaveLength(1);
  });

  it('is no reason to hide that a fresh socket is refused', async () => {
    const script = staleAfterOne((socket) => {
      socket.cut();
    });
    const service = await serviceWith(script, (no) => (no === 1 ? undefined : 401));
    const pool = poolOn(service.url);
    await runTask(pool);
    expect(await runTask(pool)).toMatchObject({ kind: 'handshake', httpStatus: 401, requestId: 'r-1' });
  });
});

describe('the rate of starts', () => {
  it('lets tasks wait in order for their turn, and says how many', async () => {
    const service = await serviceWith();
    const pool = poolOn(service.url, { startRate: { perSecond: 100, burst: 2 } });
    const tasks = Array.from({ length: 5 }, () => start(pool));
    expect(pool.counters).toMatchObject({ started: 2, waiting: 3 });
    await Promise.all(tasks.map(({ started }) => started));
    await Promise.all(tasks.map(({ task }) => task.finish()));
    expect(pool.counters).toMatchObject({ started: 5, waiting: 0, waited: 3, refused: 0 });
    expect(pool.counters.waitedMaxMs).toBeGreaterThan(20);
    // Sockets open side by side, so their order is that of the turns by and large only; the tasks are all there.
    expect(new Set(service.frames.map((frame) => 'taskId' in frame && frame.taskId)).size).toBe(5);
  });

  it('does not count the wait against the task’s time to connect', async () => {
    const service = await serviceWith();
    const pool = poolOn(service.url, { startRate: { perSecond: 8 } });
    const first = start(pool);
    const second = start(pool, { connectTimeoutMs: 100 });
    await second.started;
    await Promise.all([first.task.finish(), second.task.finish()]);
    expect(await second.ended).toBeUndefined();
  });

  it('refuses beyond the bound of the queue, with an error that says try again', async () => {
    const service = await serviceWith();
    const pool = poolOn(service.url, { startRate: { perSecond: 0.001, burst: 1 }, waitingMax: 1 });
    start(pool);
    start(pool);
    const third = start(pool);
    expect(await third.ended).toMatchObject({ code: 'ASR_QUEUE_FULL', kind: 'overload', retryable: true });
    expect(pool.counters).toMatchObject({ waiting: 1, refused: 1 });
  });

  it('refuses whoever waits too long', async () => {
    const service = await serviceWith();
    const pool = poolOn(service.url, { startRate: { perSecond: 0.001, burst: 1 }, waitMaxMs: 20 });
    start(pool);
    expect(await start(pool).ended).toMatchObject({ code: 'ASR_QUEUE_FULL', retryable: true });
    expect(pool.counters).toMatchObject({ waiting: 0, refused: 1 });
  });

  it('gives up the place of a task that is aborted while it waits', async () => {
    const service = await serviceWith();
    const pool = poolOn(service.url, { startRate: { perSecond: 0.001, burst: 1 } });
    const first = start(pool);
    const second = start(pool);
    await second.task.abort(new Error('hung up'));
    expect(pool.counters).toMatchObject({ waiting: 0, started: 1 });
    await first.started;
    expect(service.sockets).toHaveLength(1);
  });
});

describe('closing a pool', () => {
  it('ends what runs, what waits and what is idle, and leaves nothing behind', async () => {
    const before = await openResources();
    const service = await ScriptedService.start();
    const clock = new FakeClock();
    const pool = new ConnectionPool({
      url: service.url,
      apiKey: 'sk-1',
      startRate: { perSecond: 20, burst: 3 },
      clock,
    });
    await runTask(pool);
    const other = start(pool);
    await other.started;
    await other.task.finish();
    const runs = start(pool);
    await runs.started;
    const waits = start(pool);
    expect(pool.counters).toMatchObject({ waiting: 1, inUse: 2 });

    await Promise.all([pool.close(), pool.close()]);
    const aborted = { code: 'ASR_ABORTED', kind: 'aborted' };
    expect([await runs.ended, await waits.ended]).toEqual([
      expect.objectContaining(aborted),
      expect.objectContaining(aborted),
    ]);
    expect(await start(pool).ended).toMatchObject(aborted);
    expect(pool.counters).toMatchObject({ waiting: 0, inUse: 0, idle: 0 });
    await service[Symbol.asyncDispose]();
    const after = await openResources();
    expect(after.sockets).toBe(before.sockets);
    expect(after.timers).toBe(before.timers);
  });
});

it('asks for the key of each new connection, not of each task', async () => {
  const service = await serviceWith();
  let asked = 0;
  const pool = poolOn(service.url, { apiKey: () => Promise.resolve(`sk-${(asked += 1)}`) });
  await runTask(pool);
  await runTask(pool);
  await Promise.all([runTask(pool), runTask(pool)]);
  expect(service.sockets.map((socket) => socket.headers.authorization)).toEqual([
    'Bearer sk-1',
    'Bearer sk-2',
  ]);
});

it('takes no bounds that are none', () => {
  const options = { url: 'ws://127.0.0.1:1', apiKey: 'sk-1', startRate: { perSecond: 0 }, idleMaxMs: 65_000 };
  expect(() => new ConnectionPool(options)).toThrow(/startRate.perSecond: found 0.*idleMaxMs: found 65000/);
});
