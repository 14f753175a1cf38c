import type { QueueName } from './jobs.ts';
import type { JsonValue } from './json.ts';

/**
 * Queues whose jobs only say that rows wait: they carry no fact, are gone as soon as they are done, and whoever made
 * them makes them again.
 */
export type WakeUpQueue = 'webhooks';

/** How many jobs of a queue are in which state. */
export type JobCounts = Readonly<Record<'waiting' | 'active' | 'delayed' | 'failed' | 'completed', number>>;

/** A job as the queue takes it. */
export interface QueuedJob {
  readonly id: string;
  readonly name: string;
  readonly data: JsonValue;
}

/** A parent that is handled when its child is done, or has failed for good. */
export interface QueuedFlow {
  readonly parent: QueuedJob & { readonly queue: QueueName };
  readonly child: QueuedJob & { readonly queue: QueueName };
}

/** `gone`: the queue does not know it (any more). */
export type JobFate = 'done' | 'pending' | 'failed' | 'gone';

/** The writing end of one queue. */
export interface JobQueue {
  /** Adds them in order; a job whose id is there already changes nothing. Rejects when any was not taken. */
  add(jobs: readonly QueuedJob[]): Promise<void>;
  /** Ids of the jobs that were done last, newest first. */
  lastDone(maxJobs: number): Promise<readonly string[]>;
  fates(ids: readonly string[]): Promise<readonly JobFate[]>;
  counts(): Promise<JobCounts>;
  /** How many jobs that are not done hold this text; reads them all, page by page. */
  pendingWith(text: string): Promise<number>;
  close(): Promise<void>;
}

/** The writing end for jobs that depend on each other, over all queues. */
export interface FlowQueue {
  /** Adds it as a whole; one that is there already changes nothing. Rejects when it was not taken. */
  add(flow: QueuedFlow): Promise<void>;
  close(): Promise<void>;
}

/** A job as a worker took it; nothing in it is to be trusted yet. */
export interface TakenJob {
  readonly id: string;
  readonly name: string;
  readonly data: unknown;
  /** 1, 2, 3 … */
  readonly attempt: number;
  /** Takes the data off the job: what is done is kept by its id alone, since its data is speech of people. */
  forgetData(): Promise<void>;
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
  readonly retryDelayMs: (attempt: number, error?: Error) => number;
  /** The queue itself is in trouble (not a job). */
  readonly onError: (error: Error) => void;
  readonly onStalled: (jobId: string) => void;
}

/** Where jobs are kept between the processes: BullMQ on Redis or on Postgres. Only this file knows which. */
export interface QueueBackend {
  readonly kind: 'redis' | 'postgres';
  /** @throws {CallscribeError} QUEUE_UNREACHABLE, with the way out */
  openQueue(name: QueueName | WakeUpQueue, onError: (error: Error) => void): Promise<JobQueue>;
  /** @throws {CallscribeError} QUEUE_UNREACHABLE, with the way out */
  openFlows(onError: (error: Error) => void): Promise<FlowQueue>;
  /** @throws {CallscribeError} QUEUE_UNREACHABLE, with the way out */
  openWorker(name: QueueName | WakeUpQueue, settings: WorkerSettings): Promise<JobWorker>;
}

/** How long an opening may take. */
export const OPEN_MAX_MS = 5_000;
/** How long a goodbye may take. */
export const CLOSE_MAX_MS = 5_000;
