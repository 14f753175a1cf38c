import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import type { CallProgress } from '../../src/dashscope/audio-file.ts';
import { DashScopeError } from '../../src/dashscope/errors.ts';
import { Recognition, type RecognitionOptions } from '../../src/dashscope/recognition.ts';
import {
  FINAL,
  goodService,
  openResources,
  PARTIAL,
  type Script,
  ScriptedService,
} from './scripted-service.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'callscribe-audio-file-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const running: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of running.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

async function serviceWith(script?: Script): Promise<ScriptedService> {
  const service = await ScriptedService.start(script);
  running.push(service);
  return service;
}

function recognitionOn(
  { url }: { readonly url: string },
  options: Partial<RecognitionOptions> = {},
): Recognition {
  const recognition = new Recognition({
    model: 'paraformer-realtime-8k-v2',
    format: 'pcm',
    sampleRate: 8000,
    apiKey: 'sk-1',
    url,
    ...options,
  });
  running.push(recognition);
  return recognition;
}

async function fileOf(name: string, bytes: Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

/** Samples whose place can be told from their value. */
const samples = (bytes: number): Buffer =>
  Buffer.from(Array.from({ length: bytes }, (_, at) => (at * 31) & 255));

const sentBytes = (service: ScriptedService): Buffer =>
  Buffer.concat(service.frames.flatMap((frame) => (frame.kind === 'audio' ? [frame.bytes] : [])));

const FAST = { speed: 1_000 };

describe('call', () => {
  it.each<[string, (path: string) => Parameters<Recognition['call']>[0]]>([
    ['a path', (path) => path],
    ['a file URL', (path) => pathToFileURL(path)],
    ['a stream', (path) => createReadStream(path, { highWaterMark: 777 })],
    ['an iterable of bytes', (path) => Readable.from(createReadStream(path)) as AsyncIterable<Uint8Array>],
  ])('sends all of %s, and gives the finals', async (_case, file) => {
    const service = await serviceWith();
    const recognition = recognitionOn(service);
    const audio = samples(100_000);
    const path = await fileOf('all.pcm', audio);
    const result = await recognition.call(file(path), FAST);
    expect(sentBytes(service).equals(audio)).toBe(true);
    expect(result.getText()).toBe('您好。');
    expect(result.getSentence()).toMatchObject([
      { text: '您好。', emotion: { tag: 'neutral' }, final: true },
    ]);
    expect(result.getUsage()).toEqual({ duration: 2 });
    expect(result.getRequestId()).toBe(recognition.getLastRequestId());
    expect(recognition.getFirstPackageDelay()).toBeGreaterThanOrEqual(0);
    expect(recognition.getLastPackageDelay()).toBeGreaterThanOrEqual(0);
    expect(recognition.running).toBe(false);
  });

  it('keeps finals only, each once', async () => {
    const service = await serviceWith((frame, socket) => {
      if (frame.kind === 'run-task') socket.started(frame.taskId);
      if (frame.kind !== 'finish-task') return;
      socket.result(frame.taskId, PARTIAL);
      socket.result(frame.taskId, FINAL, { duration: 2 });
      socket.result(frame.taskId, FINAL, { duration: 2 });
      socket.result(
        frame.taskId,
        { ...FINAL, begin_time: 1_000, end_time: 1_500, text: '再见。' },
        { duration: 3 },
      );
      socket.finished(frame.taskId);
    });
    const result = await recognitionOn(service).call(Readable.from([samples(1_600)]), FAST);
    expect(result.getText()).toBe('您好。\n再见。');
    expect(result.getUsage()).toEqual({ duration: 3 });
  });

  it('tells its progress, up to all of it', async () => {
    const service = await serviceWith();
    const path = await fileOf('progress.pcm', samples(40_000));
    const progress: CallProgress[] = [];
    await recognitionOn(service).call(path, { ...FAST, onProgress: (each) => progress.push(each) });
    const sent = progress.map((each) => each.sentBytes);
    expect(sent).toEqual([...sent].sort((a, b) => a - b));
    expect(progress.length).toBeGreaterThan(2);
    expect(progress.at(-1)).toEqual({ sentBytes: 40_000, totalBytes: 40_000, sentMs: 2_500, sentences: 1 });
  });

  it('sends no faster than it was told', async () => {
    const service = await serviceWith();
    const began = performance.now();
    // 3 s of audio, one of them at once, at 10 times real time: at least 100 ms until the last third may go.
    await recognitionOn(service).call(Readable.from([samples(48_000)]), { speed: 10 });
    expect(performance.now() - began).toBeGreaterThan(90);
    expect(sentBytes(service)).toHaveLength(48_000);
  });

  it('reads no further than it has sent', async () => {
    const service = await serviceWith((frame, socket) => {
      if (frame.kind === 'run-task') {
        held = () => {
          socket.started(frame.taskId);
        };
      } else goodService(frame, socket);
    });
    let held: (() => void) | undefined;
    let given = 0;
    function* pieces(): Generator<Buffer> {
      for (; given < 200; given += 1) yield samples(16_000);
    }
    const call = recognitionOn(service).call(Readable.from(pieces(), { highWaterMark: 1 }), FAST);
    while (held === undefined) await new Promise(setImmediate);
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    // What the header check looks at, and a second for the task.
    expect(given).toBeLessThan(10);
    held();
    await call;
    expect(sentBytes(service)).toHaveLength(200 * 16_000);
  });

  it('keeps what was recognised before a failure', async () => {
    const service = await serviceWith((frame, socket) => {
      if (frame.kind === 'audio') {
        const { taskId } = socket.frames[0] as { taskId: string };
        socket.result(taskId, FINAL);
        socket.failed(taskId, 'InternalError');
      } else goodService(frame, socket);
    });
    const call = recognitionOn(service).call(await fileOf('fails.pcm', samples(200_000)), { speed: 1 });
    await expect(call).rejects.toMatchObject({
      code: 'ASR_TASK_FAILED',
      dashscopeCode: 'InternalError',
      sentences: [{ text: '您好。' }],
    });
  });

  it('waits for a slow end as long as results come', async () => {
    const late = (socket: Parameters<Script>[1], taskId: string, no: number): void => {
      if (no === 5) socket.finished(taskId);
      else {
        socket.result(taskId, { ...FINAL, begin_time: no * 1_000, end_time: no * 1_000 + 500 });
        setTimeout(() => {
          late(socket, taskId, no + 1);
        }, 40);
      }
    };
    const service = await serviceWith((frame, socket) => {
      if (frame.kind === 'finish-task') late(socket, frame.taskId, 0);
      else goodService(frame, socket);
    });
    const recognition = recognitionOn(service, { limits: { stopTimeoutMs: 120 } });
    expect((await recognition.call(Readable.from([samples(1_600)]), FAST)).getSentence()).toHaveLength(5);
  });

  it('ends by its signal, whatever it is doing', async () => {
    const service = await serviceWith();
    const recognition = recognitionOn(service);
    const controller = new AbortController();
    const path = await fileOf('abort.pcm', samples(320_000));
    const call = recognition.call(path, {
      speed: 1,
      signal: controller.signal,
      onProgress: () => {
        controller.abort(new Error('enough'));
      },
    });
    await expect(call).rejects.toMatchObject({ code: 'ASR_ABORTED', cause: { message: 'enough' } });
    expect(recognition.running).toBe(false);
    await expect(recognition.call(path, { signal: controller.signal })).rejects.toMatchObject({
      code: 'ASR_ABORTED',
    });
    expect(service.sockets).toHaveLength(1);
  });

  it('fails when the stream does, and tells why', async () => {
    const service = await serviceWith();
    async function* broken(): AsyncGenerator<Buffer> {
      yield samples(70_000);
      await Promise.resolve();
      throw new Error('disk gone');
    }
    const call = recognitionOn(service).call(broken(), FAST);
    await expect(call).rejects.toMatchObject({ code: 'ASR_ABORTED', cause: { message: 'disk gone' } });
  });

  it('may be followed by another', async () => {
    const service = await serviceWith();
    const recognition = recognitionOn(service);
    const path = await fileOf('twice.pcm', samples(1_600));
    await recognition.call(path, FAST);
    const first = recognition.getLastRequestId();
    await recognition.call(path, FAST);
    expect(recognition.getLastRequestId()).not.toBe(first);
  });

  it('is one at a time', async () => {
    const service = await serviceWith();
    const recognition = recognitionOn(service);
    const path = await fileOf('once.pcm', samples(1_600));
    const first = recognition.call(path, FAST);
    await expect(recognition.call(path, FAST)).rejects.toMatchObject({ code: 'ASR_USAGE' });
    await first;
  });
});

describe('call refuses before it connects', () => {
  it.each<[string, () => Promise<Parameters<Recognition['call']>[0]>, RegExp]>([
    [
      'a file that is not there',
      () => Promise.resolve(join(folder, 'none.pcm')),
      /cannot be read \(ENOENT\)/,
    ],
    ['a directory', () => Promise.resolve(folder), /is a directory/],
    ['an empty file', () => fileOf('empty.pcm', Buffer.alloc(0)), /is empty/],
    ['an empty stream', () => Promise.resolve(Readable.from([])), /is empty/],
    ['a stream of text', () => Promise.resolve(Readable.from(['AAAA']) as never), /other than bytes/],
    ['half a sample', () => fileOf('odd.pcm', samples(1_601)), /1601 bytes, an odd number/],
    ['another format', () => fileOf('flac.pcm', Buffer.from('fLaC....')), /is FLAC, but pcm/],
  ])('%s', async (_case, file, message) => {
    const service = await serviceWith();
    const recognition = recognitionOn(service);
    await expect(recognition.call(await file())).rejects.toThrow(message);
    expect(service.sockets).toHaveLength(0);
    expect(recognition.running).toBe(false);
  });

  it.each([0, -1, Number.NaN, Infinity, 1_001])('a speed of %s', async (speed) => {
    const recognition = recognitionOn(await serviceWith());
    await expect(recognition.call('any', { speed })).rejects.toThrow(/speed: found/);
  });

  it('and lets go of a stream that it does not send', async () => {
    const stream = Readable.from([Buffer.from('fLaC....')]);
    const recognition = recognitionOn(await serviceWith());
    await expect(recognition.call(stream)).rejects.toBeInstanceOf(DashScopeError);
    expect(stream.destroyed).toBe(true);
  });
});

it('looks behind the tag of an mp3 file, however long it is', async () => {
  const service = await serviceWith();
  const tagBytes = 100_000;
  const size = [21, 14, 7, 0].map((shift) => (tagBytes >> shift) & 127);
  const frame = Buffer.concat([Buffer.from('fff348c4', 'hex'), Buffer.alloc(140)]);
  const tag = Buffer.concat([Buffer.from('ID3'), Buffer.from([4, 0, 0, ...size]), Buffer.alloc(tagBytes)]);
  const path = await fileOf('tag.mp3', Buffer.concat([tag, frame, frame, frame]));
  const wrong = recognitionOn(service, { format: 'mp3' });
  await expect(wrong.call(path)).rejects.toThrow(/is MP3, 16000 Hz/);
  const right = recognitionOn(service, {
    model: 'paraformer-realtime-v2',
    format: 'mp3',
    sampleRate: 16_000,
  });
  await right.call(path, FAST);
  expect(sentBytes(service)).toHaveLength(tagBytes + 10 + 432);
});

it('sends a wav file with its header', async () => {
  const service = await serviceWith();
  const header = Buffer.from(
    `52494646 2c000000 57415645 666d7420 10000000 0100 0100 401f0000 803e0000 0200 1000 64617461 08000000`.replaceAll(
      ' ',
      '',
    ),
    'hex',
  );
  const file = Buffer.concat([header, samples(8)]);
  await recognitionOn(service, { format: 'wav' }).call(await fileOf('a.wav', file), FAST);
  expect(sentBytes(service)).toEqual(file);
});

it('leaves neither file nor socket nor timer open', async () => {
  const path = await fileOf('left.pcm', samples(64_000));
  const before = await openResources();
  const service = await ScriptedService.start((frame, socket) => {
    if (frame.kind === 'audio') socket.cut();
    else goodService(frame, socket);
  });
  const stream = createReadStream(path);
  const closed = once(stream, 'close');
  await expect(recognitionOn(service).call(stream, { speed: 1 })).rejects.toBeInstanceOf(DashScopeError);
  await closed;
  await expect(recognitionOn(service).call(path, { speed: 1 })).rejects.toBeInstanceOf(DashScopeError);
  await service[Symbol.asyncDispose]();
  const after = await openResources();
  expect(after.sockets).toBe(before.sockets);
  expect(after.timers).toBe(before.timers);
});
