import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { afterEach, describe, expect, it } from 'vitest';

import { ConnectionPool } from '../../src/dashscope/connection-pool.ts';
import { DashScopeError, DashScopeUsageError } from '../../src/dashscope/errors.ts';
import { Recognition, type RecognitionOptions } from '../../src/dashscope/recognition.ts';
import type { RecognitionCallback, RecognitionWarning } from '../../src/dashscope/recognition-callback.ts';
import type { RecognitionResult } from '../../src/dashscope/recognition-result.ts';
import { FakeClock } from '../support/fake-clock.ts';
import {
  FINAL,
  goodService,
  openResources,
  PARTIAL,
  type Script,
  ScriptedService,
} from './scripted-service.ts';

const running: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of running.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

async function serviceWith(...args: Parameters<typeof ScriptedService.start>): Promise<ScriptedService> {
  const service = await ScriptedService.start(...args);
  running.push(service);
  return service;
}

const FRAME = Buffer.alloc(1_600);
const MODEL = { model: 'paraformer-realtime-8k-v2', format: 'pcm', sampleRate: 8000 } as const;

interface Told {
  readonly recognition: Recognition;
  /** Names of callbacks in order; what onEvent was told stands as `text` or `text.` for a final. */
  readonly told: string[];
  readonly errors: DashScopeError[];
  readonly closed: Promise<void>;
  readonly opened: Promise<void>;
}

/** A recognition that writes down what it is told. */
function recognitionOn(
  service: { readonly url: string },
  options: Partial<RecognitionOptions> = {},
  more: RecognitionCallback = {},
): Told {
  const told: string[] = [];
  const errors: DashScopeError[] = [];
  let onClosed!: () => void;
  let onOpened!: () => void;
  const closed = new Promise<void>((resolve) => (onClosed = resolve));
  const opened = new Promise<void>((resolve) => (onOpened = resolve));
  const recognition = new Recognition({
    ...MODEL,
    ...(options.pool === undefined ? { url: service.url, apiKey: 'sk-1' } : {}),
    ...options,
    callback: {
      onOpen: () => {
        told.push('open');
        onOpened();
        more.onOpen?.();
      },
      onEvent: (result) => {
        const { text } = result.getSentence();
        told.push(result.isSentenceEnd() ? `${text}|` : text);
        more.onEvent?.(result);
      },
      onComplete: () => {
        told.push('complete');
        more.onComplete?.();
      },
      onError: (error) => {
        told.push('error');
        errors.push(error);
        more.onError?.(error);
      },
      onClose: () => {
        told.push('close');
        onClosed();
        more.onClose?.();
      },
    },
  });
  running.push(recognition);
  return { recognition, told, errors, closed, opened };
}

/** As {@link goodService}, but does `fault` in place of its own reaction where it says so. */
const faulty =
  (fault: (...args: Parameters<Script>) => boolean): Script =>
  (frame, socket) => {
    if (!fault(frame, socket)) goodService(frame, socket);
  };

const partialFirst = faulty((frame, socket) => {
  if (frame.kind !== 'audio') return false;
  const run = socket.frames.findLast((each) => each.kind === 'run-task')!;
  socket.result(run.taskId, PARTIAL);
  return true;
});

