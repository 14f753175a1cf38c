import { describe, expect, it, vi } from 'vitest';

import { ConnectionPool } from '../../src/dashscope/connection-pool.ts';
import { Recognition } from '../../src/dashscope/recognition.ts';
import type { RecognitionResult } from '../../src/dashscope/recognition-result.ts';
import { silentLogger } from '../../src/log.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { startSandbox } from '../../src/sandbox/server.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { faulty, FRAME, MODEL, recognitionOn, running, serviceWith } from './recognition-probe.ts';
import { FINAL, goodService, PARTIAL, type Script, type ServiceSocket } from './scripted-service.ts';

// What the vendor's own SDKs get wrong, as far as no other test shows that this client does not.

const HEARTBEAT = {
  sentence_id: 0,
  begin_time: 0,
  end_time: null,
  text: '',
  heartbeat: true,
  sentence_end: false,
  words: [],
};
const taskIdOf = (socket: ServiceSocket): string => (socket.frames[0] as { taskId: string }).taskId;
const bytesOf = (frames: ServiceSocket['frames']): Buffer =>
  Buffer.concat(frames.flatMap((frame) => (frame.kind === 'audio' ? [frame.bytes] : [])));

describe('reading', () => {
  it('does not depend on writing: results come while no audio is sent', async () => {
    const service = await serviceWith();
    let heard!: () => void;
    const all = new Promise<void>((resolve) => (heard = resolve));
    const results: RecognitionResult[] = [];
    const onEvent = (result: RecognitionResult): void => {
      if (results.push(result) === 20) heard();
    };
    const { recognition } = recognitionOn(service, {}, { onEvent });
    await recognition.start();
    const socket = service.sockets[0]!;
    for (let no = 0; no < 20; no += 1) socket.result(taskIdOf(socket), { ...PARTIAL, text: `${no}` });
    await all;
    expect(results.map((result) => result.getSentence().text)).toEqual(
      Array.from({ length: 20 }, (_, no) => `${no}`),
    );
    expect(service.frames.map(({ kind }) => kind)).toEqual(['run-task']);
  });

  it('takes a result without end_time whose usage is not null', async () => {
    const script = faulty((frame, socket) => {
      if (frame.kind !== 'audio') return false;
      socket.result(taskIdOf(socket), { begin_time: 100, text: '您' }, { duration: 1 });
      return true;
    });
    const { recognition, told } = recognitionOn(await serviceWith(script));
    await recognition.start();
    recognition.sendAudioFrame(FRAME);
    await recognition.stop();
    expect(told).toEqual(['open', '您', '您好。|', 'complete', 'close']);
  });

  it('drops heartbeats, for a stream and for a file', async () => {
    const script = faulty((frame, socket) => {
      if (frame.kind !== 'audio') return false;
      socket.result(taskIdOf(socket), HEARTBEAT);
      return true;
    });
    const { recognition, told } = recognitionOn(await serviceWith(script), { heartbeat: true });
    await recognition.start();
    recognition.sendAudioFrame(FRAME);
    await recognition.stop();
    expect(told).toEqual(['open', '您好。|', 'complete', 'close']);
    expect(recognition.counters?.ignored).toMatchObject({ heartbeat: 1 });
    async function* bytes(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(FRAME);
    }
    expect((await recognition.call(bytes())).getText()).toBe('您好。');
  });

  it('ends with task-finished, whatever its payload', async () => {
    for (const payload of [
      '{}',
      '{"output":{}}',
      '{"output":{},"usage":null}',
      '{"output":{"finished":false}}',
    ]) {
      const script = faulty((frame, socket) => {
        if (frame.kind !== 'finish-task') return false;
        socket.text(
          `{"header":{"task_id":"${frame.taskId}","event":"task-finished","attributes":{"x":1}},"payload":${payload}}`,
        );
        return true;
      });
      const { recognition, told } = recognitionOn(await serviceWith(script));
      await recognition.start();
      await recognition.stop();
      expect(told).toEqual(['open', 'complete', 'close']);
    }
  });

  it('lives on after an event that did not exist yet', async () => {
    const script = faulty((frame, socket) => {
      if (frame.kind !== 'audio') return false;
      socket.text(`{"header":{"task_id":"${taskIdOf(socket)}","event":"task-paused"},"payload":{}}`);
      return true;
    });
    const { recognition, told } = recognitionOn(await serviceWith(script));
    await recognition.start();
    recognition.sendAudioFrame(FRAME);
    await recognition.stop();
    expect(told).toEqual(['open', '您好。|', 'complete', 'close']);
  });
});

