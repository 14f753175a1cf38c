import { request } from 'node:http';

import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';

import { silentLogger } from '../../src/log.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { emotionOf } from '../../src/sandbox/emotion.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/server.ts';
import { chunksOf, makeCodes, toPcmBuffer } from '../support/captioned-audio.ts';
import { FakeClock } from '../support/fake-clock.ts';

const HEX_ID = '5f0c6a0f6c1b4e7f9a5d3b8e2c417a90';
const DASHED_ID = '5f0c6a0f-6c1b-4e7f-9a5d-3b8e2c417a90';
const TEXT = '您好。';
const SPEECH = chunksOf(
  toPcmBuffer('PCMU', makeCodes('PCMU', 3_000, [{ beginMs: 640, endMs: 1_840, text: TEXT }])),
);
/** 100 ms. */
const SILENCE = Buffer.alloc(1_600);

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
    ...options,
  });
  running.push(sandbox);
  return sandbox;
}

/** As much of the service's messages as the tests look into. */
interface WireMessage {
  readonly header: {
    readonly event: string;
    readonly task_id: string;
    readonly error_code?: string;
    readonly error_message?: string;
  };
  readonly payload: {
    readonly output?: { readonly sentence: WireSentence };
    readonly usage?: { readonly duration: number } | null;
  };
}

interface WireSentence {
  readonly sentence_id: number;
  readonly sentence_begin: boolean;
  readonly sentence_end: boolean;
  readonly text: string;
  readonly emo_tag?: string;
}

const sentencesOf = (messages: readonly WireMessage[]): WireSentence[] =>
  messages.flatMap(({ payload }) =>
    payload.output?.sentence === undefined ? [] : [payload.output.sentence],
  );

/** A bare socket that keeps what it is sent. */
class Client {
  readonly socket: WebSocket;
  readonly messages: WireMessage[] = [];
  closeCode: number | undefined;
  #wake: (() => void) | undefined;

  constructor(url: string, headers: Record<string, string> = { Authorization: 'Bearer sk-1' }) {
    this.socket = new WebSocket(url, { headers, perMessageDeflate: false });
    this.socket.on('message', (data, isBinary) => {
      expect(isBinary).toBe(false);
      this.messages.push(JSON.parse((data as Buffer).toString('utf8')) as WireMessage);
      this.#wake?.();
    });
    this.socket.on('close', (code) => {
      this.closeCode = code;
      this.#wake?.();
    });
    this.socket.on('error', () => undefined);
    running.push({
      [Symbol.asyncDispose]: () => {
        this.socket.terminate();
        return Promise.resolve();
      },
    });
  }

  static async open(url: string, headers?: Record<string, string>): Promise<Client> {
    const client = new Client(url, headers);
    await new Promise((resolve) => client.socket.once('open', resolve));
    return client;
  }

