import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, describe, expect, it } from 'vitest';

import { type DashscopeTaskOptions, dashscopeTasks } from '../../src/asr/dashscope-tasks.ts';
import { AsrEventQueue } from '../../src/asr/event-queue.ts';
import type { AsrEvent } from '../../src/asr/session.ts';
import { ConnectionPool } from '../../src/dashscope/connection-pool.ts';
import { CallscribeError } from '../../src/errors.ts';
import { createLogger, silentLogger } from '../../src/log.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/server.ts';
import { chunksOf, makeCodes, toPcmBuffer } from '../support/captioned-audio.ts';

const GREETING = '您好，请问有什么可以帮您？';
/** 4 s: silence, a captioned sentence from 500 to 2,700 ms, silence. */
const SPEECH = chunksOf(
  toPcmBuffer('PCMA', makeCodes('PCMA', 4_000, [{ beginMs: 500, endMs: 2_700, text: GREETING }])),
);
/** The same sentence, hung up while it is still spoken out: its end is the audio's end. */
const HUNG_UP = chunksOf(
  toPcmBuffer('PCMU', makeCodes('PCMU', 2_700, [{ beginMs: 500, endMs: 2_700, text: GREETING }])),
);
const SILENCE = chunksOf(Buffer.alloc(16_000));

const running: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each[Symbol.asyncDispose]();
});

async function sandboxWith(options: Partial<SandboxOptions> = {}): Promise<Sandbox> {
  const sandbox = await startSandbox({
    host: '127.0.0.1',
    port: 0,
    recogniser: captionsRecogniser,
    logger: silentLogger,
    vocabularies: { 'vocab-test-1': 'paraformer-realtime-8k-v2' },
    ...options,
  });
  running.push(sandbox);
  return sandbox;
}

/** One task, with its events in the queue that sessions use. */
interface OneTask extends AsyncIterable<AsrEvent> {
  push(pcm: Buffer): void;
  finish(): Promise<void>;
  abort(reason: Error): void;
}

function open(url: string, options: Partial<DashscopeTaskOptions> = {}): OneTask {
  const start = dashscopeTasks({ url, apiKey: 'sk-test-secret', logger: silentLogger, ...options });
  const events = new AsrEventQueue(() => {
    task.abort(new Error('the reader left'));
  });
  let onClosed: () => void;
  const closed = new Promise<void>((resolve) => (onClosed = resolve));
  const task = start(
    { model: 'paraformer-realtime-8k-v2', vocabularyId: 'vocab-test-1' },
    {
      onStarted: () => {
        events.push({ kind: 'started', taskId: task.taskId });
      },
      onHeard: () => undefined,
      onSentence: (event) => {
        events.push(event);
      },
      onEnd: (error) => {
        events.end(error);
        onClosed();
      },
    },
  );
  return {
    push: (pcm) => void task.push(pcm),
    finish: () => {
      task.finish();
      return closed;
    },
    abort: (reason) => {
      task.abort(reason);
    },
    [Symbol.asyncIterator]: () => events[Symbol.asyncIterator](),
  };
}

interface Outcome {
  readonly events: AsrEvent[];
  readonly finals: Extract<AsrEvent, { kind: 'final' }>[];
  readonly error: unknown;
}

async function read(session: OneTask, onEvent?: (event: AsrEvent) => void): Promise<Outcome> {
  const events: AsrEvent[] = [];
  let error: unknown;
  try {
    for await (const event of session) {
      events.push(event);
      onEvent?.(event);
    }
  } catch (thrown) {
    error = thrown;
  }
  return { events, finals: events.filter((event) => event.kind === 'final'), error };
}

/** Pushes all at once, asks for the end, and reads. */
async function recognise(session: OneTask, chunks: readonly Buffer[]): Promise<Outcome> {
  const reading = read(session);
  for (const chunk of chunks) session.push(chunk);
  await session.finish();
  return reading;
}

const failing = (code: string, more: object = {}): unknown =>
  expect.objectContaining({ constructor: expect.any(Function), code, ...more });

