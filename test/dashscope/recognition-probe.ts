import { afterEach, expect } from 'vitest';

import type { DashScopeError } from '../../src/dashscope/errors.ts';
import { Recognition, type RecognitionOptions } from '../../src/dashscope/recognition.ts';
import type { RecognitionCallback } from '../../src/dashscope/recognition-callback.ts';
import { goodService, PARTIAL, type Script, ScriptedService } from './scripted-service.ts';

/** Ended after each test, last first. */
export const running: AsyncDisposable[] = [];
const probes: Told[] = [];
afterEach(async () => {
  for (const each of running.splice(0).reverse()) await each[Symbol.asyncDispose]();
  // What should not be told may come late.
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
  for (const { told } of probes.splice(0)) expectOrder(told);
});

/** Of each run: open once at most and before any event; complete or error, once; close, once; nothing after it. */
function expectOrder(told: readonly string[]): void {
  const order = told.map((name) => (name in LETTERS ? LETTERS[name as keyof typeof LETTERS] : 'v')).join('');
  expect(order).toMatch(/^((ov*)?[ce]x)*$/);
}
const LETTERS = { open: 'o', complete: 'c', error: 'e', close: 'x' } as const;

export async function serviceWith(
  ...args: Parameters<typeof ScriptedService.start>
): Promise<ScriptedService> {
  const service = await ScriptedService.start(...args);
  running.push(service);
  return service;
}

/** 100 ms. */
export const FRAME = Buffer.alloc(1_600);
export const MODEL = { model: 'paraformer-realtime-8k-v2', format: 'pcm', sampleRate: 8000 } as const;

export interface Told {
  readonly recognition: Recognition;
  /** Names of callbacks in order; what onEvent was told stands as `text` or `text.` for a final. */
  readonly told: string[];
  readonly errors: DashScopeError[];
  readonly closed: Promise<void>;
  readonly opened: Promise<void>;
}

/** A recognition that writes down what it is told. */
export function recognitionOn(
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
  const probe = { recognition, told, errors, closed, opened };
  probes.push(probe);
  return probe;
}

/** As {@link goodService}, but does `fault` in place of its own reaction where it says so. */
export const faulty =
  (fault: (...args: Parameters<Script>) => boolean): Script =>
  (frame, socket) => {
    if (!fault(frame, socket)) goodService(frame, socket);
  };

/** A partial for each frame, before the final. */
export const partialFirst = faulty((frame, socket) => {
  if (frame.kind !== 'audio') return false;
  const run = socket.frames.findLast((each) => each.kind === 'run-task')!;
  socket.result(run.taskId, PARTIAL);
  return true;
});
