import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import { CallscribeError } from '../../src/errors.ts';
import { silentLogger } from '../../src/log.ts';
import type { QueueBackend, WorkerSettings } from '../../src/queue/backend.ts';
import type { Consumer, DeadLetter, JobOutcome } from '../../src/queue/consumer.ts';
import { startConsumer } from '../../src/queue/consumer.ts';
import { encodeJob, type Job } from '../../src/queue/jobs.ts';
import { aCall, anEvent } from '../support/facts.ts';

const event = encodeJob({ name: 'call-event', payload: anEvent({ callId: aCall().id }) });

let outcomes: JobOutcome[];
let forgotten: number;
let settings: WorkerSettings;
let consumer: Consumer;
let handle: (jobs: readonly Job[]) => Promise<void>;
let buried: DeadLetter[];

beforeEach(async () => {
  outcomes = [];
  forgotten = 0;
  buried = [];
  handle = () => Promise.resolve();
  // Only what the consumer asks of a backend; the real ones are in backends.test.ts.
  const backend: QueueBackend = {
    kind: 'redis',
    openQueue: () => Promise.reject(new Error('a consumer does not write')),
    openFlows: () => Promise.reject(new Error('a consumer does not write')),
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
    handle: (jobs) => handle(jobs),
    bury: (letter) => Promise.resolve(void buried.push(letter)),
    onOutcome: (outcome) => outcomes.push(outcome),
  });
});

const take = (name: string, data: unknown): Promise<unknown> =>
  settings
    .process({ id: 'job', name, data, attempt: 1, forgetData: () => Promise.resolve(void (forgotten += 1)) })
    .catch((error: unknown) => error);
const process = (): Promise<unknown> => take(event.name, event.data);

describe('a job whose handling fails', () => {
  it('comes back where it waits for rows', async () => {
    handle = () => Promise.reject(new CallscribeError('ROWS_PENDING', 'not yet', { retryable: true }));
    expect(await process()).toMatchObject({ code: 'ROWS_PENDING' });
    expect(outcomes).toEqual(['retried']);
    expect(forgotten).toBe(0);
  });

  it('is tried some times in hand where it lost against others, and comes back then', async () => {
    let attempts = 0;
    handle = () => {
      attempts += 1;
      return Promise.reject(new CallscribeError('DATABASE_REJECTED', 'deadlock', { retryable: true }));
    };
    expect(await process()).toMatchObject({ code: 'DATABASE_REJECTED' });
    expect([attempts, outcomes]).toEqual([5, ['retried']]);
  });

  it.each([
    ['for its data', new CallscribeError('DATABASE_REJECTED', 'SQLSTATE 23514'), 'DATABASE_REJECTED'],
    ['for a mistake of ours', new TypeError('undefined is not a leg'), 'JOB_MALFORMED'],
  ])('is buried %s, and the job is done', async (_, failure, code) => {
    handle = () => Promise.reject(failure);
    expect(await process()).toBeUndefined();
    expect(outcomes).toEqual(['failed']);
    expect(buried.map(({ id, error }) => [id, error.code])).toEqual([['job', code]]);
  });

  it('takes no more than the poison out of a batch', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 40 }), async (poisoned) => {
        buried = [];
        const callId = aCall().id;
        const facts = poisoned.map((_, index) =>
          encodeJob({ name: 'call-event', payload: anEvent({ callId, eventNo: index + 1 }) }),
        );
        const handled: number[] = [];
        handle = (jobs) => {
          const numbers = jobs.map(({ payload }) => ('eventNo' in payload ? payload.eventNo : 0));
          if (numbers.some((no) => poisoned[no - 1])) {
            return Promise.reject(new CallscribeError('DATABASE_REJECTED', 'SQLSTATE 23514'));
          }
          handled.push(...numbers);
          return Promise.resolve();
        };
        expect(await take('batch', { facts })).toBeUndefined();
        const all = poisoned.map((_, index) => index + 1);
        expect(handled).toEqual(all.filter((no) => !poisoned[no - 1]));
        expect(buried.map(({ id }) => id)).toEqual(
          all.filter((no) => poisoned[no - 1]).map((no) => facts[no - 1]!.id),
        );
      }),
      { seed: 1, numRuns: 100 },
    );
  });

  it('has nothing to do where its rows are there already', async () => {
    expect(await take('batch', { done: true })).toBeUndefined();
    expect([outcomes, buried]).toEqual([[], []]);
  });

  it('says nothing of what a foreign error says', async () => {
    handle = () => Promise.reject(new TypeError('cannot read 您好'));
    await process();
    expect(buried.map(({ error }) => error.message).join()).not.toContain('您好');
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
