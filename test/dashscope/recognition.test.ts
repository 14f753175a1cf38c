import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { describe, expect, it } from 'vitest';

import { ConnectionPool } from '../../src/dashscope/connection-pool.ts';
import { DashScopeError, DashScopeUsageError } from '../../src/dashscope/errors.ts';
import { Recognition, type RecognitionOptions } from '../../src/dashscope/recognition.ts';
import type { RecognitionWarning } from '../../src/dashscope/recognition-callback.ts';
import { RecognitionResult } from '../../src/dashscope/recognition-result.ts';
import { FakeClock } from '../support/fake-clock.ts';
import {
  faulty,
  FRAME,
  MODEL,
  partialFirst,
  recognitionOn,
  running,
  serviceWith,
} from './recognition-probe.ts';
import { goodService, openResources, PARTIAL, type Script, ScriptedService } from './scripted-service.ts';

describe('a callback', () => {
  it.each(['onOpen', 'onEvent'] as const)('may call stop: %s', async (name) => {
    const holder: { recognition?: Recognition } = {};
    const more = { [name]: () => void holder.recognition?.stop() };
    const { recognition, told, closed } = recognitionOn(await serviceWith(partialFirst), {}, more);
    holder.recognition = recognition;
    void recognition.start();
    recognition.sendAudioFrame(FRAME);
    await closed;
    expect(told.filter((each) => ['complete', 'close', 'error'].includes(each))).toEqual([
      'complete',
      'close',
    ]);
  });

  it.each(['onComplete', 'onClose'] as const)(
    'may call stop and abort when all is over: %s',
    async (name) => {
      const holder: { recognition?: Recognition } = {};
      const more = {
        [name]: () => {
          void holder.recognition?.stop();
          holder.recognition?.abort();
        },
      };
      const { recognition, told } = recognitionOn(await serviceWith(), {}, more);
      holder.recognition = recognition;
      void recognition.start();
      recognition.sendAudioFrame(FRAME);
      await recognition.stop();
      expect(told).toEqual(['open', '您好。|', 'complete', 'close']);
    },
  );

  it('that throws changes nothing, and is reported', async () => {
    const warnings: RecognitionWarning[] = [];
    const fail = (): never => {
      throw new Error('mine');
    };
    const more = { onOpen: fail, onEvent: fail, onComplete: fail, onClose: fail };
    const { recognition, told } = recognitionOn(
      await serviceWith(),
      { onWarning: (warning) => warnings.push(warning) },
      more,
    );
    void recognition.start();
    recognition.sendAudioFrame(FRAME);
    await recognition.stop();
    expect(told).toEqual(['open', '您好。|', 'complete', 'close']);
    expect(warnings.map(({ kind, subject }) => `${kind} ${subject}`)).toEqual([
      'callback onOpen',
      'callback onEvent',
      'callback onComplete',
      'callback onClose',
    ]);
    expect(warnings[0]?.cause).toMatchObject({ message: 'mine' });
    expect(recognition.warnings).toEqual(warnings);
  });

  it('that is async and rejects is reported too', async () => {
    const warnings: RecognitionWarning[] = [];
    const recognition = new Recognition({
      ...MODEL,
      url: (await serviceWith()).url,
      apiKey: 'sk-1',
      onWarning: (warning) => warnings.push(warning),
      callback: { onOpen: () => Promise.reject(new Error('mine')) as unknown as undefined },
    });
    running.push(recognition);
    await recognition.start();
    await recognition.stop();
    expect(warnings).toMatchObject([{ kind: 'callback', subject: 'onOpen' }]);
  });

  it('may start the next run when the last is closed', async () => {
    const service = await serviceWith();
    const holder: { recognition?: Recognition } = {};
    let runs = 0;
    let second!: () => void;
    const secondClosed = new Promise<void>((resolve) => (second = resolve));
    const { recognition, told } = recognitionOn(
      service,
      {},
      {
        onClose: () => {
          runs += 1;
          if (runs === 2) second();
          else {
            void holder.recognition?.start();
            holder.recognition?.sendAudioFrame(FRAME);
            void holder.recognition?.stop();
          }
        },
      },
    );
    holder.recognition = recognition;
    void recognition.start();
    recognition.sendAudioFrame(FRAME);
    const firstId = recognition.getLastRequestId();
    void recognition.stop();
    await secondClosed;
    const one = ['open', '您好。|', 'complete', 'close'];
    expect(told).toEqual([...one, ...one]);
    expect(recognition.getLastRequestId()).not.toBe(firstId);
  });
});

