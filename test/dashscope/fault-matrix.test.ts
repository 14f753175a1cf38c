import { getEventListeners } from 'node:events';
import { isDeepStrictEqual } from 'node:util';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ConnectionPool } from '../../src/dashscope/connection-pool.ts';
import type { DashScopeError } from '../../src/dashscope/errors.ts';
import { Recognition, type RecognitionOptions } from '../../src/dashscope/recognition.ts';
import { silentLogger } from '../../src/log.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { FAULT_USAGE } from '../../src/sandbox/fault-text.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { chunksOf, makeCodes, toPcmBuffer } from '../support/captioned-audio.ts';
import { openResources } from './scripted-service.ts';

/** Two sentences. */
const SPEECH = chunksOf(
  toPcmBuffer(
    'PCMU',
    makeCodes('PCMU', 6_000, [
      { beginMs: 500, endMs: 1_700, text: '您好。' },
      { beginMs: 3_500, endMs: 4_700, text: '再见。' },
    ]),
  ),
);
const TEXTS = ['您好。', '再见。'];
const SILENCE = chunksOf(Buffer.alloc(16_000));
const LIMITS = { connectTimeoutMs: 150, startTimeoutMs: 150, stopTimeoutMs: 300, backlogMaxMs: 10_000 };

let sandbox: Sandbox;
let before: Awaited<ReturnType<typeof openResources>>;
beforeEach(async () => {
  sandbox = await startSandbox({
    host: '127.0.0.1',
    port: 0,
    recogniser: captionsRecogniser,
    rateLimit: 'off',
    logger: silentLogger,
  });
});
afterEach(async () => {
  await sandbox.close();
});

interface Outcome {
  readonly told: readonly string[];
  readonly finals: readonly string[];
  readonly error: DashScopeError | undefined;
  readonly warnings: readonly string[];
}

