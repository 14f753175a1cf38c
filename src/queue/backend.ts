import type { DefaultJobOptions, Job as BullJob, KeepJobs } from 'bullmq';
import { createPostgresBackend, createRedisBackend, Queue, Worker } from 'bullmq';

import { CallscribeError, systemCode } from '../errors.ts';
import type { EncodedJob, QueueName } from './jobs.ts';
import { within } from './within.ts';

/** How many jobs of a queue are in which state. */
export type JobCounts = Readonly<Record<'waiting' | 'active' | 'delayed' | 'failed' | 'completed', number>>;

/** The writing end of one queue. */
export interface JobQueue {
  /** Adds them in order; a job whose id is there already changes nothing. Rejects when any was not taken. */
  add(jobs: readonly EncodedJob[]): Promise<void>;
  counts(): Promise<JobCounts>;
  close(): Promise<void>;
}

/** A job as a worker took it; nothing in it is to be trusted yet. */
export interface TakenJob {
  readonly id: string;
  readonly name: string;
  readonly data: unknown;
}

/** The reading end of one queue. */
export interface JobWorker {
  /** Takes no more jobs, waits for those in hand, closes; bounded by {@link CLOSE_MAX_MS}. */
  close(): Promise<void>;
}

export interface WorkerSettings {
  /** Jobs in hand at once. */
  readonly concurrency: number;
  /**
   * Resolves when the job is done. A rejection brings the job back after `retryDelayMs`; an
   * `UnrecoverableError` puts it into the failed set for an operator.
   */
  readonly process: (job: TakenJob) => Promise<void>;
  readonly retryDelayMs: (attempt: number) => number;
  /** The queue itself is in trouble (not a job). */
  readonly onError: (error: Error) => void;
  readonly onStalled: (jobId: string) => void;
}

/** Where jobs are kept between the processes: BullMQ on Redis or on Postgres. Only this file knows which. */
export interface QueueBackend {
  readonly kind: 'redis' | 'postgres';
  /** @throws {CallscribeError} QUEUE_UNREACHABLE, with the way out */
  openQueue(name: QueueName, onError: (error: Error) => void): Promise<JobQueue>;
  /** @throws {CallscribeError} QUEUE_UNREACHABLE, with the way out */
  openWorker(name: QueueName, settings: WorkerSettings): Promise<JobWorker>;
}

export interface RedisQueueOptions {
  readonly redisUrl: string;
  /** Keeps apart what shares one Redis. Default `callscribe`. */
  readonly prefix?: string;
}

export interface PostgresQueueOptions {
  readonly databaseUrl: string;
  /** The queue's tables stand in a schema of their own. Default `callscribe_queue`. */
  readonly schema?: string;
}

export const OPEN_MAX_MS = 5_000;
export const CLOSE_MAX_MS = 5_000;

/**
 * A job stays until it is done: neither attempts nor stalls end it (`integer` bounds the number in Postgres).
 * Its error keeps one stack, not one an attempt.
 */
const ATTEMPTS_MAX = 1_000_000_000;
const JOB_OPTIONS: DefaultJobOptions = {
  attempts: ATTEMPTS_MAX,
  backoff: { type: 'custom' },
  removeOnFail: false,
  stackTraceLimit: 1,
  keepLogs: 0,
};

/** Of a killed worker, jobs in hand come back after the lock's time and at most two looks: 25 s. */
const WORKER_OPTIONS = {
  lockDuration: 15_000,
  stalledInterval: 5_000,
  maxStalledCount: ATTEMPTS_MAX,
  runRetryDelay: 1_000,
};

/** Done jobs are kept for a while, so that a repeat is known by its id; the rows' keys know it for ever. */
const REDIS_KEEP: KeepJobs = { age: 3_600, count: 5_000 };
/** By age alone: BullMQ's count on Postgres scans all kept rows after each job (apply_retention, bullmq 6.7). */
const POSTGRES_KEEP: KeepJobs = { age: 300 };

/** BullMQ on Redis 6.2 or newer, or Valkey. */
export function redisBackend({ redisUrl, prefix = 'callscribe' }: RedisQueueOptions): QueueBackend {
  const retryStrategy = (times: number): number => Math.min(100 * 2 ** times, 2_000);
  const way = 'Correct REDIS_URL (redis://host:6379), or leave it empty to keep the queue in Postgres.';
  return {
    kind: 'redis',
    openQueue: (name, onError) =>
      openQueue(
        // Fails at once while Redis is away, and so leaves waiting, order and bound to the publisher.
        new Queue(
          name,
          {
            prefix,
            connection: { url: redisUrl, retryStrategy, maxRetriesPerRequest: 0, enableOfflineQueue: false },
            defaultJobOptions: { ...JOB_OPTIONS, removeOnComplete: REDIS_KEEP },
            streams: { events: { maxLen: 100 } },
          },
          createRedisBackend,
        ),
        onError,
        way,
      ),
    openWorker: (name, settings) =>
      openWorker(
        new Worker(
          name,
          (job) => settings.process(taken(job)),
          {
            prefix,
            connection: { url: redisUrl, retryStrategy, maxRetriesPerRequest: null },
            ...workerOptions(settings),
          },
          createRedisBackend,
        ),
        settings,
        way,
      ),
  };
}