describe('wrong use', () => {
  it('of the constructor names every fault and sends nothing', () => {
    const options = {
      model: '',
      format: 'flac',
      sampleRate: -1,
      url: 'http://x',
    } as unknown as RecognitionOptions;
    expect(() => new Recognition(options)).toThrow(/apiKey.*url/);
    const more = { ...options, apiKey: 'sk', url: 'wss://x' };
    expect(() => new Recognition({ ...more, model: MODEL.model })).toThrow(/sampleRate.*format/);
  });

  it('of a pool beside a key', async () => {
    const service = await serviceWith();
    const pool = new ConnectionPool({ url: service.url, apiKey: 'sk-1' });
    running.push(pool);
    expect(() => new Recognition({ ...MODEL, pool, apiKey: 'sk-2' })).toThrow(
      /apiKey: found a value beside pool/,
    );
  });

  it('before a start, after a stop, and of a second start', async () => {
    const { recognition } = recognitionOn(await serviceWith());
    expect(() => recognition.sendAudioFrame(FRAME)).toThrow(DashScopeUsageError);
    expect(() => recognition.stop()).toThrow(/was not started/);
    void recognition.start();
    expect(() => recognition.start()).toThrow(/has been started already/);
    await expect(recognition.call('any')).rejects.toThrow(/has been started already/);
    const stopped = recognition.stop();
    expect(() => recognition.sendAudioFrame(FRAME)).toThrow(/has been stopped/);
    expect(recognition.stop()).toBe(stopped);
    await stopped;
  });

  it('of audio that is no bytes', async () => {
    const { recognition } = recognitionOn(await serviceWith());
    void recognition.start();
    expect(() => recognition.sendAudioFrame('AAAA' as unknown as Buffer)).toThrow(/Buffer or Uint8Array/);
  });

  it('reports a parameter that the model ignores, once, before anything is sent', () => {
    const warnings: RecognitionWarning[] = [];
    const recognition = new Recognition({
      ...MODEL,
      apiKey: 'sk',
      languageHints: ['zh'],
      onWarning: (warning) => warnings.push(warning),
    });
    expect(warnings).toMatchObject([{ kind: 'parameter', subject: 'languageHints' }]);
    expect(recognition.warnings).toEqual(warnings);
    expect(new Recognition({ ...MODEL, model: 'paraformer-v9', apiKey: 'sk' }).warnings).toMatchObject([
      { kind: 'parameter', subject: 'model' },
    ]);
  });
});

