import type { KeepJobs } from 'bullmq';
import { createRedisBackend, Queue, Worker } from 'bullmq';

import type { QueueBackend } from './backend.ts';
import { JOB_OPTIONS, openQueue, openWorker, taken, workerOptions } from './bullmq.ts';

export interface RedisQueueOptions {
  readonly redisUrl: string;
  /** Keeps apart what shares one Redis. Default `callscribe`. */
  readonly prefix?: string;
}

/** Done jobs are kept for a while, so that a repeat is known by its id; the rows' keys know it for ever. */
const KEEP: KeepJobs = { age: 3_600, count: 5_000 };

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
            defaultJobOptions: { ...JOB_OPTIONS, removeOnComplete: KEEP },
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
