import { getEventListeners } from 'node:events';
import { isDeepStrictEqual } from 'node:util';

import { expect } from 'vitest';

import type { DashScopeError } from '../../src/dashscope/errors.ts';
import { Recognition, type RecognitionOptions } from '../../src/dashscope/recognition.ts';
import { silentLogger } from '../../src/log.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { chunksOf, makeCodes, toPcmBuffer } from '../support/captioned-audio.ts';
import { openResources } from './scripted-service.ts';

/** Two sentences; the silence behind each is long enough to end it. */
export const SPEECH = chunksOf(
  toPcmBuffer(
    'PCMU',
    makeCodes('PCMU', 6_000, [
      { beginMs: 500, endMs: 1_700, text: '您好。' },
      { beginMs: 3_500, endMs: 4_700, text: '再见。' },
    ]),
  ),
);
export const TEXTS = ['您好。', '再见。'];
const SILENCE = chunksOf(Buffer.alloc(16_000));
/** `stop` counts from the call, which comes first where all is said at once, so it has to hold out until the start. */
const HASTY = {
  connecting: { connectTimeoutMs: 200 },
  starting: { startTimeoutMs: 200 },
  finishing: { stopTimeoutMs: 400 },
};

/**
 * How the application behaves:
 *
 * - `at once`: all is said, and the end asked for, before anything is answered: results come while it is finishing;
 * - `silence`: the same without a word;
 * - `after a result`: it waits for the first result before it asks for the end: results come while it is streaming;
 * - `endless`: it never asks for the end.
 */
export type Manner = 'at once' | 'silence' | 'after a result' | 'endless';

export interface Outcome {
  /** Names of callbacks in order; many `onEvent` in a row are one `events`. */
  readonly told: readonly string[];
  readonly finals: readonly string[];
  readonly error: DashScopeError | undefined;
  readonly warnings: readonly string[];
}

export function startFaultySandbox(): Promise<Sandbox> {
  return startSandbox({
    host: '127.0.0.1',
    port: 0,
    recogniser: captionsRecogniser,
    rateLimit: 'off',
    logger: silentLogger,
  });
}

/** One recognition from start to close; its listeners are gone then. */
export async function recognise(
  sandbox: Sandbox,
  manner: Manner,
  options: Partial<RecognitionOptions> & { readonly hasty?: keyof typeof HASTY | undefined } = {},
): Promise<Outcome> {
  const { hasty, ...more } = options;
  const told: string[] = [];
  const finals: string[] = [];
  const stopping = new AbortController();
  let error: DashScopeError | undefined;
  let onClosed!: () => void;
  let onHeard!: () => void;
  const closed = new Promise<void>((resolve) => (onClosed = resolve));
  const heard = new Promise<void>((resolve) => (onHeard = resolve));
  const recognition = new Recognition({
    model: 'paraformer-realtime-8k-v2',
    format: 'pcm',
    sampleRate: 8_000,
    ...(more.pool === undefined ? { url: sandbox.url, apiKey: 'sk-1' } : {}),
    // A machine may be slow: only who has to run into a limit has short ones.
    limits: hasty === undefined ? {} : HASTY[hasty],
    signal: stopping.signal,
    ...more,
    callback: {
      onOpen: () => told.push('open'),
      onEvent: (result) => {
        if (told.at(-1) !== 'events') told.push('events');
        if (result.isSentenceEnd()) finals.push(result.getSentence().text);
        onHeard();
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
    if (manner === 'endless') {
      await recognition.start();
      for (let no = 0; ; no += 1) {
        recognition.sendAudioFrame(SPEECH[no % SPEECH.length]!);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    if (manner === 'after a result') await recognition.start();
    else void recognition.start();
    for (const chunk of manner === 'silence' ? SILENCE : SPEECH) recognition.sendAudioFrame(chunk);
    if (manner === 'after a result') await Promise.race([heard, closed]);
    await recognition.stop();
  } catch {
    // It is told to onError.
  }
  await closed;
  expect(getEventListeners(stopping.signal, 'abort')).toEqual([]);
  expect({ running: recognition.running, backlogMs: recognition.backlogMs }).toEqual({
    running: false,
    backlogMs: 0,
  });
  return { told, finals, error, warnings: recognition.warnings.map(({ kind }) => kind) };
}

const LEFT_WAIT_MS = 3_000;

/** @returns to be called at the end: nothing of the client is left on either side */
export async function watchResources(sandbox: Sandbox): Promise<() => Promise<void>> {
  const before = await openResources();
  const left = async (): Promise<Readonly<Record<string, number>>> => {
    const { sockets, tasks, decoders } = sandbox.live;
    const own = await openResources();
    return {
      serverSockets: sockets,
      tasks,
      decoders,
      timers: own.timers - before.timers,
      sockets: own.sockets,
    };
  };
  const nothing = { serverSockets: 0, tasks: 0, decoders: 0, timers: 0, sockets: 0 };
  return async () => {
    // A timer of the wait itself would count, so there is none.
    const untilMs = performance.now() + LEFT_WAIT_MS;
    let found = await left();
    while (!isDeepStrictEqual(found, nothing) && performance.now() < untilMs) found = await left();
    expect(found).toEqual(nothing);
  };
}
