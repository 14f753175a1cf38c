import { setTimeout as sleep } from 'node:timers/promises';

import type { KeepJobs } from 'bullmq';
import { createPostgresBackend, FlowProducer, Queue, Worker } from 'bullmq';

import type { QueueBackend } from './backend.ts';
import {
  JOB_OPTIONS,
  jobOptionsOf,
  openFlows,
  openQueue,
  openWorker,
  taken,
  workerOptions,
} from './bullmq.ts';

export interface PostgresQueueOptions {
  readonly databaseUrl: string;
  /** The queue's tables stand in a schema of their own. Default `callscribe_queue`. */
  readonly schema?: string;
}

/**
 * Done jobs are kept for a while, without their data: the outbox reads from them what has become rows. By age
 * alone: BullMQ's count on Postgres scans all kept rows after each job (apply_retention, bullmq 6.7).
 */
const KEEP: KeepJobs = { age: 300 };
const FETCH_PAUSE_MS = 500;

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
    // What the queue forgets when Postgres dies, the outbox hands over again, and rows have keys: so its own
    // bookkeeping, several transactions a job, need not wait for the disk. A job is marked done after its rows are
    // synced, never before.
    options: '-c synchronous_commit=off',
    application_name: 'callscribe queue',
  });
  const defaults = { ...JOB_OPTIONS, removeOnComplete: KEEP };
  const way = 'Correct DATABASE_URL, or leave it empty for the embedded Postgres.';
  return {
    kind: 'postgres',
    openQueue: (name, onError) =>
      openQueue(
        new Queue(
          name,
          {
            connection: connection(2),
            defaultJobOptions: jobOptionsOf(name, KEEP),
          },
          createPostgresBackend,
        ),
        onError,
        way,
      ),
    openFlows: (onError) =>
      openFlows(
        new FlowProducer({ connection: connection(2) }, createPostgresBackend),
        defaults,
        onError,
        way,
      ),
    openWorker: (name, settings) =>
      openWorker(
        new Worker(
          name,
          (job) => settings.process(taken(job)),
          { connection: connection(Math.min(settings.concurrency, 4)), ...workerOptions(settings) },
          unhurriedPostgresBackend,
        ),
        settings,
        way,
      ),
  };
}

/**
 * BullMQ asks for the next job again at once when Postgres drops its session, 2,000 times a second until the
 * server is back (bullmq 6.7; a refused connection it does wait for). This waits a moment after each failure.
 */
const unhurriedPostgresBackend: typeof createPostgresBackend = (...args) => {
  const backend = createPostgresBackend(...args);
  const moveToActive = backend.moveToActive.bind(backend);
  backend.moveToActive = (...next) =>
    moveToActive(...next).catch(async (error: unknown) => {
      await sleep(FETCH_PAUSE_MS);
      throw error;
    });
  return backend;
};