describe('the order of callbacks', () => {
  it('normal end: open, events, complete, close', async () => {
    const { recognition, told } = recognitionOn(await serviceWith(partialFirst));
    await recognition.start();
    recognition.sendAudioFrame(FRAME);
    await recognition.stop();
    expect(told).toEqual(['open', '您', '您好。|', 'complete', 'close']);
  });

  it('normal end on a pool', async () => {
    const service = await serviceWith(partialFirst);
    const pool = new ConnectionPool({ url: service.url, apiKey: 'sk-1' });
    running.push(pool);
    const { recognition, told } = recognitionOn(service, { pool });
    void recognition.start();
    recognition.sendAudioFrame(FRAME);
    await recognition.stop();
    expect(told).toEqual(['open', '您', '您好。|', 'complete', 'close']);
    expect(pool.counters).toMatchObject({ idle: 1 });
  });

  it.each([1000, 1001, 1006, 1007, 1011])('early close with %i: open, error, close', async (code) => {
    const script = faulty((frame, socket) => {
      if (frame.kind !== 'audio') return false;
      if (code === 1006) socket.cut();
      else socket.close(code);
      return true;
    });
    const { recognition, told, errors, closed } = recognitionOn(await serviceWith(script));
    void recognition.start();
    recognition.sendAudioFrame(FRAME);
    await closed;
    expect(told).toEqual(['open', 'error', 'close']);
    expect(errors[0]).toMatchObject({
      kind: 'close',
      closeCode: code,
      requestId: recognition.getLastRequestId(),
      retryable: code !== 1007,
    });
  });

  it('task-failed in place of task-started: error, close', async () => {
    const script: Script = (frame, socket) => {
      if (frame.kind === 'run-task') socket.failed(frame.taskId, 'ModelNotFound', 'Model can not be found.');
    };
    const { recognition, told, errors } = recognitionOn(await serviceWith(script));
    await expect(recognition.start()).rejects.toMatchObject({ dashscopeCode: 'ModelNotFound' });
    expect(told).toEqual(['error', 'close']);
    expect(errors[0]).toMatchObject({
      kind: 'task',
      code: 'ASR_TASK_FAILED',
      dashscopeMessage: 'Model can not be found.',
      retryable: false,
    });
  });

  it('task-failed while streaming: open, events, error, close', async () => {
    const script = faulty((frame, socket) => {
      if (frame.kind !== 'audio') return false;
      const { taskId } = socket.frames[0] as { taskId: string };
      socket.result(taskId, FINAL);
      socket.failed(taskId, 'Throttling.RateQuota', 'Requests rate limit exceeded, please try again later.');
      return true;
    });
    const { recognition, told, errors, closed } = recognitionOn(await serviceWith(script));
    void recognition.start();
    recognition.sendAudioFrame(FRAME);
    await closed;
    expect(told).toEqual(['open', '您好。|', 'error', 'close']);
    expect(errors[0]).toMatchObject({ dashscopeCode: 'Throttling.RateQuota', retryable: true });
    expect(recognition.getResponse()).toMatchObject({
      header: { event: 'task-failed', error_code: 'Throttling.RateQuota' },
    });
    // Whoever goes on sending is told why that is in vain.
    expect(() => recognition.sendAudioFrame(FRAME)).toThrow(errors[0]);
    await expect(recognition.stop()).rejects.toBe(errors[0]);
  });

  it('task-failed during stop: open, error, close', async () => {
    const script = faulty((frame, socket) => {
      if (frame.kind !== 'finish-task') return false;
      socket.failed(frame.taskId, 'InternalError');
      return true;
    });
    const { recognition, told, errors } = recognitionOn(await serviceWith(script));
    void recognition.start();
    recognition.sendAudioFrame(FRAME);
    const stopped = recognition.stop();
    await expect(stopped).rejects.toMatchObject({ dashscopeCode: 'InternalError' });
    expect(told).toEqual(['open', 'error', 'close']);
    expect(errors).toHaveLength(1);
  });

  it('refused handshake: error, close, with the status and the body’s code and request id', async () => {
    const { recognition, told, errors } = recognitionOn(await serviceWith(goodService, () => 401));
    await expect(recognition.start()).rejects.toBeInstanceOf(DashScopeError);
    expect(told).toEqual(['error', 'close']);
    expect(errors[0]).toMatchObject({
      kind: 'handshake',
      httpStatus: 401,
      dashscopeCode: 'InvalidApiKey',
      requestId: 'r-1',
    });
  });

  it('nobody listens: error, close', async () => {
    const service = await ScriptedService.start();
    const { url } = service;
    await service[Symbol.asyncDispose]();
    const { recognition, told, errors } = recognitionOn({ url });
    await expect(recognition.start()).rejects.toBeInstanceOf(DashScopeError);
    expect(told).toEqual(['error', 'close']);
    expect(errors[0]).toMatchObject({ kind: 'network', code: 'ASR_UNREACHABLE', retryable: true });
  });

  it('a credential provider that fails: error, close', async () => {
    const service = await serviceWith();
    const apiKey = (): Promise<string> => Promise.reject(new Error('vault sealed'));
    const { recognition, told, errors } = recognitionOn(service, { apiKey });
    await expect(recognition.start()).rejects.toBeInstanceOf(DashScopeError);
    expect(told).toEqual(['error', 'close']);
    expect(errors[0]).toMatchObject({ kind: 'network', cause: { message: 'vault sealed' } });
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

  it.each<[string, (told: Told, controller: AbortController) => void]>([
    [
      'its signal',
      (_told, controller) => {
        controller.abort(new Error('hung up'));
      },
    ],
    [
      'abort()',
      ({ recognition }) => {
        recognition.abort(new Error('hung up'));
      },
    ],
  ])('abort by %s while streaming: open, error, close', async (_case, abort) => {
    const controller = new AbortController();
    const told = recognitionOn(await serviceWith(), { signal: controller.signal });
    await told.recognition.start();
    abort(told, controller);
    expect(told.told).toEqual(['open']);
    await told.closed;
    expect(told.told).toEqual(['open', 'error', 'close']);
    expect(told.errors[0]).toMatchObject({
      kind: 'aborted',
      code: 'ASR_ABORTED',
      cause: { message: 'hung up' },
    });
  });

  it('abort before the connection: error, close, and no connection', async () => {
    const service = await serviceWith();
    const told = recognitionOn(service, { signal: AbortSignal.abort() });
    await expect(told.recognition.start()).rejects.toMatchObject({ kind: 'aborted' });
    expect(told.told).toEqual(['error', 'close']);
    expect(service.sockets).toHaveLength(0);
  });

  it.each<[string, Script, Partial<RecognitionOptions>, string[]]>([
    ['task-started never comes', () => undefined, { limits: { startTimeoutMs: 30 } }, ['error', 'close']],
    [
      'task-finished never comes',
      faulty((frame) => frame.kind === 'finish-task'),
      { limits: { stopTimeoutMs: 30 } },
      ['open', 'error', 'close'],
    ],
  ])('time-out, %s', async (_case, script, options, expected) => {
    const { recognition, told, errors } = recognitionOn(await serviceWith(script), options);
    void recognition.start();
    recognition.sendAudioFrame(FRAME);
    await expect(recognition.stop()).rejects.toMatchObject({ kind: 'timeout', code: 'ASR_TIMEOUT' });
    expect(told).toEqual(expected);
    expect(errors[0]).toMatchObject({ retryable: true, requestId: recognition.getLastRequestId() });
  });

  it('stop has a deadline of its own, also while nothing has started', async () => {
    const { recognition, told } = recognitionOn(await serviceWith(() => undefined));
    void recognition.start();
    recognition.sendAudioFrame(FRAME);
    await expect(recognition.stop({ timeoutMs: 20 })).rejects.toMatchObject({ code: 'ASR_TIMEOUT' });
    expect(told).toEqual(['error', 'close']);
  });

  it('nothing was said and nothing sent: complete, close', async () => {
    const service = await serviceWith();
    const { recognition, told } = recognitionOn(service);
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
    const { recognition, told } = recognitionOn(await serviceWith(script));
    void recognition.start();
    recognition.sendAudioFrame(FRAME);
    await recognition.stop();
    expect(told).toEqual(['open', 'complete', 'close']);
    expect(recognition.warnings).toMatchObject([{ kind: 'no-speech', subject: 'NO_VALID_AUDIO_ERROR' }]);
  });
});

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

it.each([
  ['paraformer-realtime-v2', 16_000, { vocabularyId: 'vocab-1', languageHints: ['zh', 'en'] }],
  ['paraformer-realtime-8k-v2', 8_000, { vocabularyId: 'vocab-1', heartbeat: true }],
  ['paraformer-realtime-v1', 16_000, { phraseId: 'p-1' }],
  ['paraformer-realtime-8k-v1', 8_000, { phraseId: 'p-1', disfluencyRemovalEnabled: true }],
] as const)(
  'sends run-task of %s with its parameters, and nothing else of the options',
  async (model, sampleRate, more) => {
    const service = await serviceWith();
    const { recognition } = recognitionOn(service, { model, sampleRate, ...more, workspace: 'ws-1' });
    await recognition.start();
    await recognition.stop();
    const v2 = model.endsWith('v2');
    const named = {
      ...('vocabularyId' in more ? { vocabulary_id: more.vocabularyId } : {}),
      ...('languageHints' in more ? { language_hints: more.languageHints } : {}),
      ...('heartbeat' in more ? { heartbeat: more.heartbeat } : {}),
      ...('disfluencyRemovalEnabled' in more ? { disfluency_removal_enabled: true } : {}),
    };
    expect(service.frames[0]).toEqual({
      kind: 'run-task',
      taskId: recognition.getLastRequestId(),
      message: {
        header: { action: 'run-task', task_id: recognition.getLastRequestId(), streaming: 'duplex' },
        payload: {
          task_group: 'audio',
          task: 'asr',
          function: 'recognition',
          model,
          parameters: {
            format: 'pcm',
            sample_rate: sampleRate,
            ...(v2 ? { max_sentence_silence: 800 } : {}),
            ...named,
          },
          ...(v2 ? {} : { resources: [{ resource_id: 'p-1', resource_type: 'asr_phrase' }] }),
          input: {},
        },
      },
    });
  },
);

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
    expect(after.timers).toBeLessThanOrEqual(before.timers);
    expect(listeners).toBe(0);
  });
});
