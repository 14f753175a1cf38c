import { spawnSync } from 'node:child_process';

import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';

import { silentLogger } from '../../src/log.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/server.ts';
import { makeCodes, toPcmBuffer } from '../support/captioned-audio.ts';

const TEXT = '您好。';
const PCM = toPcmBuffer('PCMU', makeCodes('PCMU', 3_000, [{ beginMs: 640, endMs: 1_840, text: TEXT }]));
const HAS_FFMPEG = spawnSync('ffmpeg', ['-version']).status === 0;

const running: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of running.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

async function sandboxWith(options: Partial<SandboxOptions> = {}): Promise<Sandbox> {
  const sandbox = await startSandbox({
    host: '127.0.0.1',
    port: 0,
    recogniser: captionsRecogniser,
    logger: silentLogger,
    rateLimit: 'off',
    ...options,
  });
  running.push(sandbox);
  return sandbox;
}

interface Message {
  readonly header: { readonly event: string; readonly error_code?: string; readonly error_message?: string };
  readonly payload: {
    readonly output?: {
      readonly sentence?: {
        readonly text: string;
        readonly sentence_end: boolean;
        readonly begin_time: number;
      };
    };
    readonly usage?: { readonly duration: number } | null;
  };
}

/** A bare socket that runs one task after another. */
class Client {
  readonly #socket: WebSocket;
  readonly messages: Message[] = [];
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(url: string, key = 'sk-1') {
    this.#socket = new WebSocket(url, { headers: { Authorization: `Bearer ${key}` } });
    this.#socket.on('message', (data) => {
      this.messages.push(JSON.parse((data as Buffer).toString('utf8')) as Message);
      this.#wake?.();
    });
    this.#socket.on('close', () => {
      this.#closed = true;
      this.#wake?.();
    });
    this.#socket.on('error', () => undefined);
    running.push({
      [Symbol.asyncDispose]: () => {
        this.#socket.terminate();
        return Promise.resolve();
      },
    });
  }

  async open(): Promise<this> {
    if (this.#socket.readyState !== WebSocket.OPEN) {
      await new Promise((resolve, reject) => {
        this.#socket.once('open', resolve);
        this.#socket.once('error', reject);
      });
    }
    return this;
  }

  send(action: 'run-task' | 'finish-task', taskId: string, payload: unknown): void {
    this.#socket.send(JSON.stringify({ header: { action, task_id: taskId, streaming: 'duplex' }, payload }));
  }

  audio(bytes: Buffer): void {
    this.#socket.send(bytes);
  }

  close(): void {
    this.#socket.close();
  }

  /** The next message of one of these events; undefined where the socket ends first. */
  async next(...events: string[]): Promise<Message | undefined> {
    for (;;) {
      const at = this.messages.findIndex(({ header }) => events.includes(header.event));
      if (at >= 0) return this.messages.splice(0, at + 1).at(-1);
      if (this.#closed) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

interface Task {
  readonly taskId?: string;
  readonly model?: string;
  readonly parameters?: Record<string, unknown>;
  readonly resources?: unknown;
  readonly audio?: readonly Buffer[];
}

const ID = (no: number): string => no.toString(16).padStart(32, '0');

interface Outcome {
  readonly finals: readonly string[];
  readonly failure: string | undefined;
  readonly billedSeconds: number | undefined;
}

async function run(client: Client, task: Task = {}): Promise<Outcome> {
  const { taskId = ID(1), model = 'paraformer-realtime-8k-v2', parameters = {}, resources } = task;
  client.send('run-task', taskId, {
    task_group: 'audio',
    task: 'asr',
    function: 'recognition',
    model,
    parameters: { format: 'pcm', sample_rate: 8000, ...parameters },
    resources,
    input: {},
  });
  const begun = await client.next('task-started', 'task-failed');
  const outcome = {
    finals: [] as string[],
    failure: begun?.header.error_code,
    billedSeconds: undefined as number | undefined,
  };
  if (begun?.header.event !== 'task-started') return outcome;
  for (const bytes of task.audio ?? [PCM]) client.audio(bytes);
  client.send('finish-task', taskId, { input: {} });
  for (;;) {
    const message = await client.next('result-generated', 'task-finished', 'task-failed');
    if (message === undefined || message.header.event === 'task-finished') return outcome;
    if (message.header.event === 'task-failed') return { ...outcome, failure: message.header.error_code };
    const sentence = message.payload.output?.sentence;
    if (sentence?.sentence_end !== true) continue;
    outcome.finals.push(sentence.text);
    outcome.billedSeconds = message.payload.usage?.duration;
  }
}

function inPieces(bytes: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

interface WavChange {
  readonly rateHz?: number;
  readonly channels?: number;
  readonly bits?: number;
  readonly coding?: number;
  readonly dataBytes?: number;
  readonly before?: Buffer;
}

function wav(change: WavChange = {}): Buffer {
  const { rateHz = 8_000, channels = 1, bits = 16, coding = 1, dataBytes = PCM.length } = change;
  const format = Buffer.alloc(24);
  format.write('fmt ', 0, 'latin1');
  format.writeUInt32LE(16, 4);
  format.writeUInt16LE(coding, 8);
  format.writeUInt16LE(channels, 10);
  format.writeUInt32LE(rateHz, 12);
  format.writeUInt32LE((rateHz * channels * bits) / 8, 16);
  format.writeUInt16LE((channels * bits) / 8, 20);
  format.writeUInt16LE(bits, 22);
  const data = Buffer.alloc(8);
  data.write('data', 0, 'latin1');
  data.writeUInt32LE(dataBytes, 4);
  const riff = Buffer.from('RIFF\0\0\0\0WAVE', 'latin1');
  return Buffer.concat([riff, change.before ?? Buffer.alloc(0), format, data, PCM]);
}

describe('wav', () => {
  it.each<[string, Buffer, number]>([
    ['whole', wav(), 1 << 19],
    ['byte by byte through the header', wav(), 1],
    [
      'with another chunk of odd length before',
      wav({ before: Buffer.from('LIST\x03\0\0\0abc\0', 'latin1') }),
      7,
    ],
    ['of a length that the header does not know', wav({ dataBytes: 0 }), 1_600],
    ['of a length that a recorder left open', wav({ dataBytes: 0xffff_ffff }), 1_600],
    ['with a tag after the samples', Buffer.concat([wav(), Buffer.from('LIST tag tag tag')]), 1_600],
  ])('is read: %s', async (_case, bytes, size) => {
    const { url } = await sandboxWith();
    const audio =
      size === 1 ? [...inPieces(bytes.subarray(0, 60), 1), bytes.subarray(60)] : inPieces(bytes, size);
    expect(await run(await new Client(url).open(), { parameters: { format: 'wav' }, audio })).toEqual({
      finals: [TEXT],
      failure: undefined,
      billedSeconds: 3,
    });
  });

  it.each<[string, Buffer, string]>([
    ['bare PCM', PCM, 'UNSUPPORTED_FORMAT'],
    ['two channels', wav({ channels: 2 }), 'UNSUPPORTED_FORMAT'],
    ['8 bits', wav({ bits: 8 }), 'UNSUPPORTED_FORMAT'],
    ['A-law inside', wav({ coding: 6 }), 'UNSUPPORTED_FORMAT'],
    ['half a header', wav().subarray(0, 30), 'UNSUPPORTED_FORMAT'],
    ['another rate', wav({ rateHz: 16_000 }), 'NO_VALID_AUDIO_ERROR'],
    [
      'an endless header',
      wav({ before: Buffer.concat([Buffer.from('LIST\xff\xff\xff\x7f', 'latin1'), Buffer.alloc(70_000)]) }),
      'UNSUPPORTED_FORMAT',
    ],
  ])('fails: %s', async (_case, bytes, code) => {
    const sandbox = await sandboxWith();
    const audio = inPieces(bytes, 8_000);
    const { failure } = await run(await new Client(sandbox.url).open(), {
      parameters: { format: 'wav' },
      audio,
    });
    expect(failure).toBe(code);
    expect(sandbox.live.tasks).toBe(0);
  });
});

// Without ffmpeg there is nothing to decode with; the case below says what happens then.
describe.runIf(HAS_FFMPEG)('compressed formats, by ffmpeg', () => {
  function encode(rateHz: number, ...options: string[]): Buffer | undefined {
    const input = ['-f', 's16le', '-ar', '8000', '-ac', '1', '-i', 'pipe:0', '-ar', String(rateHz)];
    const done = spawnSync('ffmpeg', ['-loglevel', 'quiet', ...input, ...options, 'pipe:1'], { input: PCM });
    return done.status === 0 && done.stdout.length > 0 ? done.stdout : undefined;
  }

  it.for([
    ['mp3', 8_000, ['-f', 'mp3']],
    ['opus', 8_000, ['-c:a', 'libopus', '-f', 'ogg']],
    ['speex', 8_000, ['-c:a', 'libspeex', '-f', 'ogg']],
    ['aac', 8_000, ['-f', 'adts']],
    ['amr', 8_000, ['-c:a', 'libopencore_amrnb', '-f', 'amr']],
    ['mp3', 44_100, ['-f', 'mp3']],
  ] as const)('takes %s of %i Hz', async ([format, rateHz, options], { skip }) => {
    const bytes = encode(rateHz, ...options);
    if (bytes === undefined) return skip('this ffmpeg was built without the encoder');
    const sandbox = await sandboxWith();
    const task = {
      model: 'paraformer-realtime-v2',
      parameters: { format, sample_rate: rateHz },
      audio: inPieces(bytes, 700),
    };
    const { finals, failure } = await run(await new Client(sandbox.url).open(), task);
    expect(failure).toBeUndefined();
    // Captions do not survive a lossy codec.
    expect(finals).toEqual([expect.stringMatching(/^\[speech [\d.]+ s\]$/)]);
    expect(sandbox.live).toMatchObject({ tasks: 0, decoders: 0 });
  });

  it('fails for bytes of another format, and leaves no child behind', async () => {
    const sandbox = await sandboxWith();
    const client = await new Client(sandbox.url).open();
    const task = { parameters: { format: 'opus' }, audio: [Buffer.alloc(20_000, 'not opus')] };
    expect((await run(client, task)).failure).toBe('UNSUPPORTED_FORMAT');
    while (sandbox.live.decoders > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  it('ends the child with a socket that is lost', async () => {
    const sandbox = await sandboxWith();
    const client = await new Client(sandbox.url).open();
    client.send('run-task', ID(1), {
      task_group: 'audio',
      task: 'asr',
      function: 'recognition',
      model: 'paraformer-realtime-8k-v2',
      parameters: { format: 'mp3', sample_rate: 8000 },
      input: {},
    });
    await client.next('task-started');
    expect(sandbox.live.decoders).toBe(1);
    client.close();
    while (sandbox.live.decoders > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(sandbox.live.tasks).toBe(0);
  });
});

it.each([null, '/nowhere/ffmpeg'])(
  'without ffmpeg (%s), compressed formats are refused and wav is not',
  async (ffmpegCommand) => {
    const { url, live } = await sandboxWith({ ffmpegCommand });
    const refused = await run(await new Client(url).open(), { parameters: { format: 'mp3' } });
    expect(refused.failure).toBe('UNSUPPORTED_FORMAT');
    expect(
      (await run(await new Client(url).open(), { parameters: { format: 'wav' }, audio: [wav()] })).finals,
    ).toEqual([TEXT]);
    expect(live.decoders).toBe(0);
  },
);

describe('any sample rate', () => {
  it.each([11_025, 16_000, 22_050, 44_100, 48_000])(
    'of %i Hz finds the same speech at the same time',
    async (rateHz) => {
      const { url } = await sandboxWith();
      // The speech, played faster or slower by repeating samples: its times must not change.
      const samples = Math.floor((PCM.length / 2) * (rateHz / 8_000));
      const audio = Buffer.alloc(samples * 2);
      for (let at = 0; at < samples; at += 1) {
        audio.writeInt16LE(PCM.readInt16LE(2 * Math.floor((at * 8_000) / rateHz)), at * 2);
      }
      const client = await new Client(url).open();
      const task = {
        model: 'paraformer-realtime-v2',
        parameters: { sample_rate: rateHz },
        audio: inPieces(audio, 4_801),
      };
      const { finals, billedSeconds } = await run(client, task);
      expect(finals).toHaveLength(1);
      expect(Number(/speech ([\d.]+) s/.exec(finals[0] ?? '')?.[1])).toBeCloseTo(1.2, 0);
      expect(billedSeconds).toBe(3);
    },
  );
});

describe('hot words at run-task', () => {
  it('that do not exist fail the task; those for another model do nothing, silently', async () => {
    const sandbox = await sandboxWith({
      vocabularies: { 'vocab-a-1': 'paraformer-realtime-8k-v2', 'vocab-b-1': 'paraformer-realtime-v2' },
    });
    const with_ = async (vocabulary_id: string, change: Task = {}): Promise<string | undefined> =>
      (await run(await new Client(sandbox.url).open(), { ...change, parameters: { vocabulary_id } })).failure;
    expect(await with_('vocab-none-1')).toBe('BadRequest.ResourceNotExist');
    expect(await with_('vocab-a-1')).toBeUndefined();
    expect(sandbox.counters).toMatchObject({ hotWordsApplied: 1, hotWordsIgnored: 0 });
    expect(await with_('vocab-b-1')).toBeUndefined();
    expect(sandbox.counters).toMatchObject({ hotWordsApplied: 1, hotWordsIgnored: 1 });
    // v1 models take phrases; a vocabulary says nothing to them.
    expect(await with_('vocab-none-1', { model: 'paraformer-realtime-8k-v1' })).toBeUndefined();
  });

  it('of a v1 model are resources', async () => {
    const sandbox = await sandboxWith();
    const made = await fetch(`${sandbox.httpUrl}/fine-tunes`, {
      method: 'POST',
      headers: { Authorization: 'Bearer sk-1' },
      body: JSON.stringify({
        model: 'paraformer-realtime-8k-v1',
        training_type: 'compile_asr_phrase',
        hyper_parameters: { phrase_list: { 话费: 3 } },
      }),
    });
    const { output } = (await made.json()) as { output: { finetuned_output: string } };
    const with_ = async (
      resources: unknown,
      model = 'paraformer-realtime-8k-v1',
    ): Promise<string | undefined> =>
      (await run(await new Client(sandbox.url).open(), { model, resources })).failure;
    const phrase = (id: string): unknown => [{ resource_id: id, resource_type: 'asr_phrase' }];
    expect(await with_(phrase(output.finetuned_output))).toBeUndefined();
    expect(sandbox.counters.hotWordsApplied).toBe(1);
    expect(await with_(phrase('none'))).toBe('BadRequest.ResourceNotExist');
    expect(await with_(phrase('none'), 'paraformer-realtime-8k-v2')).toBeUndefined();
    expect(await with_('none')).toBe('InvalidParameter');
  });
});

describe('a strict socket', () => {
  const RUN = {
    task_group: 'audio',
    task: 'asr',
    function: 'recognition',
    model: 'paraformer-realtime-8k-v2',
    parameters: { format: 'pcm', sample_rate: 8000 },
    input: {},
  };

  it.each<[string, string, (client: Client) => void]>([
    [
      'audio before task-started',
      '&fault=stall-start',
      (client) => {
        client.audio(PCM.subarray(0, 1_600));
      },
    ],
    [
      'finish-task before task-started',
      '&fault=stall-start',
      (client) => {
        client.send('finish-task', ID(1), { input: {} });
      },
    ],
    [
      'finish-task of another task',
      '',
      (client) => {
        client.audio(PCM.subarray(0, 1_600));
        client.send('finish-task', ID(2), { input: {} });
      },
    ],
    [
      'audio after finish-task',
      '&fault=never-finish',
      (client) => {
        client.send('finish-task', ID(1), { input: {} });
        client.audio(PCM.subarray(0, 1_600));
      },
    ],
  ])('fails the task for %s; a lenient one does not', async (_case, fault, act) => {
    const sandbox = await sandboxWith({ timers: { idleMs: 100 } });
    for (const [protocol, failure] of [
      ['strict', 'InvalidParameter'],
      ['lenient', undefined],
    ] as const) {
      const client = await new Client(`${sandbox.url}?protocol=${protocol}${fault}`).open();
      client.send('run-task', ID(1), RUN);
      if (!fault.includes('stall')) await client.next('task-started');
      act(client);
      expect((await client.next('task-failed', 'task-finished'))?.header.error_code).toBe(failure);
      client.close();
    }
  });

  it('runs what does everything right', async () => {
    const { url } = await sandboxWith({ protocol: 'strict' });
    expect((await run(await new Client(url).open())).finals).toEqual([TEXT]);
  });
});

it('keeps nothing of 2,000 tasks over reused sockets', async () => {
  const sandbox = await sandboxWith();
  const short = PCM.subarray(0, 3_200);
  const clients = await Promise.all(Array.from({ length: 10 }, () => new Client(sandbox.url).open()));
  await Promise.all(
    clients.map(async (client) => {
      for (let no = 1; no <= 200; no += 1) await run(client, { taskId: ID(no), audio: [short] });
    }),
  );
  expect(sandbox.counters).toMatchObject({ tasksStarted: 2_000, tasksFinished: 2_000, tasksFailed: 0 });
  expect(sandbox.live).toMatchObject({ sockets: 10, tasks: 0, decoders: 0 });
  for (const client of clients) client.close();
  while (sandbox.live.sockets > 0) await new Promise((resolve) => setImmediate(resolve));
});