describe('what is known of a run', () => {
  it('has a request id from construction, which the first run has, and each run its own', async () => {
    const service = await serviceWith();
    const { recognition } = recognitionOn(service);
    const ids = [recognition.getLastRequestId()];
    for (let run = 0; run < 2; run += 1) {
      void recognition.start();
      recognition.sendAudioFrame(FRAME);
      await recognition.stop();
      ids.push(recognition.getLastRequestId());
    }
    expect(ids[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
    const sent = service.frames.flatMap((frame) => (frame.kind === 'run-task' ? [frame.taskId] : []));
    expect(sent).toEqual(ids.slice(1));
  });

  it('has delays on a monotonic clock, and none before they are known', async () => {
    const clock = new FakeClock();
    const script = faulty((frame, socket) => {
      if (frame.kind !== 'audio') {
        if (frame.kind === 'finish-task') clock.advance(70);
        return false;
      }
      const { taskId } = socket.frames[0] as { taskId: string };
      clock.advance(20);
      socket.result(taskId, { ...PARTIAL, text: '' });
      clock.advance(10);
      socket.result(taskId, PARTIAL);
      return true;
    });
    let heard!: () => void;
    const text = new Promise<void>((resolve) => (heard = resolve));
    const onEvent = (result: RecognitionResult): void => {
      if (result.getSentence().text !== '') heard();
    };
    const { recognition } = recognitionOn(await serviceWith(script), { clock }, { onEvent });
    expect([recognition.getFirstPackageDelay(), recognition.getLastPackageDelay()]).toEqual([
      undefined,
      undefined,
    ]);
    await recognition.start();
    clock.advance(1_000);
    recognition.sendAudioFrame(FRAME);
    expect(recognition.getFirstPackageDelay()).toBeUndefined();
    await text;
    expect(recognition.getFirstPackageDelay()).toBe(30);
    expect(recognition.getLastPackageDelay()).toBeUndefined();
    await recognition.stop();
    expect(recognition.getLastPackageDelay()).toBe(70);
  });

  it('has no last delay after a failure', async () => {
    const script = faulty((frame, socket) => {
      if (frame.kind !== 'finish-task') return false;
      socket.failed(frame.taskId, 'InternalError');
      return true;
    });
    const { recognition } = recognitionOn(await serviceWith(script));
    void recognition.start();
    recognition.sendAudioFrame(FRAME);
    await expect(recognition.stop()).rejects.toThrow();
    expect([recognition.getFirstPackageDelay(), recognition.getLastPackageDelay()]).toEqual([
      undefined,
      undefined,
    ]);
  });

  it('keeps the last message, task-failed included', async () => {
    const script = faulty((frame, socket) => {
      if (frame.kind !== 'audio') return false;
      socket.failed(recognition.getLastRequestId(), 'Throttling.RateQuota', 'slow down');
      return true;
    });
    const { recognition, closed } = recognitionOn(await serviceWith(script));
    expect(recognition.getResponse()).toBeUndefined();
    await recognition.start();
    expect(recognition.getResponse()).toMatchObject({ header: { event: 'task-started' } });
    recognition.sendAudioFrame(FRAME);
    await closed;
    expect(recognition.getResponse()).toMatchObject({
      header: { event: 'task-failed', error_code: 'Throttling.RateQuota', error_message: 'slow down' },
    });
  });

  it('tells of a result, and of a sentence alone, whether it is final', async () => {
    const results: RecognitionResult[] = [];
    const onEvent = (result: RecognitionResult): void => void results.push(result);
    const { recognition } = recognitionOn(await serviceWith(partialFirst), {}, { onEvent });
    await recognition.start();
    recognition.sendAudioFrame(FRAME);
    await recognition.stop();
    expect(results.map((result) => result.isSentenceEnd())).toEqual([false, true]);
    expect(results.map((result) => RecognitionResult.isSentenceEnd(result.getSentence()))).toEqual([
      false,
      true,
    ]);
  });

  it('gives sentence, words, emotion, usage and request id of a result', async () => {
    const results: RecognitionResult[] = [];
    const { recognition } = recognitionOn(
      await serviceWith(),
      {},
      { onEvent: (result) => results.push(result) },
    );
    void recognition.start();
    recognition.sendAudioFrame(FRAME);
    await recognition.stop();
    const [result] = results;
    expect(result?.getSentence()).toEqual({
      sentenceId: 1,
      beginMs: 100,
      endMs: 900,
      text: '您好。',
      final: true,
      words: [{ beginMs: 100, endMs: 900, text: '您好', punctuation: '。' }],
      emotion: { tag: 'neutral', confidence: 0.9 },
      usageSeconds: 2,
    });
    expect(result?.getUsage()).toEqual({ duration: 2 });
    expect(result?.getRequestId()).toBe(recognition.getLastRequestId());
    expect(recognition.getResponse()).toMatchObject({ header: { event: 'task-finished' } });
  });
});

describe('audio that is sent', () => {
  it('is copied where it has to wait, so that its buffer may be used again', async () => {
    const service = await serviceWith();
    const { recognition } = recognitionOn(service);
    void recognition.start();
    const buffer = Buffer.alloc(700, 1);
    recognition.sendAudioFrame(buffer);
    buffer.fill(2);
    recognition.sendAudioFrame(buffer);
    buffer.fill(3);
    await recognition.stop();
    const sent = Buffer.concat(service.frames.flatMap((each) => (each.kind === 'audio' ? [each.bytes] : [])));
    expect(sent).toEqual(Buffer.concat([Buffer.alloc(700, 1), Buffer.alloc(700, 2)]));
  });

  it('of a compressed format goes as it is, but never in frames over 16 KB', async () => {
    const service = await serviceWith();
    const { recognition } = recognitionOn(service, { format: 'mp3' });
    await recognition.start();
    recognition.sendAudioFrame(Buffer.alloc(100));
    recognition.sendAudioFrame(new Uint8Array(40_000));
    await recognition.stop();
    const sizes = service.frames.flatMap((each) => (each.kind === 'audio' ? [each.bytes.length] : []));
    expect(sizes).toEqual([100, 16_384, 16_384, 7_232]);
  });

  it('tells by false that much of it waits, and how much', async () => {
    const { recognition } = recognitionOn(await serviceWith(() => undefined));
    void recognition.start();
    expect(recognition.sendAudioFrame(Buffer.alloc(8_000))).toBe(true);
    expect(recognition.backlogMs).toBe(500);
    expect(recognition.sendAudioFrame(Buffer.alloc(8_000))).toBe(false);
    expect(recognition.bufferedBytes).toBe(16_000);
  });

  it('fails the run beyond the bound', async () => {
    const { recognition, told, errors, closed } = recognitionOn(await serviceWith(() => undefined));
    void recognition.start();
    recognition.sendAudioFrame(Buffer.alloc(160_002));
    await closed;
    expect(told).toEqual(['error', 'close']);
    expect(errors[0]).toMatchObject({ kind: 'overload', code: 'ASR_BACKLOG_FULL' });
  });
});

describe('results as an iteration', () => {
  it('gives the results of the run and ends with it', async () => {
    const { recognition } = recognitionOn(await serviceWith(partialFirst));
    void recognition.start();
    recognition.sendAudioFrame(FRAME);
    const texts: string[] = [];
    for await (const result of recognition) {
      texts.push(result.getSentence().text);
      if (texts.length === 1) void recognition.stop();
    }
    expect(texts).toEqual(['您', '您好。']);
  });

  it('may be asked for before the start', async () => {
    const { recognition } = recognitionOn(await serviceWith());
    const results = recognition.results();
    void recognition.start();
    recognition.sendAudioFrame(FRAME);
    await recognition.stop();
    const texts: string[] = [];
    for await (const result of results) texts.push(result.getSentence().text);
    expect(texts).toEqual(['您好。']);
  });

  it('rejects with the error of the run, also when asked for after it', async () => {
    const { recognition, errors } = recognitionOn(await serviceWith(goodService, () => 403));
    await expect(recognition.start()).rejects.toThrow();
    const read = async (): Promise<void> => {
      for await (const _ of recognition.results());
    };
    await expect(read()).rejects.toBe(errors[0]);
  });

  it('has one reader', async () => {
    const { recognition } = recognitionOn(await serviceWith());
    void recognition.start();
    recognition[Symbol.asyncIterator]();
    expect(() => recognition[Symbol.asyncIterator]()).toThrow(TypeError);
  });

  it('ends the run when its reader leaves', async () => {
    const { recognition, told, closed } = recognitionOn(await serviceWith(partialFirst));
    void recognition.start();
    recognition.sendAudioFrame(FRAME);
    for await (const _ of recognition) break;
    await closed;
    expect(told).toEqual(['open', '您', 'error', 'close']);
  });
});

describe('the writable', () => {
  it('starts, sends and stops', async () => {
    const service = await serviceWith();
    const { recognition, told } = recognitionOn(service);
    await pipeline(Readable.from([Buffer.alloc(5_000), Buffer.alloc(5_000)]), recognition.writable());
    expect(told).toEqual(['open', '您好。|', 'complete', 'close']);
    const sizes = service.frames.flatMap((each) => (each.kind === 'audio' ? [each.bytes.length] : []));
    expect(sizes).toEqual([1_600, 1_600, 1_600, 1_600, 1_600, 1_600, 400]);
  });

  it('takes no more than it can send', async () => {
    const service = await serviceWith((frame, socket) => {
      if (frame.kind === 'run-task') return;
      goodService(frame, socket);
    });
    const { recognition } = recognitionOn(service);
    let taken = 0;
    const source = new Readable({
      highWaterMark: 1_600,
      read() {
        taken += 1;
        this.push(taken > 1_000 ? null : FRAME);
      },
    });
    const piped = pipeline(source, recognition.writable());
    while (service.frames.length === 0) await new Promise(setImmediate);
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    // A second of audio in the task, and what the two streams' own buffers hold.
    expect(taken).toBeLessThan(60);
    const run = service.frames[0] as { taskId: string };
    service.sockets[0]!.started(run.taskId);
    await piped;
    expect(taken).toBe(1_001);
  });

  it('is destroyed with the error of the run', async () => {
    const { recognition, errors } = recognitionOn(await serviceWith(goodService, () => 401));
    const piped = pipeline(Readable.from([FRAME]), recognition.writable());
    await expect(piped).rejects.toBeInstanceOf(DashScopeError);
    expect(errors).toHaveLength(1);
  });

  it('ends the run when it is destroyed', async () => {
    const { recognition, told, closed, opened } = recognitionOn(await serviceWith());
    const stream = recognition.writable();
    await opened;
    stream.destroy();
    await closed;
    expect(told).toEqual(['open', 'error', 'close']);
  });
});

it('await using ends what runs', async () => {
  const service = await serviceWith();
  const told = recognitionOn(service);
  {
    await using recognition = told.recognition;
    await recognition.start();
  }
  expect(told.told).toEqual(['open', 'error', 'close']);
});

describe('leaves neither socket nor timer nor listener behind', () => {
  it.each<[string, Script, number | undefined]>([
    ['a good end', goodService, undefined],
    [
      'a task-failed',
      faulty((frame, socket) => frame.kind === 'audio' && (socket.failed('', 'X'), true)),
      undefined,
    ],
    ['a cut', faulty((frame, socket) => frame.kind === 'audio' && (socket.cut(), true)), undefined],
    ['a refusal', goodService, 403],
    ['a time-out', () => undefined, undefined],
  ])('after %s', async (_case, script, status) => {
    const before = await openResources();
    const service = await ScriptedService.start(script, () => status);
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    const { recognition } = recognitionOn(service, { signal });
    void recognition.start();
    recognition.sendAudioFrame(FRAME);
    await recognition.stop({ timeoutMs: 100 }).catch(() => undefined);
    await service[Symbol.asyncDispose]();
    const after = await openResources();
    expect(after.sockets).toBe(before.sockets);
    expect(after.timers).toBe(before.timers);
    expect(listeners).toBe(0);
  });
});
