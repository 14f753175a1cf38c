import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';

import { silentLogger } from '../../src/log.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { FAULT_USAGE, parseFaultText } from '../../src/sandbox/fault-text.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/server.ts';
import { chunksOf, makeCodes, toPcmBuffer } from '../support/captioned-audio.ts';

const TASK_ID = '5f0c6a0f6c1b4e7f9a5d3b8e2c417a90';
/** Two sentences, so that there are some results and two finals. */
const SPEECH = chunksOf(
  toPcmBuffer(
    'PCMU',
    makeCodes('PCMU', 6_000, [
      { beginMs: 500, endMs: 1_700, text: '您好。' },
      { beginMs: 3_500, endMs: 4_700, text: '再见。' },
    ]),
  ),
);

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

interface Message {
  readonly header: { readonly event: string; readonly error_code?: string };
  readonly payload: {
    readonly output?: { readonly sentence?: Readonly<Record<string, unknown>> };
    readonly usage?: unknown;
  };
}

interface Outcome {
  /** Event names in order, `partial` and `final` for results, `not JSON` for what is not. */
  readonly events: readonly string[];
  readonly messages: readonly Message[];
  readonly texts: readonly string[];
  /** Code of the close, or status of the refused upgrade, or 0 where the connection ended before an answer. */
  readonly end: number;
  /** Of the close, or the body of the refusal. */
  readonly reason: string;
}

/** Runs one task as a client that does everything right; ends with task-finished or the socket. */
function runTask(url: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const texts: string[] = [];
    const messages: Message[] = [];
    const end = (code: number, reason = ''): void => {
      resolve({ events: texts.map(nameOf), messages, texts, end: code, reason });
    };
    const socket = new WebSocket(url, { headers: { Authorization: 'Bearer sk-1' } });
    running.push({
      [Symbol.asyncDispose]: () => {
        socket.terminate();
        return Promise.resolve();
      },
    });
    socket.on('open', () => {
      socket.send(
        JSON.stringify({
          header: { action: 'run-task', task_id: TASK_ID, streaming: 'duplex' },
          payload: {
            task_group: 'audio',
            task: 'asr',
            function: 'recognition',
            model: 'paraformer-realtime-8k-v2',
            parameters: { format: 'pcm', sample_rate: 8000 },
            input: {},
          },
        }),
      );
    });
    socket.on('message', (data) => {
      const text = (data as Buffer).toString('utf8');
      texts.push(text);
      const name = nameOf(text);
      if (name !== 'not JSON') messages.push(JSON.parse(text) as Message);
      if (name === 'task-started') {
        for (const chunk of SPEECH) socket.send(chunk);
        socket.send(
          JSON.stringify({
            header: { action: 'finish-task', task_id: TASK_ID, streaming: 'duplex' },
            payload: { input: {} },
          }),
        );
      }
      if (name === 'task-finished') {
        socket.close();
        end(1000);
      }
    });
    socket.on('unexpected-response', (_request, response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        socket.terminate();
        end(response.statusCode ?? 0, Buffer.concat(chunks).toString('utf8'));
      });
    });
    socket.on('close', (code, reason) => {
      end(code, reason.toString('utf8'));
    });
    socket.on('error', () => {
      if (socket.readyState === WebSocket.CONNECTING || texts.length === 0) end(0);
    });
  });
}

function nameOf(text: string): string {
  try {
    const message = JSON.parse(text) as Message;
    if (message.header.event !== 'result-generated') return message.header.event;
    const sentence = message.payload.output?.sentence ?? {};
    return sentence['sentence_end'] === true || sentence['end_time'] != null ? 'final' : 'partial';
  } catch {
    return 'not JSON';
  }
}

const withFault = (url: string, ...faults: string[]): string => {
  const query = new URLSearchParams(faults.map((fault): [string, string] => ['fault', fault]));
  return `${url}?${query.toString()}`;
};
const countOf = ({ events }: Outcome, name: string): number =>
  events.filter((event) => event === name).length;

