import { setTimeout as sleep } from 'node:timers/promises';

import { UnrecoverableError } from 'bullmq';

import type { Clock } from '../clock.ts';
import { CallscribeError, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { within } from '../within.ts';
import type { JobWorker, QueueBackend, TakenJob } from './backend.ts';
import { CLOSE_MAX_MS } from './backend.ts';
import { backoffMs } from './backoff.ts';
import type { BatchedFact, Job, QueueName } from './jobs.ts';
import { decodeJob, factsOf, QUEUE_OF } from './jobs.ts';
import { Outage } from './outage.ts';

/**
 * - `done`: handled.
 * - `retried`: lost against others, or before its time; the queue brings it back later.
 * - `malformed`, `failed`: among the dead letters, where an operator finds it.
 */
export type JobOutcome = 'done' | 'retried' | 'malformed' | 'failed';

/** How the facts came. */
export interface Delivery {
  /** As older versions sent them: one fact a job, and no word that a call has ended. */
  readonly isSingle: boolean;
  /** 1, 2, 3 … */
  readonly attempt: number;
}

/** A fact that can never become rows as it is. */
export interface DeadLetter extends BatchedFact {
  readonly queue: QueueName;
  readonly error: CallscribeError;
}

export interface ConsumerOptions {
  readonly backend: QueueBackend;
  readonly queue: QueueName;
  readonly logger: Logger;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /**
   * All of them or none. Must be idempotent: facts may come again, also while they are still being handled
   * elsewhere.
   */
  readonly handle: (jobs: readonly Job[], delivery: Delivery) => Promise<void>;
  /** Keeps it for an operator; may be called again for the same fact. */
  readonly bury: (letter: DeadLetter) => Promise<void>;
  /** Jobs in hand at once, default {@link CONCURRENCY}. */
  readonly concurrency?: number;
  readonly onOutcome?: (outcome: JobOutcome, facts: number) => void;
}

/** One after the other, so that the rows of a leg are written in its order. */
export const CONCURRENCY = 1;
const RETRY = { minMs: 200, maxMs: 30_000 };
const HOLD = { minMs: 100, maxMs: 5_000 };
/** Attempts for a batch that lost against others, before it goes back and others overtake it. */
const ATTEMPTS_IN_HAND = 5;

/** A running consumer of one queue. */
export interface Consumer extends AsyncDisposable {
  close(): Promise<void>;
}

/**
 * Takes jobs off a queue, decodes their facts and has them handled, a batch as one. What a failure means:
 * - a fact cannot be read, or its data is at fault: it is buried, with no further attempt. Of a batch it is found by
 *   halves, and the others are handled;
 * - the store is away (`DATABASE_UNREACHABLE`): the job stays in hand and is tried until the store is back, and no
 *   more jobs are taken than are in hand. So an outage of hours costs nothing and drops nothing;
 * - any other retryable error: some attempts in hand, then back to the queue, with a growing delay of at most 30 s,
 *   for ever.
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

/** A fact that could be read, with what it came as. */
interface Read {
  readonly fact: BatchedFact;
  readonly job: Job;
}

async function handleTaken(context: Context, taken: TakenJob): Promise<void> {
  try {
    const facts = factsOf(taken.name, taken.id, taken.data);
    const reads: Read[] = [];
    for (const fact of facts) {
      const read = decode(context.queue, fact);
      if (read instanceof CallscribeError) await bury(context, fact, read, 'malformed');
      else reads.push(read);
    }
    await handleAll(context, reads, { isSingle: facts[0]?.data === taken.data, attempt: taken.attempt });
  } catch (thrown) {
    throw verdict(context, taken, toError(thrown));
  }
  // Speech does not stay in the queue; where this fails, it goes when the job does. The next job does not wait for it.
  taken.forgetData().catch(() => undefined);
}

function decode(queue: QueueName, fact: BatchedFact): Read | CallscribeError {
  try {
    const job = decodeJob(fact.name, fact.data);
    if (QUEUE_OF[job.name] === queue) return { fact, job };
    return new CallscribeError('JOB_MALFORMED', `a job "${job.name}" does not belong into this queue`);
  } catch (thrown) {
    if (thrown instanceof CallscribeError) return thrown;
    return new CallscribeError('JOB_MALFORMED', 'a job cannot be read', { cause: thrown });
  }
}

async function handleAll(context: Context, reads: readonly Read[], delivery: Delivery): Promise<void> {
  if (reads.length === 0) return;
  try {
    await inHand(context, () =>
      context.handle(
        reads.map(({ job }) => job),
        delivery,
      ),
    );
    context.onOutcome?.('done', reads.length);
  } catch (thrown) {
    const error = toError(thrown);
    if (error instanceof CallscribeError && error.retryable) throw error;
    const [only] = reads;
    if (only !== undefined && reads.length === 1) {
      await bury(context, only.fact, error, 'failed');
      return;
    }
    const half = Math.ceil(reads.length / 2);
    await handleAll(context, reads.slice(0, half), delivery);
    await handleAll(context, reads.slice(half), delivery);
  }
}

async function bury(
  context: Context,
  fact: BatchedFact,
  err: Error,
  outcome: 'malformed' | 'failed',
): Promise<void> {
  const { queue, logger } = context;
  const error =
    err instanceof CallscribeError
      ? err
      : new CallscribeError('JOB_MALFORMED', `unexpected ${err.name}; see the log`, { cause: err });
  logger.error({ err, queue, jobId: fact.id, job: fact.name }, 'a fact goes to the dead letters');
  await inHand(context, () => context.bury({ ...fact, queue, error }));
  context.onOutcome?.(outcome, 1);
}

/** Tries until it works or fails for good, as long as the store is away and a little longer. */
async function inHand(context: Context, attempt: () => Promise<void>): Promise<void> {
  let lost = 0;
  for (let turn = 1; ; turn += 1) {
    try {
      await attempt();
      context.store.worked();
      return;
    } catch (thrown) {
      const error = toError(thrown);
      const isAway = error instanceof CallscribeError && error.code === 'DATABASE_UNREACHABLE';
      if (context.closing.aborted) throw error;
      if (isAway) context.store.failed(error);
      else if (!isContended(error) || (lost += 1) >= ATTEMPTS_IN_HAND) throw error;
      const delayMs = backoffMs(isAway ? turn : lost, Math.random(), HOLD);
      await sleep(delayMs, undefined, { signal: context.closing }).catch(() => undefined);
    }
  }
}

const isContended = (error: Error): boolean =>
  error instanceof CallscribeError && error.code === 'DATABASE_REJECTED' && error.retryable;

/** What BullMQ is told: an ordinary error brings the job back, an `UnrecoverableError` does not. */
function verdict(context: Context, { id }: TakenJob, err: Error): Error {
  const facts = { err, queue: context.queue, jobId: id };
  if (err instanceof CallscribeError && err.retryable) {
    const level = err.code === 'ROWS_PENDING' ? 'debug' : 'warn';
    context.logger[level](facts, 'a job is tried again later');
    context.onOutcome?.('retried', 1);
    return err;
  }
  // It takes a message only, hence the log line.
  context.logger.error(facts, 'a job failed for good');
  context.onOutcome?.('failed', 1);
  return new UnrecoverableError(
    err instanceof CallscribeError ? err.message : `unexpected ${err.name}; see the log`,
  );
}