describe('a task that succeeds', () => {
  it('gives started, growing partials and the final with its times, words and emotion', async () => {
    const { url } = await sandboxWith();
    const { events, finals, error } = await recognise(open(url), SPEECH);

    expect(error).toBeUndefined();
    expect(events[0]?.kind).toBe('started');
    const partials = events.filter((event) => event.kind === 'partial').map((event) => event.text);
    expect(partials.every((text) => GREETING.startsWith(text))).toBe(true);
    expect(finals).toHaveLength(1);
    expect(finals[0]).toMatchObject({ text: GREETING, beginMs: 500, endMs: 2_700 });
    expect(finals[0]?.words.map((word) => word.text).join('')).toBe(GREETING);
    expect(finals[0]?.words[0]?.beginMs).toBe(500);
    expect(finals[0]?.emotion).toEqual({ tag: 'neutral', confidence: expect.any(Number) });
    expect(new Set(events.map((event) => 'taskId' in event && event.taskId)).size).toBe(1);
  });

  it('gives the last words of someone who is cut off by hanging up', async () => {
    const { url } = await sandboxWith();
    const { finals, error } = await recognise(open(url), HUNG_UP);
    expect({ error, texts: finals.map((final) => final.text) }).toEqual({
      error: undefined,
      texts: [GREETING],
    });
  });

  it('holds audio until a late task-started, also when the end was asked for before it', async () => {
    const sandbox = await sandboxWith({ faults: () => ({ startDelayMs: 150 }) });
    const { finals, error } = await recognise(open(sandbox.url), SPEECH);
    expect(error).toBeUndefined();
    expect(finals.map((final) => final.text)).toEqual([GREETING]);
    expect(sandbox.counters).toMatchObject({ framesReceived: 40, framesStray: 0, tasksFinished: 1 });
  });

  it('sends odd pieces of audio as frames of 100 ms', async () => {
    const sandbox = await sandboxWith();
    const { finals } = await recognise(open(sandbox.url), chunksOf(Buffer.concat(SPEECH), 1_111));
    expect(finals.map((final) => final.text)).toEqual([GREETING]);
    expect(sandbox.counters).toMatchObject({ framesReceived: 40, bytesReceived: 64_000 });
  });

  it('gives an empty result for a leg without any audio, before it is connected', async () => {
    const sandbox = await sandboxWith();
    expect(await recognise(open(sandbox.url), [])).toEqual({ events: [], finals: [], error: undefined });
    expect(sandbox.counters.tasksStarted).toBe(0);
  });

  it('gives an empty result for a leg without any audio, while the task runs', async () => {
    const { url } = await sandboxWith();
    const session = open(url);
    const { finals, error } = await read(session, () => void session.finish());
    expect({ finals, error }).toEqual({ finals: [], error: undefined });
  });

  it.each(['NO_VALID_AUDIO_ERROR', 'NO_INPUT_AUDIO_ERROR', 'EmptyAudio'])(
    'takes %s after the end of a silent leg as an empty result',
    async (code) => {
      const { url } = await sandboxWith({ faults: () => ({ failFinish: { code, message: '' } }) });
      const { finals, error } = await recognise(open(url), SILENCE);
      expect({ finals, error }).toEqual({ finals: [], error: undefined });
    },
  );

  it.each([
    ['a final with end_time null ends with its last word', { results: 'end-null' }],
    ['results have only what they must have', { results: 'bare' }],
    ['unknown events, other tasks’ results and noise come between', { noise: true }],
    ['task-finished has an empty payload', { emptyTaskFinished: true }],
  ] as const)('gives the sentence once when %s', async (_case, faults) => {
    const { url } = await sandboxWith({ faults: () => faults });
    const { finals, error } = await recognise(open(url), SPEECH);
    expect(error).toBeUndefined();
    expect(finals).toHaveLength(1);
    expect(finals[0]).toMatchObject({ text: GREETING, beginMs: 500, endMs: 2_700 });
  });

  it('lives on through silence, since it asks for heartbeats', async () => {
    const sandbox = await sandboxWith({ timers: { silenceMs: 0, heartbeatMs: 100 } });
    const { events, error } = await recognise(open(sandbox.url), SILENCE);
    expect(error).toBeUndefined();
    expect(events.map((event) => event.kind)).toEqual(['started']);
  });

  it('asks the provider of keys for each connection', async () => {
    const { url } = await sandboxWith({ apiKeys: ['token-2'] });
    let asked = 0;
    const apiKey = (): Promise<string> => Promise.resolve(`token-${(asked += 1)}`);
    const first = await recognise(open(url, { apiKey }), SPEECH);
    const second = await recognise(open(url, { apiKey }), SPEECH);
    expect(first.error).toEqual(failing('ASR_HANDSHAKE_REFUSED'));
    expect(second.error).toBeUndefined();
  });

  it('drops a trailing slash of the address', async () => {
    const { url } = await sandboxWith();
    expect((await recognise(open(`${url}/`), SPEECH)).finals).toHaveLength(1);
  });
});

