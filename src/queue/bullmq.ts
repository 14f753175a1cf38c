import type {
  DefaultJobOptions,
  FlowJob,
  Job as BullJob,
  JobsOptions,
  KeepJobs,
  WorkerOptions,
} from 'bullmq';

import { CallscribeError, systemCode } from '../errors.ts';
import { within } from '../within.ts';
import type {
  FlowQueue,
  JobFate,
  JobQueue,
  JobWorker,
  QueuedFlow,
  QueuedJob,
  TakenJob,
  WakeUpQueue,
  WorkerSettings,
} from './backend.ts';
import { CLOSE_MAX_MS, OPEN_MAX_MS } from './backend.ts';
import { DONE, type QueueName } from './jobs.ts';

// What both backends share: how BullMQ is set up, and its queues and workers behind our own interfaces.

/**
 * A job stays until it is done: neither attempts nor stalls end it (`integer` bounds the number in Postgres).
 * Its error keeps one stack, not one an attempt.
 */
const ATTEMPTS_MAX = 1_000_000_000;
export const JOB_OPTIONS: DefaultJobOptions = {
  attempts: ATTEMPTS_MAX,
  backoff: { type: 'custom' },
  removeOnFail: false,
  stackTraceLimit: 1,
  keepLogs: 0,
};

/** Of a wake-up nothing is worth keeping, and its id must be free for the next one. */
export const jobOptionsOf = (queue: QueueName | WakeUpQueue, keepDone: KeepJobs): DefaultJobOptions => ({
  ...JOB_OPTIONS,
  removeOnComplete: queue === 'webhooks' ? true : keepDone,
});

/** Of a killed worker, jobs in hand come back after the lock's time and at most two looks: 25 s. */
const WORKER_OPTIONS = {
  lockDuration: 15_000,
  stalledInterval: 5_000,
  maxStalledCount: ATTEMPTS_MAX,
  runRetryDelay: 1_000,
};

const PROBE_MAX_MS = 1_000;

export const taken = (job: BullJob<unknown>): TakenJob => ({
  id: job.id ?? '',
  name: job.name,
  data: job.data,
  attempt: job.attemptsMade + 1,
  forgetData: () => job.updateData(DONE),
});

export const workerOptions = ({
  concurrency,
  retryDelayMs,
}: WorkerSettings): Omit<WorkerOptions, 'connection'> => ({
  ...WORKER_OPTIONS,
  concurrency,
  // Taking jobs begins when the connection stands, so that a wrong address is one error and not many.
  autorun: false,
  settings: { backoffStrategy: (attempt, _type, error) => retryDelayMs(attempt, error) },
});

/** What this file needs of a BullMQ queue, whatever its backend. */
interface AnyQueue {
  on(event: 'error', listener: (error: Error) => void): unknown;
  waitUntilReady(): Promise<void>;
  addBulk(jobs: { name: string; data: unknown; opts: { jobId: string } }[]): Promise<unknown>;
  getJobCounts(): Promise<Record<string, number>>;
  getRanges(types: 'completed'[], start: number, end: number): Promise<string[]>;
  getJobState(jobId: string): Promise<string>;
  getJobs(
    types: JobState[],
    start: number,
    end: number,
  ): Promise<({ readonly data?: unknown } | undefined)[]>;
  close(): Promise<void>;
  disconnect(): Promise<void>;
}

export async function openQueue(
  queue: AnyQueue,
  onError: (error: Error) => void,
  way: string,
): Promise<JobQueue> {
  queue.on('error', onError);
  await ready(queue, way);
  return {
    add: async (jobs) => {
      await queue.addBulk(jobs.map(({ name, data, id }: QueuedJob) => ({ name, data, opts: { jobId: id } })));
    },
    lastDone: (maxJobs) => queue.getRanges(['completed'], 0, maxJobs - 1),
    fates: (ids) => Promise.all(ids.map(async (id) => fateOf(await queue.getJobState(id)))),
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
    pendingWith: async (text) => {
      let found = 0;
      for (let start = 0, page = 1; page > 0; start += PAGE_JOBS) {
        const jobs = await queue.getJobs(PENDING, start, start + PAGE_JOBS - 1);
        page = jobs.length;
        found += jobs.filter((job) => JSON.stringify(job?.data ?? null).includes(text)).length;
      }
      return found;
    },
    close: () => closeWithin(queue),
  };
}

type JobState = 'wait' | 'active' | 'delayed' | 'prioritized' | 'waiting-children' | 'failed';
const PENDING: JobState[] = ['wait', 'active', 'delayed', 'prioritized', 'waiting-children', 'failed'];
const PAGE_JOBS = 100;

function fateOf(state: string): JobFate {
  switch (state) {
    case 'completed':
      return 'done';
    case 'failed':
      return 'failed';
    case 'unknown':
      return 'gone';
    default:
      return 'pending';
  }
}

/** What this file needs of a BullMQ flow producer, whatever its backend. */
interface AnyFlowProducer {
  on(event: 'error', listener: (error: Error) => void): unknown;
  waitUntilReady(): Promise<void>;
  add(flow: FlowJob): Promise<unknown>;
  close(): Promise<void>;
  disconnect(): Promise<void>;
}

export async function openFlows(
  producer: AnyFlowProducer,
  defaults: DefaultJobOptions,
  onError: (error: Error) => void,
  way: string,
): Promise<FlowQueue> {
  producer.on('error', onError);
  await ready(producer, way);
  const node = ({ id, name, data, queue }: QueuedFlow['parent'], over: JobsOptions = {}): FlowJob => ({
    name,
    queueName: queue,
    data,
    opts: { ...defaults, ...over, jobId: id },
  });
  return {
    add: async ({ parent, child }) => {
      await producer.add({
        ...node(parent),
        children: [node(child, { ignoreDependencyOnFailure: true })],
      });
    },
    close: () => closeWithin(producer),
  };
}

interface AnyWorker {
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'stalled', listener: (jobId: string) => void): unknown;
  waitUntilReady(): Promise<void>;
  run(): Promise<void>;
  getBackend(): { isMaxed(): Promise<boolean> };
  close(force?: boolean): Promise<void>;
  disconnect(): Promise<void>;
}

export async function openWorker(
  worker: AnyWorker,
  settings: WorkerSettings,
  way: string,
): Promise<JobWorker> {
  worker.on('error', settings.onError);
  worker.on('stalled', settings.onStalled);
  await ready(worker, way);
  worker.run().catch(settings.onError);
  return { close: () => closeWorker(worker) };
}

/**
 * A worker says goodbye only where somebody hears it: BullMQ waits for ever for the end of a connection that is
 * just being made anew, and its lock timer then keeps the process alive (bullmq 6.7, RedisConnection.disconnect).
 * A forced close leaves what is in hand to come back as stalled.
 */
async function closeWorker(worker: AnyWorker): Promise<void> {
  const answer = await within(PROBE_MAX_MS, worker.getBackend().isMaxed()).catch(() => 'failed' as const);
  if (answer === 'done') await closeWithin(worker);
  else await within(CLOSE_MAX_MS, worker.close(true)).catch(() => undefined);
}

async function ready(opened: AnyQueue | AnyFlowProducer | AnyWorker, way: string): Promise<void> {
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
async function closeWithin(opened: AnyQueue | AnyFlowProducer | AnyWorker): Promise<void> {
  const outcome = await within(CLOSE_MAX_MS, opened.close()).catch(() => 'failed' as const);
  if (outcome !== 'done') await within(1_000, opened.disconnect()).catch(() => undefined);
}