describe('writing', () => {
  it('waits for task-started: neither audio nor finish-task goes before it, and all of it behind', async () => {
    const service = await serviceWith((frame, socket) => {
      if (frame.kind !== 'run-task') goodService(frame, socket);
    });
    const { recognition } = recognitionOn(service);
    void recognition.start();
    const audio = Buffer.from(Array.from({ length: 4_000 }, (_, at) => at & 255));
    recognition.sendAudioFrame(audio);
    const stopped = recognition.stop();
    while (service.frames.length === 0) await new Promise(setImmediate);
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    expect(service.frames.map(({ kind }) => kind)).toEqual(['run-task']);
    const socket = service.sockets[0]!;
    socket.started(taskIdOf(socket));
    await stopped;
    expect(service.frames.map(({ kind }) => kind)).toEqual([
      'run-task',
      'audio',
      'audio',
      'audio',
      'finish-task',
    ]);
    expect(bytesOf(service.frames)).toEqual(audio);
  });

  it('of what was sent at once is done with its buffer too', async () => {
    const service = await serviceWith();
    const { recognition } = recognitionOn(service);
    await recognition.start();
    const buffer = Buffer.alloc(1_600);
    for (let no = 1; no <= 5; no += 1) {
      buffer.fill(no);
      recognition.sendAudioFrame(buffer);
    }
    buffer.fill(9);
    await recognition.stop();
    const expected = Buffer.concat([1, 2, 3, 4, 5].map((no) => Buffer.alloc(1_600, no)));
    expect(bytesOf(service.frames).equals(expected)).toBe(true);
  });

  it('joins pieces of 20 ms to frames of 100 ms', async () => {
    const service = await serviceWith();
    const { recognition } = recognitionOn(service);
    await recognition.start();
    for (let no = 0; no < 12; no += 1) recognition.sendAudioFrame(Buffer.alloc(320, no));
    await recognition.stop();
    const sizes = service.frames.flatMap((frame) => (frame.kind === 'audio' ? [frame.bytes.length] : []));
    expect(sizes).toEqual([1_600, 1_600, 640]);
  });

  it.each(['a socket of its own', 'a reused one'])(
    'that fails on %s ends the run with one error, and no audio goes to another socket',
    async (way) => {
      let runs = 0;
      const script: Script = (frame, socket) => {
        if (frame.kind === 'run-task') runs += 1;
        if (frame.kind === 'audio' && runs === 2) socket.cut();
        else goodService(frame, socket);
      };
      const service = await serviceWith(script);
      const pool = new ConnectionPool({ url: service.url, apiKey: 'sk-1' });
      running.push(pool);
      const { recognition, told, errors, closed } = recognitionOn(
        service,
        way === 'a reused one' ? { pool } : {},
      );
      await recognition.start();
      await recognition.stop();
      await recognition.start();
      for (let no = 0; recognition.running; no += 1) {
        try {
          recognition.sendAudioFrame(FRAME);
        } catch (thrown) {
          expect(thrown).toBe(errors[0]);
        }
        await new Promise(setImmediate);
      }
      await closed;
      expect(told.slice(-3)).toEqual(['open', 'error', 'close']);
      expect(errors).toMatchObject([{ code: 'ASR_CONNECTION_LOST', closeCode: 1006, retryable: true }]);
      expect(service.sockets).toHaveLength(way === 'a reused one' ? 1 : 2);
    },
  );
});

describe('silence of the caller', () => {
  it('is not an end like another: the service’s limit is an error', async () => {
    const sandbox = await startSandbox({
      host: '127.0.0.1',
      port: 0,
      recogniser: captionsRecogniser,
      logger: silentLogger,
      timers: { noFrameMs: 30 },
    });
    running.push(sandbox);
    const { recognition, told, errors, closed } = recognitionOn(sandbox);
    await recognition.start();
    await closed;
    expect(told).toEqual(['open', 'error', 'close']);
    expect(errors).toMatchObject([{ dashscopeCode: 'CLIENT_ERROR', retry: 'new', retryable: true }]);
  });
});

it('nothing of one run is left in the next: delays, counters, response', async () => {
  const clock = new FakeClock();
  const service = await serviceWith();
  const { recognition } = recognitionOn(service, { clock });
  await recognition.start();
  recognition.sendAudioFrame(FRAME);
  clock.advance(40);
  await recognition.stop();
  expect(recognition.getFirstPackageDelay()).toBe(40);
  expect(recognition.getLastPackageDelay()).toBe(0);
  const started = recognition.start();
  expect({
    first: recognition.getFirstPackageDelay(),
    last: recognition.getLastPackageDelay(),
    response: recognition.getResponse(),
    frames: recognition.counters?.framesSent,
  }).toEqual({ first: undefined, last: undefined, response: undefined, frames: 0 });
  await started;
  recognition.sendAudioFrame(FRAME);
  clock.advance(7);
  await recognition.stop();
  expect(recognition.getFirstPackageDelay()).toBe(7);
});

it('a throttled start says what to do; the same recognition may start again', async () => {
  let asked = 0;
  const script: Script = (frame, socket) => {
    if (frame.kind === 'run-task' && (asked += 1) === 1) socket.failed(frame.taskId, 'Throttling.RateQuota');
    else goodService(frame, socket);
  };
  const { recognition, told, errors, closed } = recognitionOn(await serviceWith(script));
  await expect(recognition.start()).rejects.toMatchObject({ retry: 'backoff', retryable: true });
  await closed;
  await recognition.start();
  recognition.sendAudioFrame(FRAME);
  await recognition.stop();
  expect(told).toEqual(['error', 'close', 'open', '您好。|', 'complete', 'close']);
  expect(errors).toHaveLength(1);
});

it('a later result of a sentence takes the place of the one before, also for a reader who is slow', async () => {
  const script = faulty((frame, socket) => {
    if (frame.kind !== 'finish-task') return false;
    for (const text of ['', '您', '您好']) socket.result(frame.taskId, { ...PARTIAL, text });
    socket.result(frame.taskId, FINAL);
    socket.finished(frame.taskId);
    return true;
  });
  const { recognition } = recognitionOn(await serviceWith(script));
  const results = recognition.results();
  await recognition.start();
  recognition.sendAudioFrame(FRAME);
  await recognition.stop();
  const texts: string[] = [];
  for await (const result of results) texts.push(result.getSentence().text);
  expect(texts).toEqual(['您好。']);
});

it('the key comes from the caller only, never from the environment', () => {
  vi.stubEnv('DASHSCOPE_API_KEY', 'sk-of-the-environment');
  try {
    expect(() => new Recognition(MODEL)).toThrow(/apiKey: found nothing/);
  } finally {
    vi.unstubAllEnvs();
  }
});