describe('a task that fails', () => {
  it('names the code of a task that fails while audio flows, and keeps the finals before it', async () => {
    const failAtFrame = { frame: 38, code: 'Throttling.RateQuota', message: 'Requests rate limit exceeded' };
    const { url } = await sandboxWith({ faults: () => ({ failAtFrame }) });
    const { finals, error } = await recognise(open(url), SPEECH);
    expect(finals.map((final) => final.text)).toEqual([GREETING]);
    expect(error).toEqual(
      failing('ASR_TASK_FAILED', {
        dashscopeCode: 'Throttling.RateQuota',
        retryable: true,
        retry: 'backoff',
        taskId: finals[0]?.taskId,
      }),
    );
  });

  it('fails with the code of a task that never starts', async () => {
    const failStart = { code: 'ModelNotFound', message: 'Model can not be found.' };
    const { url } = await sandboxWith({ faults: () => ({ failStart }) });
    const { events, error } = await recognise(open(url), SPEECH);
    expect(events).toEqual([]);
    expect(error).toEqual(failing('ASR_TASK_FAILED', { dashscopeCode: 'ModelNotFound', retryable: false }));
  });

  it('does not call a silent leg empty when the audio is still flowing', async () => {
    const failAtFrame = { frame: 3, code: 'NO_VALID_AUDIO_ERROR', message: '' };
    const { url } = await sandboxWith({ faults: () => ({ failAtFrame }) });
    const session = open(url);
    const reading = read(session);
    for (const chunk of SILENCE) session.push(chunk);
    expect((await reading).error).toEqual(failing('ASR_TASK_FAILED', { noSpeech: true }));
  });

  it.each([
    [1006, true],
    [1011, true],
    [1007, false],
    [1000, true],
  ] as const)(
    'tells a close with %i before task-finished as a lost connection',
    async (closeCode, retryable) => {
      const { url } = await sandboxWith({ faults: () => ({ closeAtFrame: { frame: 10, closeCode } }) });
      const { error } = await recognise(open(url), SPEECH);
      expect(error).toEqual(failing('ASR_CONNECTION_LOST', { closeCode, retryable }));
    },
  );

  it('tells the status and code of a refused handshake, but never the key', async () => {
    const { url } = await sandboxWith({ apiKeys: ['another'] });
    const { error } = await recognise(open(url), SPEECH);
    expect(error).toEqual(
      failing('ASR_HANDSHAKE_REFUSED', {
        httpStatus: 401,
        dashscopeCode: 'InvalidApiKey',
        accountFault: true,
        retryable: false,
      }),
    );
    expect(JSON.stringify(error) + String((error as Error).stack)).not.toContain('sk-test-secret');
  });

  it.each([
    [429, 'Throttling', true],
    [429, 'PrepaidBillOverdue', false],
    [403, 'Model.AccessDenied', false],
    [503, 'ServiceUnavailable', true],
  ])('a handshake refused with %i %s: retryable %s', async (status, code, retryable) => {
    const { url } = await sandboxWith({ refuse: () => ({ status, code, message: '' }) });
    const { error } = await recognise(open(url), SPEECH);
    expect(error).toEqual(
      failing('ASR_HANDSHAKE_REFUSED', { httpStatus: status, dashscopeCode: code, retryable }),
    );
  });

  it('tells a port on which nobody listens', async () => {
    const sandbox = await sandboxWith();
    await sandbox.close();
    const { error } = await recognise(open(sandbox.url), SPEECH);
    expect(error).toEqual(failing('ASR_UNREACHABLE', { retryable: true }));
    expect((error as Error).message).toContain('ECONNREFUSED');
  });

  it.each([['no address at all'], ['http://127.0.0.1:1/#fragment']])(
    'tells an address that cannot be used: %s',
    async (url) => {
      const { error } = await recognise(open(url), SPEECH);
      expect(error).toEqual(failing('ASR_UNREACHABLE', { retryable: false }));
    },
  );

  it('tells a key that cannot stand in a header, without showing it', async () => {
    const { url } = await sandboxWith();
    const { error } = await recognise(open(url, { apiKey: 'sk-bad\nkey' }), SPEECH);
    expect(error).toEqual(failing('ASR_UNREACHABLE'));
    expect(String((error as Error).stack)).not.toContain('sk-bad');
  });

  it('does not wait for ever for a connection', async () => {
    const server = await silentServer();
    const { port } = server.address() as AddressInfo;
    const { error } = await recognise(
      open(`ws://127.0.0.1:${port}`, { limits: { connectTimeoutMs: 50 } }),
      SPEECH,
    );
    expect(error).toEqual(failing('ASR_TIMEOUT', { retryable: true }));
  });

  it('does not wait for ever for a key', async () => {
    const { url } = await sandboxWith();
    const apiKey = (): Promise<string> => new Promise(() => undefined);
    const { error } = await recognise(open(url, { apiKey, limits: { connectTimeoutMs: 50 } }), SPEECH);
    expect(error).toEqual(failing('ASR_TIMEOUT'));
  });

  it('does not wait for ever for task-started', async () => {
    const { url } = await sandboxWith({ faults: () => ({ startDelayMs: 'never' }) });
    const { error } = await recognise(open(url, { limits: { startTimeoutMs: 50 } }), SPEECH);
    expect(error).toEqual(failing('ASR_TIMEOUT', { retryable: true }));
  });

  it('does not wait for ever for task-finished, and keeps the finals before', async () => {
    const { url } = await sandboxWith({ faults: () => ({ neverFinish: true }) });
    const { finals, error } = await recognise(open(url, { limits: { finishTimeoutMs: 300 } }), SPEECH);
    expect(finals.map((final) => final.text)).toEqual([GREETING]);
    expect(error).toEqual(failing('ASR_TIMEOUT'));
  });

  it('tells a message longer than the bound as a broken protocol', async () => {
    const { url } = await sandboxWith();
    const { error } = await recognise(open(url, { maxMessageBytes: 200 }), SPEECH);
    expect(error).toEqual(failing('ASR_PROTOCOL'));
  });

  it('bounds the audio that waits for task-started', async () => {
    const { url } = await sandboxWith({ faults: () => ({ startDelayMs: 'never' }) });
    const session = open(url);
    const reading = read(session);
    for (let chunk = 0; chunk < 101; chunk += 1) session.push(Buffer.alloc(1_600));
    expect((await reading).error).toEqual(failing('ASR_BACKLOG_FULL', { retryable: true }));
  });

  it('bounds the audio that the socket does not take', async () => {
    const { url } = await sandboxWith({ faults: () => ({ stopReadingAtFrame: 0 }) });
    const session = open(url);
    let ended = false;
    const reading = read(session, (event) => {
      if (event.kind === 'started') void pushUntil(session, () => ended);
    });
    const { error } = await reading;
    ended = true;
    expect(error).toEqual(failing('ASR_BACKLOG_FULL'));
  });

  it('notices a peer that gives no sign of life', async () => {
    const { url } = await sandboxWith({ faults: () => ({ stopReadingAtFrame: 0 }) });
    const { error } = await read(open(url, { pingIntervalMs: 60 }));
    expect(error).toEqual(failing('ASR_CONNECTION_LOST', { closeCode: 1006 }));
  });

  it('keeps a quiet peer that answers pings', async () => {
    const { url } = await sandboxWith();
    const session = open(url, { pingIntervalMs: 20 });
    const reading = read(session);
    // Ten intervals: what is shown is that nothing happens in them.
    await sleep(200);
    await session.finish();
    expect((await reading).error).toBeUndefined();
  });

  it('throws the reason of an abort, once, and takes nothing more', async () => {
    const { url } = await sandboxWith();
    const session = open(url);
    const reason = new CallscribeError('ASR_ABORTED', 'the leg is gone');
    const { error } = await read(session, () => {
      session.abort(reason);
      session.abort(new Error('too late'));
      session.push(SPEECH[0]!);
    });
    expect(error).toBe(reason);
    await session.finish();
  });
});