  send(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** Waits for the n-th message of this event. */
  async event(name: string, count = 1): Promise<WireMessage> {
    const found = (): WireMessage[] => this.messages.filter((message) => message.header.event === name);
    while (found().length < count) {
      if (this.closeCode !== undefined) throw new Error(`closed with ${this.closeCode} before ${name}`);
      await this.#more();
    }
    return found()[count - 1]!;
  }

  async closed(): Promise<number> {
    while (this.closeCode === undefined) await this.#more();
    return this.closeCode;
  }

  async #more(): Promise<void> {
    await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

interface RunTaskChange {
  readonly taskId?: string;
  readonly payload?: Record<string, unknown>;
  readonly parameters?: Record<string, unknown>;
}

function runTask({ taskId = HEX_ID, payload = {}, parameters = {} }: RunTaskChange = {}): Record<
  string,
  unknown
> {
  return {
    header: { action: 'run-task', task_id: taskId, streaming: 'duplex' },
    payload: {
      task_group: 'audio',
      task: 'asr',
      function: 'recognition',
      model: 'paraformer-realtime-8k-v2',
      parameters: { format: 'pcm', sample_rate: 8000, max_sentence_silence: 800, ...parameters },
      input: {},
      ...payload,
    },
  };
}

const finishTask = (taskId = HEX_ID): unknown => ({
  header: { action: 'finish-task', task_id: taskId, streaming: 'duplex' },
  payload: { input: {} },
});

async function runWhole(client: Client, change?: RunTaskChange): Promise<WireMessage[]> {
  const from = client.messages.length;
  const startedBefore = client.messages.filter((message) => message.header.event === 'task-finished').length;
  client.send(runTask(change));
  await client.event('task-started', startedBefore + 1);
  for (const chunk of SPEECH) client.socket.send(chunk);
  client.send(finishTask(change?.taskId));
  await client.event('task-finished', startedBefore + 1);
  return client.messages.slice(from);
}

describe('a task on the wire', () => {
  it('has exactly the messages of the specification', async () => {
    const { url } = await sandboxWith();
    const messages = await runWhole(await Client.open(url));

    const header = { task_id: HEX_ID, attributes: {} };
    expect(messages.at(0)).toEqual({ header: { ...header, event: 'task-started' }, payload: {} });
    expect(messages.at(-1)).toEqual({
      header: { ...header, event: 'task-finished' },
      payload: { output: {}, usage: null },
    });
    const word = (text: string, begin: number, end: number) => ({
      begin_time: begin,
      end_time: end,
      text,
      punctuation: '',
    });
    expect(messages.at(-2)).toEqual({
      header: { ...header, event: 'result-generated' },
      payload: {
        output: {
          sentence: {
            sentence_id: 1,
            begin_time: 640,
            end_time: 1840,
            text: TEXT,
            channel_id: 0,
            speaker_id: null,
            sentence_begin: false,
            sentence_end: true,
            heartbeat: false,
            emo_tag: 'neutral',
            emo_confidence: emotionOf(TEXT).confidence,
            words: [word('您', 640, 1040), word('好', 1040, 1440), word('。', 1440, 1840)],
          },
        },
        usage: { duration: 3 },
      },
    });
    const partials = messages.slice(1, -2);
    expect(sentencesOf(partials).map((sentence) => sentence.sentence_begin)).toEqual(
      partials.map((_, index) => index === 0),
    );
    for (const { payload } of partials) {
      expect(payload.usage).toBeNull();
      expect(payload.output?.sentence).toMatchObject({
        begin_time: 640,
        end_time: null,
        sentence_end: false,
      });
      expect(payload.output?.sentence).not.toHaveProperty('emo_tag');
      expect(TEXT.startsWith(payload.output!.sentence.text)).toBe(true);
    }
  });

  it.each([
    ['paraformer-realtime-8k-v2', false, 'neutral'],
    ['paraformer-realtime-8k-v2', true, undefined],
    ['paraformer-realtime-v2', false, undefined],
    ['paraformer-realtime-8k-v1', false, undefined],
  ])('of %s, cut by meaning: %s, has the emotion %s on its finals', async (model, semantic, emotion) => {
    const { url } = await sandboxWith();
    const parameters = { format: 'pcm', sample_rate: 8000, semantic_punctuation_enabled: semantic };
    const messages = await runWhole(await Client.open(url), { payload: { model, parameters } });
    const finals = sentencesOf(messages).filter((sentence) => sentence.sentence_end);
    expect(finals.map(({ text, emo_tag }) => ({ text, emo_tag }))).toEqual([
      { text: TEXT, emo_tag: emotion },
    ]);
  });

  it.each([
    ['paraformer-realtime-8k-v2', '您好'],
    ['paraformer-realtime-8k-v1', TEXT],
  ])('of %s has no punctuation where none is asked for and the model can: %s', async (model, text) => {
    const { url } = await sandboxWith();
    const parameters = { format: 'pcm', sample_rate: 8000, punctuation_prediction_enabled: false };
    const messages = await runWhole(await Client.open(url), { payload: { model, parameters } });
    expect(sentencesOf(messages).at(-1)?.text).toBe(text);
  });

  it('runs the next task on the same socket, with a task id in the other form, from zero again', async () => {
    const { url } = await sandboxWith();
    const client = await Client.open(`${url}/`, { authorization: 'bearer sk-lower-case' });
    const first = await runWhole(client);
    const second = await runWhole(client, { taskId: DASHED_ID });
    expect(second.every(({ header }) => header.task_id === DASHED_ID)).toBe(true);
    expect(sentencesOf(second)).toEqual(sentencesOf(first));
  });

  it('ignores what official clients add, and a finish-task without streaming or for another task', async () => {
    const { url } = await sandboxWith();
    const client = await Client.open(url);
    client.send(runTask({ parameters: { stream: true, pre_task_id: HEX_ID } }));
    await client.event('task-started');
    client.socket.send(SILENCE);
    client.send({ header: { action: 'finish-task', task_id: DASHED_ID }, payload: {} });
    expect((await client.event('task-finished')).header.task_id).toBe(HEX_ID);
  });

  it('keeps audio and finish-task that come before task-started', async () => {
    const sandbox = await sandboxWith({ faults: () => ({ startDelayMs: 50 }) });
    const client = await Client.open(sandbox.url);
    client.send(runTask());
    for (const chunk of SPEECH) client.socket.send(chunk);
    client.send(finishTask());
    await client.event('task-finished');
    expect(client.messages[0]?.header.event).toBe('task-started');
    expect(sentencesOf(client.messages).at(-1)?.text).toBe(TEXT);
  });

  it('counts usage over the whole task, in whole seconds', async () => {
    const { url } = await sandboxWith();
    const client = await Client.open(url);
    client.send(runTask());
    await client.event('task-started');
    for (const chunk of [...SPEECH, ...SPEECH]) client.socket.send(chunk);
    client.send(finishTask());
    await client.event('task-finished');
    const finals = client.messages.filter(({ payload }) => payload.usage != null);
    expect(finals.map(({ payload }) => payload.usage?.duration)).toEqual([3, 6]);
    expect(sentencesOf(finals).map((sentence) => sentence.sentence_id)).toEqual([1, 2]);
  });
});

describe('a request that cannot be served', () => {
  it.each<[string, unknown, string, string?]>([
    ['no JSON', 'hello', 'InvalidParameter'],
    ['JSON that is no object', '[]', 'InvalidParameter'],
    ['no action', { header: { task_id: HEX_ID }, payload: {} }, 'InvalidParameter'],
    [
      'an unknown action',
      { ...runTask(), header: { action: 'continue-task', task_id: HEX_ID } },
      'InvalidParameter',
    ],
    ['a task id that is none', runTask({ taskId: 'x' }), 'InvalidParameter'],
    ['another task_group', runTask({ payload: { task_group: 'nlp' } }), 'InvalidParameter'],
    ['another task', runTask({ payload: { task: 'recognition' } }), 'InvalidParameter'],
    ['no function', runTask({ payload: { function: undefined } }), 'InvalidParameter'],
    [
      'no model',
      runTask({ payload: { model: undefined } }),
      'InvalidParameter',
      "Missing required parameter 'payload.model'! Please follow the protocol!",
    ],
    ['no input', runTask({ payload: { input: undefined } }), 'InvalidParameter', 'task can not be null'],
    ['no parameters', runTask({ payload: { parameters: undefined } }), 'InvalidParameter'],
    ['no format', runTask({ parameters: { format: undefined } }), 'InvalidParameter'],
    ['no sample rate', runTask({ parameters: { sample_rate: undefined } }), 'InvalidParameter'],
    ['8k model at 16 kHz', runTask({ parameters: { sample_rate: 16000 } }), 'InvalidParameter'],
    [
      'too short a silence',
      runTask({ parameters: { max_sentence_silence: 199 } }),
      'InvalidParameter',
      "Invalid value of parameter 'payload.parameters.max_sentence_silence'! Please follow the protocol!",
    ],
    ['too long a silence', runTask({ parameters: { max_sentence_silence: 6001 } }), 'InvalidParameter'],
    [
      'an unknown model',
      runTask({ payload: { model: 'paraformer-9' } }),
      'ModelNotFound',
      'Model can not be found.',
    ],
    ['an unknown format', runTask({ parameters: { format: 'flac' } }), 'InvalidParameter'],
    ['finish-task without a task', finishTask(), 'InvalidParameter'],
  ])('gets task-failed, then the close: %s', async (_case, message, code, text) => {
    const { url } = await sandboxWith();
    const client = await Client.open(url);
    client.send(message);
    const failed = await client.event('task-failed');
    expect(failed.header.error_code).toBe(code);
    if (text !== undefined) expect(failed.header.error_message).toBe(text);
    expect(failed.payload).toEqual({});
    expect(await client.closed()).toBe(1000);
  });

  it.each<[string, 'lenient' | 'strict', readonly Buffer[], string | undefined]>([
    ['no audio', 'lenient', [], 'NO_INPUT_AUDIO_ERROR'],
    ['not one sample', 'lenient', [Buffer.alloc(1)], 'NO_VALID_AUDIO_ERROR'],
    ['nothing but silence', 'lenient', [SILENCE], undefined],
    ['nothing but silence', 'strict', [SILENCE, SILENCE], 'NO_VALID_AUDIO_ERROR'],
    ['less than 200 ms', 'strict', [SILENCE], 'EmptyAudio'],
    ['speech', 'strict', SPEECH, undefined],
  ])('is the end of a task with %s, %s: %s', async (_case, protocol, audio, code) => {
    const { url } = await sandboxWith({ protocol });
    const client = await Client.open(url);
    client.send(runTask());
    await client.event('task-started');
    for (const chunk of audio) client.socket.send(chunk);
    client.send(finishTask());
    if (code === undefined) await client.event('task-finished');
    else expect((await client.event('task-failed')).header).toMatchObject({ error_code: code });
  });

  it('is a second run-task while one runs', async () => {
    const { url } = await sandboxWith();
    const client = await Client.open(url);
    client.send(runTask());
    await client.event('task-started');
    client.send(runTask({ taskId: DASHED_ID }));
    const failed = await client.event('task-failed');
    expect(failed.header).toMatchObject({ task_id: HEX_ID, error_code: 'InvalidParameter' });
  });

  it('ends no other client’s task', async () => {
    const sandbox = await sandboxWith();
    const good = await Client.open(sandbox.url);
    good.send(runTask());
    await good.event('task-started');
    for (const bad of ['{', '{"header":null}', JSON.stringify({ header: { action: [] } })]) {
      const client = await Client.open(sandbox.url);
      client.socket.send(Buffer.alloc(100));
      client.send(bad);
      await client.closed();
    }
    good.socket.send(SILENCE);
    good.send(finishTask());
    await good.event('task-finished');
    expect(sandbox.counters).toMatchObject({ requestsRefused: 3, framesStray: 3, tasksFinished: 1 });
  });

  it('is a frame longer than the bound: that socket ends, the server lives', async () => {
    const { url } = await sandboxWith();
    const client = await Client.open(url);
    client.socket.send(Buffer.alloc((1 << 20) + 1));
    expect(await client.closed()).toBe(1009);
    await runWhole(await Client.open(url));
  });
});

describe('limits', () => {
  it('fails a task that gets no frame at all', async () => {
    const { url } = await sandboxWith({ timers: { noFrameMs: 40 } });
    const client = await Client.open(url);
    client.send(runTask({ parameters: { heartbeat: true } }));
    const failed = await client.event('task-failed');
    expect(failed.header.error_code).toBe('CLIENT_ERROR');
  });

  it('fails a task that hears only silence, unless heartbeat is on', async () => {
    const clock = new FakeClock();
    const { url } = await sandboxWith({ clock });
    const silence = Buffer.alloc(1_600);
    const [off, on] = [await Client.open(url), await Client.open(url)];
    off.send(runTask());
    on.send(runTask({ parameters: { heartbeat: true } }));
    await Promise.all([off.event('task-started'), on.event('task-started')]);
    clock.advance(60_000);
    for (const client of [off, on]) client.socket.send(silence);
    const failed = await off.event('task-failed');
    expect(failed.header).toMatchObject({ error_code: 'RequestTimeOut', error_message: 'Response timeout!' });
    for (let chunk = 0; chunk < 50; chunk += 1) on.socket.send(silence);
    const heartbeat = await on.event('result-generated');
    expect(heartbeat.payload).toEqual({
      output: {
        sentence: {
          sentence_id: 0,
          begin_time: 0,
          end_time: null,
          text: '',
          heartbeat: true,
          sentence_end: false,
          words: [],
        },
      },
      usage: null,
    });
  });

  it('closes a socket that has no task', async () => {
    const { url } = await sandboxWith({ timers: { idleMs: 30 } });
    expect(await (await Client.open(url)).closed()).toBe(1000);
  });

  it('throttles run-task beyond the rate, and lets it through again later', async () => {
    const clock = new FakeClock();
    const { url } = await sandboxWith({ clock, rateLimit: { perSecond: 20, burst: 2 } });
    const clients = await Promise.all([
      Client.open(url),
      Client.open(url),
      Client.open(url),
      Client.open(url),
    ]);
    clients[0].send(runTask());
    await clients[0].event('task-started');
    clients[1].send(runTask());
    await clients[1].event('task-started');
    clients[2].send(runTask());
    expect((await clients[2].event('task-failed')).header.error_code).toBe('Throttling.RateQuota');
    clock.advance(50);
    clients[3].send(runTask());
    await clients[3].event('task-started');
  });
});

describe('the handshake', () => {
  function upgrade(url: string, headers: Record<string, string>): Promise<{ status: number; body: unknown }> {
    return new Promise((resolve, reject) => {
      const target = new URL(url.replace('ws:', 'http:'));
      const sent = request(target, {
        headers: {
          Connection: 'Upgrade',
          Upgrade: 'websocket',
          'Sec-WebSocket-Version': '13',
          'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
          ...headers,
        },
      });
      sent.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          resolve({
            status: response.statusCode ?? 0,
            body: JSON.parse(Buffer.concat(chunks).toString('utf8')),
          });
        });
      });
      sent.on('upgrade', (_response, socket) => {
        socket.destroy();
        resolve({ status: 101, body: undefined });
      });
      sent.on('error', reject);
      sent.end();
    });
  }

  it.each([
    ['no key', {}, '', 401],
    ['a key of another scheme', { Authorization: 'Basic sk-1' }, '', 401],
    ['a wrong key', { Authorization: 'Bearer sk-2' }, '', 401],
    ['a wrong key in the query', {}, '?api_key=sk-2', 401],
    ['the key', { Authorization: 'Bearer sk-1' }, '', 101],
    ['the key, scheme in capitals', { authorization: 'BEARER sk-1' }, '', 101],
    ['the key in the query, as browsers send it', {}, '?api_key=sk-1', 101],
  ])('with %s', async (_case, headers, query, status) => {
    const { url } = await sandboxWith({ apiKeys: ['sk-1'] });
    const answer = await upgrade(`${url}${query}`, headers);
    expect(answer.status).toBe(status);
    if (status === 401) {
      expect(answer.body).toEqual({
        code: 'InvalidApiKey',
        message: 'Invalid API-key provided.',
        request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      });
    }
  });

  it('wants a key even where any is let in', async () => {
    const { url } = await sandboxWith();
    expect((await upgrade(url, {})).status).toBe(401);
    expect((await upgrade(url, { Authorization: 'Bearer whatever' })).status).toBe(101);
  });

  it('knows no other path, by upgrade or by request', async () => {
    const { url, httpUrl } = await sandboxWith();
    const other = url.replace('/inference', '/realtime');
    expect((await upgrade(other, { Authorization: 'Bearer x' })).status).toBe(404);
    expect((await fetch(`${httpUrl}/nothing`, { headers: { Authorization: 'Bearer x' } })).status).toBe(404);
  });

  it('is refused beyond the number of connections', async () => {
    const { url } = await sandboxWith({ maxConnections: 1 });
    await Client.open(url);
    expect((await upgrade(url, { Authorization: 'Bearer x' })).status).toBe(503);
  });
});

describe('the server', () => {
  it('says which port is taken', async () => {
    const sandbox = await sandboxWith();
    const port = Number(new URL(sandbox.url).port);
    await expect(sandboxWith({ port })).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
  });

  it('closes with clients on it, twice if asked', async () => {
    const sandbox = await sandboxWith();
    const client = await Client.open(sandbox.url);
    client.send(runTask());
    await client.event('task-started');
    await Promise.all([sandbox.close(), sandbox.close()]);
    expect(await client.closed()).toBe(1006);
  });
});