describe('the upgrade', () => {
  it.each([400, 401, 403, 429, 500, 503])('is refused with %i', async (status) => {
    const { url } = await sandboxWith();
    expect((await runTask(withFault(url, `refuse:status=${status}`))).end).toBe(status);
  });

  it('is refused with a body of our choice', async () => {
    const { url } = await sandboxWith();
    const refused = await runTask(withFault(url, 'refuse:status=403,code=Workspace.AccessDenied,message=no'));
    expect(JSON.parse(refused.reason)).toEqual({
      code: 'Workspace.AccessDenied',
      message: 'no',
      request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });

  it('is cut, is late, or is never answered', async () => {
    const { url, live } = await sandboxWith({ timers: { idleMs: 60 } });
    expect((await runTask(withFault(url, 'cut-upgrade'))).end).toBe(0);
    expect((await runTask(withFault(url, 'stall-upgrade:for=10'))).end).toBe(1000);
    expect((await runTask(withFault(url, 'stall-upgrade'))).end).toBe(0);
    expect(live.tasks).toBe(0);
  });

  it.each([
    'fault=nonsense',
    'fault=refuse',
    'fault=refuse:status=200',
    'fault=drop:close=1005',
    'fault=drop:frame=1,result=1',
    'fault=drop:what=1',
    'fault=late:for=-1',
    'fault=drop:p=2',
    'fault=shuffle:window=1000000',
    'seed=x',
    'protocol=loose',
  ])('with ?%s is refused with 400', async (query) => {
    const { url } = await sandboxWith();
    expect((await runTask(`${url}?${query}`)).end).toBe(400);
  });

  it('is refused with a fault that is too long', async () => {
    const { url } = await sandboxWith();
    expect((await runTask(withFault(url, `fail:message=${'x'.repeat(2_000)}`))).end).toBe(400);
  });

  it('is refused with more faults than there is room for', async () => {
    const { url } = await sandboxWith();
    expect((await runTask(withFault(url, ...Array.from({ length: 101 }, () => 'bare')))).end).toBe(400);
  });
});

describe('a task', () => {
  it.each<[string, readonly string[], number | undefined]>([
    ['fail:code=Throttling.RateQuota', [], undefined],
    ['fail:code=InternalError,at=start', ['task-started'], undefined],
    ['fail:code=InternalError,frame=3', ['task-started'], undefined],
    ['fail:code=InternalError,at=finish', ['task-started', 'partial', 'final'], undefined],
    ['fail:code=InternalError,result=2', ['task-started', 'partial'], 2],
    ['fail:code=InternalError,ms=0', [], undefined],
  ])('gets task-failed at the moment that %s names', async (fault, seen, results) => {
    const sandbox = await sandboxWith();
    const slow = fault.endsWith('ms=0') ? ['stall-start'] : [];
    const outcome = await runTask(withFault(sandbox.url, fault, ...slow));
    const failed = outcome.messages.at(-1)!;
    expect(failed.header).toMatchObject({
      event: 'task-failed',
      task_id: TASK_ID,
      error_code: /code=([\w.]+)/.exec(fault)?.[1],
    });
    expect(outcome.end).toBe(1000);
    expect(new Set(outcome.events.slice(0, -1))).toEqual(new Set(seen));
    if (results !== undefined) expect(countOf(outcome, 'partial') + countOf(outcome, 'final')).toBe(results);
    expect(sandbox.live).toMatchObject({ tasks: 0 });
  });

  it.each<[string, number, number | undefined]>([
    ['drop', 1006, 0],
    ['drop:at=run-task', 1006, undefined],
    ['drop:result=2', 1006, 2],
    ['drop:result=2,close=1011', 1011, 2],
    ['drop:frame=1,close=1000', 1000, 0],
    ['drop:close=1007,reason=Model not found', 1007, 0],
    ['drop:at=finish,close=4000', 4000, undefined],
    ['drop:ms=1', 1006, undefined],
  ])('loses its socket: %s → %i', async (fault, code, results) => {
    const sandbox = await sandboxWith();
    const slow = fault === 'drop:ms=1' ? ['stall-start'] : [];
    const outcome = await runTask(withFault(sandbox.url, fault, ...slow));
    expect(outcome.end).toBe(code);
    expect(outcome.reason).toBe(/reason=(.*)/.exec(fault)?.[1] ?? '');
    if (results !== undefined) expect(countOf(outcome, 'partial') + countOf(outcome, 'final')).toBe(results);
    expect(outcome.events).not.toContain('task-finished');
    expect(sandbox.live.tasks).toBe(0);
  });

  it('takes a reason that is too long for a close frame', async () => {
    const { url } = await sandboxWith();
    const outcome = await runTask(withFault(url, `drop:close=1011,reason=${'长'.repeat(200)}`));
    expect(outcome.end).toBe(1011);
    expect(outcome.reason.startsWith('长长')).toBe(true);
  });

  it('starts late', async () => {
    const { url } = await sandboxWith();
    expect((await runTask(withFault(url, 'stall-start:for=20'))).events.at(-1)).toBe('task-finished');
  });

  it.each(['stall-start', 'never-finish'])('that hangs by %s ends with the idle limit', async (fault) => {
    const sandbox = await sandboxWith({ timers: { idleMs: 80 } });
    const outcome = await runTask(withFault(sandbox.url, fault));
    expect(outcome.end).toBe(1011);
    expect(outcome.events).not.toContain('task-finished');
    expect(sandbox.live.tasks).toBe(0);
  });

  it('is not read: what the client sends piles up, until it is read again', async () => {
    const sandbox = await sandboxWith();
    const stuck = new WebSocket(withFault(sandbox.url, 'stop-reading'), {
      headers: { Authorization: 'Bearer sk-1' },
    });
    running.push({
      [Symbol.asyncDispose]: () => {
        stuck.terminate();
        return Promise.resolve();
      },
    });
    await new Promise((resolve) => stuck.once('open', resolve));
    stuck.send(
      JSON.stringify({
        header: { action: 'run-task', task_id: TASK_ID, streaming: 'duplex' },
        payload: {
          task_group: 'audio',
          task: 'asr',
          function: 'recognition',
          model: 'paraformer-realtime-8k-v2',
          parameters: { format: 'pcm', sample_rate: 8000 },
          input: {},
        },
      }),
    );
    await new Promise((resolve) => stuck.once('message', resolve));
    // More than the system's own buffers on both sides hold.
    for (let sent = 0; sent < 64; sent += 1) stuck.send(Buffer.alloc(500_000));
    await new Promise((resolve) => setImmediate(resolve));
    expect(stuck.bufferedAmount).toBeGreaterThan(1_000_000);
    expect(sandbox.counters.framesReceived).toBe(0);
    expect((await runTask(withFault(sandbox.url, 'stop-reading:for=20,frame=3'))).events.at(-1)).toBe(
      'task-finished',
    );
  });
});

describe('results', () => {
  it('come late but all, before task-finished', async () => {
    const { url } = await sandboxWith();
    const usual = await runTask(url);
    const late = await runTask(withFault(url, 'late:for=30'));
    expect(late.texts).toEqual(usual.texts);
  });

  it('come out of order, the same ones, in the same order for the same seed', async () => {
    const { url } = await sandboxWith();
    const usual = await runTask(url);
    const shuffled = await runTask(`${withFault(url, 'shuffle:window=4')}&seed=7`);
    expect(shuffled.texts).not.toEqual(usual.texts);
    expect([...shuffled.texts].sort()).toEqual([...usual.texts].sort());
    expect(shuffled.events.at(-1)).toBe('task-finished');
    expect((await runTask(`${withFault(url, 'shuffle:window=4')}&seed=7`)).texts).toEqual(shuffled.texts);
    expect((await runTask(`${withFault(url, 'shuffle:window=4')}&seed=8`)).texts).not.toEqual(shuffled.texts);
  });

  it('lack fields, never those that a client cannot do without', async () => {
    const { url } = await sandboxWith();
    const all = await runTask(withFault(url, 'missing:share=1'));
    for (const message of all.messages.filter(({ header }) => header.event === 'result-generated')) {
      expect(Object.keys(message.payload)).toEqual(['output']);
      expect(Object.keys(message.payload.output?.sentence ?? {})).toEqual([
        'begin_time',
        'end_time',
        'text',
        'sentence_end',
      ]);
    }
    const some = await runTask(withFault(url, 'missing'));
    expect(
      new Set(some.messages.map((message) => Object.keys(message.payload.output?.sentence ?? {}).length))
        .size,
    ).toBeGreaterThan(2);
  });

  it('have the two forms of a final that the sources disagree on', async () => {
    const { url } = await sandboxWith();
    const finals = ({ messages }: Outcome): Readonly<Record<string, unknown>>[] =>
      messages
        .map((message) => message.payload.output?.sentence)
        .filter((sentence) => sentence?.['sentence_end'] === true || sentence?.['end_time'] != null)
        .map((sentence) => sentence!);
    for (const final of finals(await runTask(withFault(url, 'end-null')))) {
      expect(final).toMatchObject({ sentence_end: true, end_time: null });
    }
    for (const final of finals(await runTask(withFault(url, 'bare')))) {
      expect(Object.keys(final)).toEqual(['begin_time', 'end_time', 'text']);
    }
  });

  it('come twice, or with nonsense between, and task-finished may be empty', async () => {
    const { url } = await sandboxWith();
    expect(countOf(await runTask(withFault(url, 'double-finals')), 'final')).toBe(4);
    const noisy = await runTask(withFault(url, 'noise', 'empty-finished'));
    expect(noisy.events).toContain('not JSON');
    expect(noisy.events).toContain('sandbox-unknown-event');
    expect(noisy.messages.at(-1)?.payload).toEqual({});
  });
});

describe('the control endpoint', () => {
  const post = (sandbox: Sandbox, body: unknown): Promise<Response> =>
    fetch(sandbox.faultsUrl, { method: 'POST', body: JSON.stringify(body) });

  it('orders faults for so many times, shows them and forgets them', async () => {
    const sandbox = await sandboxWith();
    const ordered = await post(sandbox, { fault: 'refuse:status=503', times: 2 });
    expect(ordered.status).toBe(201);
    expect(await ordered.json()).toEqual({ id: 1, fault: 'refuse:status=503', timesLeft: 2, struck: 0 });
    await post(sandbox, { fault: 'drop:at=finish' });
    expect([(await runTask(sandbox.url)).end, (await runTask(sandbox.url)).end]).toEqual([503, 503]);
    expect((await runTask(sandbox.url)).end).toBe(1006);
    const shown = (await (await fetch(sandbox.faultsUrl)).json()) as Record<string, unknown>;
    expect(shown['faults']).toEqual([{ id: 2, fault: 'drop:at=finish', timesLeft: 'unlimited', struck: 1 }]);
    expect(Object.keys(shown['usage'] as object)).toHaveLength(FAULT_USAGE.length);
    expect((await fetch(`${sandbox.faultsUrl}/2`, { method: 'DELETE' })).status).toBe(200);
    expect((await fetch(`${sandbox.faultsUrl}/2`, { method: 'DELETE' })).status).toBe(404);
    expect((await runTask(sandbox.url)).events.at(-1)).toBe('task-finished');
    await post(sandbox, { fault: 'never-finish' });
    await fetch(sandbox.faultsUrl, { method: 'DELETE' });
    expect((await runTask(sandbox.url)).events.at(-1)).toBe('task-finished');
  });

  it.each([
    ['an unknown fault', { fault: 'explode' }],
    ['no fault', {}],
    ['no number of times', { fault: 'bare', times: 0 }],
    ['an unknown field', { fault: 'bare', count: 3 }],
  ])('refuses %s', async (_case, body) => {
    const sandbox = await sandboxWith();
    const answer = await post(sandbox, body);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ code: 'InvalidParameter' });
    expect(sandbox.desk.list()).toEqual([]);
  });

  it('lets chance decide by the seed alone', async () => {
    const ends = async (seed: number): Promise<number[]> => {
      const sandbox = await sandboxWith();
      await post(sandbox, { fault: 'drop:p=0.5', seed });
      const seen: number[] = [];
      for (let no = 0; no < 12; no += 1) seen.push((await runTask(sandbox.url)).end);
      return seen;
    };
    const first = await ends(5);
    expect(new Set(first)).toEqual(new Set([1000, 1006]));
    expect(await ends(5)).toEqual(first);
    expect(await ends(6)).not.toEqual(first);
  });

  it('says at /sandbox what lives', async () => {
    const sandbox = await sandboxWith();
    await runTask(sandbox.url);
    const status = (await (await fetch(sandbox.faultsUrl.replace('/faults', ''))).json()) as Record<
      string,
      unknown
    >;
    expect(status).toMatchObject({
      websocket: sandbox.url,
      counters: { tasksFinished: 1 },
      live: { tasks: 0 },
    });
  });
});

it('reads every fault in the form that its usage shows', () => {
  for (const [usage] of FAULT_USAGE) {
    const text = usage
      .replaceAll(/\[[:,](code|message|reason|on)=…\]/g, '')
      .replaceAll(/\[,MOMENT\]/g, '')
      .replaceAll(/\[?([:,])for=ms\]?/g, ':for=5')
      .replaceAll('[:close=none|1000…4999]', ':close=1011')
      .replace('window=N', 'window=3');
    expect(parseFaultText(text), usage).toMatchObject({ kind: 'fault' });
  }
});