/** Bounded: what the kernel's own buffers take before they are full. */
async function pushUntil(session: OneTask, ended: () => boolean): Promise<void> {
  for (let chunk = 0; chunk < 2_000 && !ended(); chunk += 1) {
    session.push(Buffer.alloc(16_000));
    await new Promise(setImmediate);
  }
}

/** Takes connections and never answers. */
async function silentServer(): Promise<Server> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  running.push({
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  });
  return server;
}

describe('tasks on a pool', () => {
  it('start in turn, and use each other’s sockets', async () => {
    const sandbox = await sandboxWith();
    const pool = new ConnectionPool({
      url: sandbox.url,
      apiKey: 'sk-1',
      startRate: { perSecond: 100, burst: 3 },
    });
    running.unshift(pool);
    const first = await recognise(open(sandbox.url, { pool }), SPEECH);
    const others = await Promise.all([0, 1].map(() => recognise(open(sandbox.url, { pool }), SPEECH)));
    for (const { finals, error } of [first, ...others]) {
      expect(error).toBeUndefined();
      expect(finals).toMatchObject([{ text: GREETING, beginMs: 500, endMs: 2_700 }]);
    }
    expect(sandbox.counters).toMatchObject({ connections: 2, tasksFinished: 3 });
    expect(pool.counters).toMatchObject({ opened: 2, reused: 1, started: 3, idle: 2 });
  });

  it('fail with an error that says try again when too many wait', async () => {
    const sandbox = await sandboxWith();
    const startRate = { perSecond: 0.001, burst: 1 };
    const pool = new ConnectionPool({ url: sandbox.url, apiKey: 'sk-1', startRate, waitingMax: 0 });
    running.unshift(pool);
    const first = open(sandbox.url, { pool });
    const { error } = await recognise(open(sandbox.url, { pool }), SPEECH);
    expect(error).toEqual(failing('ASR_QUEUE_FULL', { retryable: true }));
    await recognise(first, SPEECH);
  });
});

