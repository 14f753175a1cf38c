import type { KeepJobs } from 'bullmq';
import { createRedisBackend, FlowProducer, Queue, Worker } from 'bullmq';

import { toError } from '../errors.ts';
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

export interface RedisQueueOptions {
  readonly redisUrl: string;
  /** Keeps apart what shares one Redis. Default `callscribe`. */
  readonly prefix?: string;
}

/** Done jobs are kept for a while, without their data: the outbox reads from them what has become rows. */
const KEEP: KeepJobs = { age: 3_600, count: 5_000 };

/** After a failover the address leads elsewhere, and the old connection to a server that only reads. */
const isDemoted = (error: Error): boolean => error.message.startsWith('READONLY');

/** BullMQ on Redis 6.2 or newer, or Valkey. */
export function redisBackend({ redisUrl, prefix = 'callscribe' }: RedisQueueOptions): QueueBackend {
  const retryStrategy = (times: number): number => Math.min(100 * 2 ** times, 2_000);
  // Fails at once while Redis is away, and so leaves waiting, order and bound to the outbox.
  const producerConnection = {
    url: redisUrl,
    retryStrategy,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    reconnectOnError: isDemoted,
  };
  const defaults = { ...JOB_OPTIONS, removeOnComplete: KEEP };
  const way = 'Correct REDIS_URL (redis://host:6379), or leave it empty to keep the queue in Postgres.';
  return {
    kind: 'redis',
    openQueue: (name, onError) =>
      openQueue(
        new Queue(
          name,
          {
            prefix,
            connection: producerConnection,
            defaultJobOptions: jobOptionsOf(name, KEEP),
            streams: { events: { maxLen: 100 } },
          },
          createRedisBackend,
        ),
        onError,
        way,
      ),
    openFlows: async (onError) => {
      const producer = new FlowProducer({ prefix, connection: producerConnection }, createRedisBackend);
      const flows = await openFlows(producer, defaults, onError, way);
      return {
        ...flows,
        add: (given) =>
          flows.add(given).catch(async (thrown: unknown) => {
            // A flow is a MULTI, whose inner errors ioredis does not look at.
            const error = toError(thrown);
            if (isDemoted(error)) (await producer.getBackend().client).disconnect(true);
            throw error;
          }),
      };
    },
    openWorker: (name, settings) =>
      openWorker(
        new Worker(
          name,
          (job) => settings.process(taken(job)),
          {
            prefix,
            connection: {
              url: redisUrl,
              retryStrategy,
              maxRetriesPerRequest: null,
              reconnectOnError: isDemoted,
            },
            ...workerOptions(settings),
          },
          createRedisBackend,
        ),
        settings,
        way,
      ),
  };
}
