import { beforeEach, describe, expect, it } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import { CallscribeError } from '../../src/errors.ts';
import { silentLogger } from '../../src/log.ts';
import type { QueueBackend, WorkerSettings } from '../../src/queue/backend.ts';
import type { Consumer, JobOutcome } from '../../src/queue/consumer.ts';
import { startConsumer } from '../../src/queue/consumer.ts';
import { encodeJob } from '../../src/queue/jobs.ts';
import { aCall, anEvent } from '../support/facts.ts';

const event = encodeJob({ name: 'call-event', payload: anEvent({ callId: aCall().id }) });

let outcomes: JobOutcome[];
let settings: WorkerSettings;
let consumer: Consumer;
let handle: () => Promise<void>;

beforeEach(async () => {
  outcomes = [];
  handle = () => Promise.resolve();
  // Only what the consumer asks of a backend; the real ones are in backends.test.ts.
  const backend: QueueBackend = {
    kind: 'redis',
    openQueue: () => Promise.reject(new Error('a consumer does not write')),
    openWorker: (_, given) => {
      settings = given;
      return Promise.resolve({ close: () => Promise.resolve() });
    },
  };
  consumer = await startConsumer({
    backend,
    queue: 'calls',
    logger: silentLogger,
    clock: systemClock,
    handle: () => handle(),
    onOutcome: (outcome) => outcomes.push(outcome),
  });
});

const process = (): Promise<unknown> => settings.process(event).catch((error: unknown) => error);

describe('a job whose handling fails', () => {
  it.each([
    [
      'against others',
      new CallscribeError('DATABASE_REJECTED', 'deadlock', { retryable: true }),
      'CallscribeError',
      'retried',
    ],
    [
      'for its data',
      new CallscribeError('DATABASE_REJECTED', 'SQLSTATE 23514'),
      'UnrecoverableError',
      'failed',
    ],
    ['for a mistake of ours', new TypeError('undefined is not a leg'), 'UnrecoverableError', 'failed'],
  ])('%s', async (_, failure, name, outcome) => {
    handle = () => Promise.reject(failure);
    expect(await process()).toMatchObject({ name });
    expect(outcomes).toEqual([outcome]);
  });

  it('says nothing of what a foreign error says', async () => {
    handle = () => Promise.reject(new TypeError('cannot read 您好'));
    expect(String(await process())).not.toContain('您好');
  });

  it('stays in hand while the store is away', async () => {
    let attempts = 0;
    handle = () => {
      attempts += 1;
      return attempts < 3
        ? Promise.reject(new CallscribeError('DATABASE_UNREACHABLE', 'away', { retryable: true }))
        : Promise.resolve();
    };
    expect(await process()).toBeUndefined();
    expect(attempts).toBe(3);
    expect(outcomes).toEqual(['done']);
  });

  it('goes back to the queue when we close while the store is away', async () => {
    handle = () => Promise.reject(new CallscribeError('DATABASE_UNREACHABLE', 'away', { retryable: true }));
    const processing = process();
    await consumer.close();
    expect(await processing).toMatchObject({ code: 'DATABASE_UNREACHABLE' });
    expect(outcomes).toEqual(['retried']);
  });
});

it('waits longer from attempt to attempt, but never longer than half a minute', () => {
  expect(settings.retryDelayMs(1)).toBeLessThanOrEqual(200);
  expect(settings.retryDelayMs(5)).toBeGreaterThanOrEqual(1600);
  for (const attempt of [20, 1000]) expect(settings.retryDelayMs(attempt)).toBeLessThanOrEqual(30_000);
});