describe('the reader of a task’s events', () => {
  it('is one: a second is refused', async () => {
    const { url } = await sandboxWith();
    const session = open(url);
    const reading = read(session);
    expect(() => session[Symbol.asyncIterator]()).toThrow(TypeError);
    await session.finish();
    await reading;
  });

  it('may come after the end and still gets everything', async () => {
    const { url } = await sandboxWith();
    const session = open(url);
    for (const chunk of SPEECH) session.push(chunk);
    await session.finish();
    const { finals, events } = await read(session);
    expect(finals.map((final) => final.text)).toEqual([GREETING]);
    expect(events[0]?.kind).toBe('started');
  });

  it('ends the task when it leaves early', async () => {
    const sandbox = await sandboxWith();
    const session = open(sandbox.url);
    for await (const event of session) {
      expect(event.kind).toBe('started');
      break;
    }
    await session.finish();
    expect(sandbox.counters.tasksFinished).toBe(0);
  });
});

it('keeps two legs apart', async () => {
  const { url } = await sandboxWith();
  const texts = ['一二三四五', '六七八九十'];
  const outcomes = await Promise.all(
    texts.map((text) => {
      const codes = makeCodes('PCMU', 3_000, [{ beginMs: 200, endMs: 2_200, text }]);
      return recognise(open(url), chunksOf(toPcmBuffer('PCMU', codes)));
    }),
  );
  expect(outcomes.map(({ finals }) => finals.map((final) => final.text))).toEqual(
    texts.map((text) => [text]),
  );
});

describe('whatever happens, a task', () => {
  it.each<[string, Partial<SandboxOptions>]>([
    ['a good end', {}],
    [
      'a task-failed',
      { faults: () => ({ failAtFrame: { frame: 5, code: 'InternalError', message: GREETING } }) },
    ],
    ['a cut socket', { faults: () => ({ closeAtFrame: { frame: 5, closeCode: 1006 } }) }],
    ['a refused handshake', { apiKeys: ['another'] }],
    ['a finish-task without an answer', { faults: () => ({ neverFinish: true }) }],
  ])('leaves neither socket nor timer behind, and no word or key in the log: %s', async (_case, options) => {
    const lines: string[] = [];
    const logger = createLogger({
      level: 'trace',
      format: 'json',
      destination: { write: (line: string) => void lines.push(line) },
    });
    const timersBefore = (await openResources()).timers;
    const sandbox = await sandboxWith({ ...options, logger });
    await recognise(open(sandbox.url, { logger, limits: { finishTimeoutMs: 50 } }), SPEECH);
    await sandbox.close();
    const { timers, sockets } = await openResources();
    expect(sockets).toEqual([]);
    expect(timers).toBeLessThanOrEqual(timersBefore);
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.join('')).not.toMatch(/sk-test-secret|您好/);
  });
});

/** What keeps the event loop busy, once closed handles had the turns of the loop that they take to go. */
async function openResources(): Promise<{ timers: number; sockets: string[] }> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  const resources = process.getActiveResourcesInfo();
  return {
    timers: resources.filter((resource) => resource === 'Timeout').length,
    sockets: resources.filter((resource) => resource.startsWith('TCP')),
  };
}