/** BullMQ on Postgres 14 or newer; the tables are made at the first opening. Not through PgBouncer: it listens. */
export function postgresBackend({
  databaseUrl,
  schema = 'callscribe_queue',
}: PostgresQueueOptions): QueueBackend {
  const connection = (max: number) => ({
    connectionString: databaseUrl,
    schema,
    migrate: true,
    max,
    connectionTimeoutMillis: 5_000,
    query_timeout: 30_000,
    keepAlive: true,
    application_name: 'callscribe queue',
  });
  const way = 'Correct DATABASE_URL, or leave it empty for the embedded Postgres.';
  return {
    kind: 'postgres',
    openQueue: (name, onError) =>
      openQueue(
        new Queue(
          name,
          {
            connection: connection(2),
            defaultJobOptions: { ...JOB_OPTIONS, removeOnComplete: POSTGRES_KEEP },
          },
          createPostgresBackend,
        ),
        onError,
        way,
      ),
    openWorker: (name, settings) =>
      openWorker(
        new Worker(
          name,
          (job) => settings.process(taken(job)),
          { connection: connection(Math.min(settings.concurrency, 4)), ...workerOptions(settings) },
          createPostgresBackend,
        ),
        settings,
        way,
      ),
  };
}

const taken = (job: BullJob<unknown>): TakenJob => ({ id: job.id ?? '', name: job.name, data: job.data });

const workerOptions = ({ concurrency, retryDelayMs }: WorkerSettings) => ({
  ...WORKER_OPTIONS,
  concurrency,
  // Taking jobs begins when the connection stands, so that a wrong address is one error and not many.
  autorun: false,
  settings: { backoffStrategy: retryDelayMs },
});

/** What this file needs of a BullMQ queue, whatever its backend. */
interface AnyQueue {
  on(event: 'error', listener: (error: Error) => void): unknown;
  waitUntilReady(): Promise<void>;
  addBulk(jobs: { name: string; data: unknown; opts: { jobId: string } }[]): Promise<unknown>;
  getJobCounts(): Promise<Record<string, number>>;
  close(): Promise<void>;
  disconnect(): Promise<void>;
}

async function openQueue(queue: AnyQueue, onError: (error: Error) => void, way: string): Promise<JobQueue> {
  queue.on('error', onError);
  await ready(queue, way);
  return {
    add: async (jobs) => {
      await queue.addBulk(jobs.map(({ name, data, id }) => ({ name, data, opts: { jobId: id } })));
    },
    counts: async () => {
      const counts = await queue.getJobCounts();
      const of = (state: string): number => counts[state] ?? 0;
      return {
        waiting: of('waiting') + of('prioritized') + of('paused'),
        active: of('active'),
        delayed: of('delayed'),
        failed: of('failed'),
        completed: of('completed'),
      };
    },
    close: () => closeWithin(queue),
  };
}

interface AnyWorker {
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'stalled', listener: (jobId: string) => void): unknown;
  waitUntilReady(): Promise<void>;
  run(): Promise<void>;
  close(): Promise<void>;
  disconnect(): Promise<void>;
}

async function openWorker(worker: AnyWorker, settings: WorkerSettings, way: string): Promise<JobWorker> {
  worker.on('error', settings.onError);
  worker.on('stalled', settings.onStalled);
  await ready(worker, way);
  worker.run().catch(settings.onError);
  return { close: () => closeWithin(worker) };
}

async function ready(opened: AnyQueue | AnyWorker, way: string): Promise<void> {
  let cause: unknown;
  opened.on('error', (error) => (cause = error));
  try {
    const outcome = await within(OPEN_MAX_MS, opened.waitUntilReady());
    if (outcome === 'done') return;
  } catch (error) {
    cause = error;
  }
  await closeWithin(opened);
  throw new CallscribeError(
    'QUEUE_UNREACHABLE',
    `the queue cannot be reached (${systemCode(cause) ?? `no answer in ${OPEN_MAX_MS / 1000} s`}). ${way}`,
    { cause, retryable: true },
  );
}

/** BullMQ waits for an answer to its goodbye, which a dead server does not give. */
async function closeWithin(opened: AnyQueue | AnyWorker): Promise<void> {
  const outcome = await within(CLOSE_MAX_MS, opened.close()).catch(() => 'failed' as const);
  if (outcome !== 'done') await within(1_000, opened.disconnect()).catch(() => undefined);
}