/** One recognition from start to close, as an application that does everything right. */
async function recognise(
  audio: 'speech' | 'silence' | 'endless',
  more: Partial<RecognitionOptions> = {},
): Promise<Outcome> {
  // Here, not in a hook: the runner has other timers there.
  if (more.pool === undefined) before = await openResources();
  const told: string[] = [];
  const finals: string[] = [];
  const stopping = new AbortController();
  let error: DashScopeError | undefined;
  let onClosed!: () => void;
  const closed = new Promise<void>((resolve) => (onClosed = resolve));
  const recognition = new Recognition({
    model: 'paraformer-realtime-8k-v2',
    format: 'pcm',
    sampleRate: 8_000,
    ...(more.pool === undefined ? { url: sandbox.url, apiKey: 'sk-1' } : {}),
    limits: LIMITS,
    signal: stopping.signal,
    ...more,
    callback: {
      onOpen: () => told.push('open'),
      onEvent: (result) => {
        if (told.at(-1) !== 'events') told.push('events');
        if (result.isSentenceEnd()) finals.push(result.getSentence().text);
      },
      onComplete: () => told.push('complete'),
      onError: (thrown) => {
        told.push('error');
        error = thrown;
      },
      onClose: () => {
        told.push('close');
        onClosed();
      },
    },
  });
  try {
    // Endless: still streaming when the fault comes. Else all is said, and the end asked for, before anything is answered.
    if (audio === 'endless') {
      await recognition.start();
      for (let no = 0; ; no += 1) {
        recognition.sendAudioFrame(SPEECH[no % SPEECH.length]!);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    void recognition.start();
    for (const chunk of audio === 'silence' ? SILENCE : SPEECH) recognition.sendAudioFrame(chunk);
    await recognition.stop();
  } catch {
    // It is told to onError.
  }
  await closed;
  expect(getEventListeners(stopping.signal, 'abort')).toEqual([]);
  return { told, finals, error, warnings: recognition.warnings.map(({ kind }) => kind) };
}

const LEFT_WAIT_MS = 3_000;

/** Nothing of the client is left on either side. A timer of the wait itself would count, so there is none. */
async function expectNothingLeft(): Promise<void> {
  const left = async (): Promise<Readonly<Record<string, number>>> => {
    const { sockets, tasks, decoders } = sandbox.live;
    const own = await openResources();
    return {
      serverSockets: sockets,
      tasks,
      decoders,
      timers: Math.max(0, own.timers - before.timers),
      sockets: Math.max(0, own.sockets - before.sockets),
    };
  };
  const nothing = { serverSockets: 0, tasks: 0, decoders: 0, timers: 0, sockets: 0 };
  const untilMs = performance.now() + LEFT_WAIT_MS;
  let found = await left();
  while (!isDeepStrictEqual(found, nothing) && performance.now() < untilMs) found = await left();
  expect(found).toEqual(nothing);
}

type Row = readonly [moment: string, fault: string, expected: Partial<DashScopeError>];

const closeRows = (moment: string, at: string): Row[] =>
  [
    ['none', 1006],
    ['1000', 1000],
    ['1001', 1001],
    ['1007', 1007],
    ['1011', 1011],
  ].map(([close, closeCode]): Row => {
    const expected = {
      kind: 'close',
      closeCode: closeCode as number,
      retryable: closeCode !== 1007,
    } as const;
    return [moment, `drop:close=${String(close)},${at}`, expected];
  });

/** Fault × moment → the typed error. */
const ENDS_IN_ERROR: readonly Row[] = [
  ['connecting', 'refuse:status=400', { kind: 'handshake', httpStatus: 400, retryable: false }],
  ['connecting', 'refuse:status=401', { kind: 'handshake', httpStatus: 401, retryable: false }],
  ['connecting', 'refuse:status=403', { kind: 'handshake', httpStatus: 403, retryable: false }],
  ['connecting', 'refuse:status=429', { kind: 'handshake', httpStatus: 429, retryable: true }],
  ['connecting', 'refuse:status=500', { kind: 'handshake', httpStatus: 500, retryable: true }],
  ['connecting', 'refuse:status=503', { kind: 'handshake', httpStatus: 503, retryable: true }],
  [
    'connecting',
    'refuse:status=429,code=PostpaidBillOverdue',
    { kind: 'handshake', dashscopeCode: 'PostpaidBillOverdue', retryable: false },
  ],
  ['connecting', 'stall-upgrade', { kind: 'timeout', code: 'ASR_TIMEOUT', retryable: true }],
  ['connecting', 'cut-upgrade', { kind: 'network', code: 'ASR_UNREACHABLE', retryable: true }],
  ['starting', 'stall-start', { kind: 'timeout', code: 'ASR_TIMEOUT', retryable: true }],
  ...closeRows('starting', 'at=run-task'),
  ['streaming', 'stop-reading:at=run-task', { kind: 'overload', code: 'ASR_BACKLOG_FULL' }],
  ...closeRows('streaming', 'at=start'),
  ...closeRows('streaming', 'frame=5'),
  ...closeRows('streaming', 'result=2'),
  ['streaming', 'drop:ms=30', { kind: 'close', closeCode: 1006, retryable: true }],
  ['streaming', 'stop-reading:frame=5', { kind: 'overload', code: 'ASR_BACKLOG_FULL' }],
  ['finishing', 'stop-reading:frame=5', { kind: 'timeout', code: 'ASR_TIMEOUT', retryable: true }],
  ['finishing', 'never-finish', { kind: 'timeout', code: 'ASR_TIMEOUT', retryable: true }],
  ...closeRows('finishing', 'at=finish'),
];

/** Specification §6.2: code → what to do next. */
const RETRY_TABLE: readonly (readonly [code: string, retry: 'no' | 'backoff' | 'new'])[] = [
  ['InvalidParameter', 'no'],
  ['CLIENT_ERROR', 'new'],
  ['UNSUPPORTED_FORMAT', 'no'],
  ['NO_VALID_AUDIO_ERROR', 'no'],
  ['NO_INPUT_AUDIO_ERROR', 'no'],
  ['EmptyAudio', 'no'],
  ['ClientDisconnect', 'new'],
  ['Arrearage', 'no'],
  ['DataInspectionFailed', 'no'],
  ['BadRequest.ResourceNotExist', 'no'],
  ['NotFound', 'no'],
  ['InvalidApiKey', 'no'],
  ['AccessDenied', 'no'],
  ['AccessDenied.Unpurchased', 'no'],
  ['Model.AccessDenied', 'no'],
  ['Workspace.AccessDenied', 'no'],
  ['AllocationQuota.FreeTierOnly', 'no'],
  ['ModelNotFound', 'no'],
  ['WorkSpaceNotFound', 'no'],
  ['Throttling', 'backoff'],
  ['Throttling.RateQuota', 'backoff'],
  ['Throttling.BurstRate', 'backoff'],
  ['Throttling.Concurrency', 'backoff'],
  ['Throttling.AllocationQuota', 'backoff'],
  ['PrepaidBillOverdue', 'no'],
  ['PostpaidBillOverdue', 'no'],
  ['CommodityNotPurchased', 'no'],
  ['InternalError', 'backoff'],
  ['InternalError.Algo', 'backoff'],
  ['SystemError', 'backoff'],
  ['ModelServiceFailed', 'backoff'],
  ['RequestTimeOut', 'new'],
  ['ModelUnavailable', 'backoff'],
  ['ServiceUnavailable', 'backoff'],
  // Codes of tomorrow.
  ['Throttling.Tomorrow', 'backoff'],
  ['InternalError.Tomorrow', 'backoff'],
  ['Tomorrow', 'no'],
];
const FAIL_MOMENTS = { starting: 'at=run-task', streaming: 'frame=5', finishing: 'at=finish' } as const;

/** Faults that a client lives through: everything comes, and in the order of callbacks of a normal end. */
const SURVIVED: readonly { readonly fault: string; readonly finals?: 'in any order' }[] = [
  { fault: 'stall-upgrade:for=20' },
  { fault: 'stall-start:for=20' },
  { fault: 'stop-reading:for=20,frame=5' },
  { fault: 'late:for=20' },
  { fault: 'shuffle:window=3', finals: 'in any order' },
  { fault: 'missing:share=1' },
  { fault: 'missing:share=0.5' },
  { fault: 'bare' },
  { fault: 'end-null' },
  { fault: 'noise' },
  { fault: 'empty-finished' },
];

describe('a fault ends in its typed error, and leaves nothing behind', () => {
  it.each(ENDS_IN_ERROR)('%s: %s', async (moment, fault, expected) => {
    expect(sandbox.desk.order({ fault })).toMatchObject({ kind: 'ordered' });
    const { told, error } = await recognise(moment === 'streaming' ? 'endless' : 'speech');
    expect(error).toMatchObject(expected);
    expect(told.slice(-2)).toEqual(['error', 'close']);
    expect(told.filter((name) => name === 'error' || name === 'complete')).toHaveLength(1);
    // A sandbox that does not read does not notice that its peer has gone.
    if (/^(stop-reading|stall-upgrade)/.test(fault)) await sandbox.close();
    await expectNothingLeft();
  });
});

describe.each(Object.entries(FAIL_MOMENTS))('task-failed while %s', (moment, at) => {
  it.each(RETRY_TABLE)('with %s: what to do next is %s', async (code, retry) => {
    expect(sandbox.desk.order({ fault: `fail:code=${code},${at}` })).toMatchObject({ kind: 'ordered' });
    const { told, error } = await recognise(moment === 'streaming' ? 'endless' : 'speech');
    expect(error).toMatchObject({
      kind: 'task',
      code: 'ASR_TASK_FAILED',
      dashscopeCode: code,
      retry,
      retryable: retry !== 'no',
    });
    expect(told.slice(-2)).toEqual(['error', 'close']);
    await expectNothingLeft();
  });
});

describe('a fault that a client lives through', () => {
  it.each(SURVIVED)('$fault', async ({ fault, finals: order }) => {
    expect(sandbox.desk.order({ fault })).toMatchObject({ kind: 'ordered' });
    const { told, finals } = await recognise('speech', { limits: { ...LIMITS, stopTimeoutMs: 5_000 } });
    expect(told).toEqual(['open', 'events', 'complete', 'close']);
    expect(order === undefined ? finals : finals.toSorted()).toEqual(
      order === undefined ? TEXTS : TEXTS.toSorted(),
    );
    await expectNothingLeft();
  });

  it('double-finals: they come as they are; a file’s sentences come once', async () => {
    sandbox.desk.order({ fault: 'double-finals' });
    expect((await recognise('speech')).finals).toEqual(['您好。', '您好。', '再见。', '再见。']);
    await using recognition = new Recognition({
      model: 'paraformer-realtime-8k-v2',
      format: 'pcm',
      sampleRate: 8_000,
      url: sandbox.url,
      apiKey: 'sk-1',
    });
    async function* bytes(): AsyncGenerator<Uint8Array> {
      yield* await Promise.resolve(SPEECH);
    }
    const result = await recognition.call(bytes(), { speed: 1_000 });
    expect(result.getSentence().map(({ text }) => text)).toEqual(TEXTS);
    await expectNothingLeft();
  });

  it.each(['NO_VALID_AUDIO_ERROR', 'NO_INPUT_AUDIO_ERROR', 'EmptyAudio'])(
    'fail:code=%s,at=finish after silence: an empty result and a warning',
    async (code) => {
      sandbox.desk.order({ fault: `fail:code=${code},at=finish` });
      const { told, finals, warnings } = await recognise('silence');
      expect(told).toEqual(['open', 'complete', 'close']);
      expect(finals).toEqual([]);
      expect(warnings).toEqual(['no-speech']);
      await expectNothingLeft();
    },
  );

  it.each(['drop:at=run-task', 'drop:close=1000,at=run-task'])(
    '%s on a reused socket: a fresh one takes its place',
    async (fault) => {
      before = await openResources();
      await using pool = new ConnectionPool({ url: sandbox.url, apiKey: 'sk-1' });
      expect((await recognise('speech', { pool })).finals).toEqual(TEXTS);
      sandbox.desk.order({ fault, times: 1 });
      const { told, finals } = await recognise('speech', { pool });
      expect(told).toEqual(['open', 'events', 'complete', 'close']);
      expect(finals).toEqual(TEXTS);
      expect(pool.counters).toMatchObject({ replaced: 1 });
      await pool.close();
      await expectNothingLeft();
    },
  );
});

it('has a row for every fault of the sandbox; those of REST are in the tests of the REST client', () => {
  const rows = [
    ...ENDS_IN_ERROR.map(([, fault]) => fault),
    ...SURVIVED.map(({ fault }) => fault),
    'fail',
    'double-finals',
  ];
  const tried = new Set(rows.map((fault) => fault.split(':')[0]));
  const names = FAULT_USAGE.map(([usage]) => /^[a-z-]+/.exec(usage)![0]);
  expect(names.filter((name) => !name.startsWith('rest-') && !tried.has(name))).toEqual([]);
});
