import { setTimeout as sleep } from 'node:timers/promises';

import { UnrecoverableError } from 'bullmq';

import type { Clock } from '../clock.ts';
import { CallscribeError, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { within } from '../within.ts';
import type { JobWorker, QueueBackend, TakenJob } from './backend.ts';
import { CLOSE_MAX_MS } from './backend.ts';
import { backoffMs } from './backoff.ts';
import type { Job, QueueName } from './jobs.ts';
import { decodeJob, QUEUE_OF } from './jobs.ts';
import { Outage } from './outage.ts';

/**
 * - `done`: handled.
 * - `retried`: lost against others; the queue brings it back later.
 * - `malformed`, `failed`: in the failed set, where an operator finds it.
 */
export type JobOutcome = 'done' | 'retried' | 'malformed' | 'failed';

export interface ConsumerOptions {
  readonly backend: QueueBackend;
  readonly queue: QueueName;
  readonly logger: Logger;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Must be idempotent: a job may come again, also while it is still being handled elsewhere. */
  readonly handle: (job: Job) => Promise<void>;
  /** Jobs in hand at once, default {@link CONCURRENCY}. */
  readonly concurrency?: number;
  readonly onOutcome?: (outcome: JobOutcome) => void;
}

export const CONCURRENCY = 8;
const RETRY = { minMs: 200, maxMs: 30_000 };
const HOLD = { minMs: 100, maxMs: 5_000 };

/** A running consumer of one queue. */
export interface Consumer extends AsyncDisposable {
  close(): Promise<void>;
}

/**
 * Takes jobs off a queue, decodes them and has them handled. What a failure means for the job:
 * - it cannot be read, or its data is at fault: into the failed set, with no further attempt;
 * - the store is away (`DATABASE_UNREACHABLE`): it stays in hand and is tried until the store is back, and no
 *   more jobs are taken than are in hand. So an outage of hours costs nothing and drops nothing;
 * - any other retryable error: back to the queue, with a growing delay of at most 30 s, for ever.
 *
 * @throws {CallscribeError} QUEUE_UNREACHABLE
 */
export async function startConsumer(options: ConsumerOptions): Promise<Consumer> {
  const { backend, queue, logger, clock } = options;
  const nowMs = (): number => clock.monotonicMs();
  const closing = new AbortController();
  const context: Context = {
    ...options,
    closing: closing.signal,
    store: new Outage(logger, { service: 'store', queue }, nowMs),
  };
  const queueOutage = new Outage(logger, { service: backend.kind, queue }, nowMs);
  const worker: JobWorker = await backend.openWorker(queue, {
    concurrency: options.concurrency ?? CONCURRENCY,
    process: (job) => {
      queueOutage.worked();
      return handleTaken(context, job);
    },
    retryDelayMs: (attempt) => backoffMs(attempt, Math.random(), RETRY),
    onError: (error) => {
      if (!closing.signal.aborted) queueOutage.failed(error);
    },
    onStalled: (jobId) => {
      logger.warn({ queue, jobId }, 'a job came back because its worker fell silent');
    },
  });
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing.abort();
    return (closed ??= within(CLOSE_MAX_MS + 2_000, worker.close()).then(() => undefined));
  };
  return { close, [Symbol.asyncDispose]: close };
}

type Context = ConsumerOptions & { readonly closing: AbortSignal; readonly store: Outage };

async function handleTaken(context: Context, taken: TakenJob): Promise<void> {
  const job = decode(context, taken);
  for (let attempt = 1; ; attempt += 1) {
    try {
      await context.handle(job);
      context.store.worked();
      context.onOutcome?.('done');
      return;
    } catch (thrown) {
      const error = toError(thrown);
      if (!isStoreAway(error) || context.closing.aborted) throw verdict(context, taken, error);
      context.store.failed(error);
      const delayMs = backoffMs(attempt, Math.random(), HOLD);
      await sleep(delayMs, undefined, { signal: context.closing }).catch(() => undefined);
    }
  }
}

function decode(context: Context, { id, name, data }: TakenJob): Job {
  try {
    const job = decodeJob(name, data);
    if (QUEUE_OF[job.name] === context.queue) return job;
    throw new CallscribeError('JOB_MALFORMED', `a job "${job.name}" does not belong into this queue`);
  } catch (err) {
    context.logger.error({ err, queue: context.queue, jobId: id }, 'a job cannot be read');
    context.onOutcome?.('malformed');
    // It takes a message only, hence the log line before.
    throw new UnrecoverableError(toError(err).message);
  }
}

/** What BullMQ is told: an ordinary error brings the job back, an `UnrecoverableError` does not. */
function verdict(context: Context, { id }: TakenJob, err: Error): Error {
  const facts = { err, queue: context.queue, jobId: id };
  if (err instanceof CallscribeError && err.retryable) {
    context.logger.warn(facts, 'a job is tried again later');
    context.onOutcome?.('retried');
    return err;
  }
  context.logger.error(facts, 'a job failed for good');
  context.onOutcome?.('failed');
  return new UnrecoverableError(
    err instanceof CallscribeError ? err.message : `unexpected ${err.name}; see the log`,
  );
}

const isStoreAway = (error: Error): boolean =>
  error instanceof CallscribeError && error.code === 'DATABASE_UNREACHABLE';
