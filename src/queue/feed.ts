import { setTimeout as sleep } from 'node:timers/promises';

import { CallscribeError, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { within } from '../within.ts';
import type { JobQueue } from './backend.ts';
import { backoffMs } from './backoff.ts';
import type { EncodedJob } from './jobs.ts';
import type { Outage } from './outage.ts';

const BATCH_MAX_JOBS = 200;
/** An add without an answer in that time counts as failed; the id makes its repetition harmless. */
const ADD_MAX_MS = 10_000;
const RETRY = { minMs: 100, maxMs: 5_000 };

export interface JobFeedOptions {
  readonly queue: JobQueue;
  readonly outage: Outage;
  readonly logger: Logger;
  readonly onPublished: (jobs: number) => void;
  readonly onRefused: (job: EncodedJob) => void;
}

/**
 * Jobs on their way into one queue, in order: one batch at a time, the next when the queue has confirmed. A batch
 * that fails stays at the front and is tried again, for as long as it takes. One that the queue will never take
 * (SQLSTATE class 22: a value that does not fit) is narrowed down to the job at fault, which is refused.
 */
export class JobFeed {
  readonly #options: JobFeedOptions;
  readonly #closing = new AbortController();
  #jobs: EncodedJob[] = [];
  #first = 0;
  #batchMax = BATCH_MAX_JOBS;
  #running: Promise<void> | undefined;

  constructor(options: JobFeedOptions) {
    this.#options = options;
  }

  get waitingJobs(): number {
    return this.#jobs.length - this.#first;
  }

  push(job: EncodedJob): void {
    this.#jobs.push(job);
    this.#wake();
  }

  /** Resolves when nothing waits any more, or the feed has stopped. */
  async drained(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Stops after the batch that is under way; what waits stays waiting. */
  async stop(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  #wake(): void {
    this.#running ??= this.#run().then(() => {
      this.#running = undefined;
      // A job may have come between the loop's last look and now.
      if (this.waitingJobs > 0 && !this.#closing.signal.aborted) this.#wake();
    });
  }

  async #run(): Promise<void> {
    let attempt = 0;
    while (this.waitingJobs > 0 && !this.#closing.signal.aborted) {
      const batch = this.#jobs.slice(this.#first, this.#first + this.#batchMax);
      const failure = await this.#add(batch);
      if (failure === undefined) {
        attempt = 0;
        this.#batchMax = BATCH_MAX_JOBS;
        this.#drop(batch.length);
        this.#options.outage.worked();
        this.#options.onPublished(batch.length);
        continue;
      }
      if (isRejection(failure)) {
        this.#narrow(batch, failure);
        continue;
      }
      attempt += 1;
      this.#options.outage.failed(failure);
      await sleep(backoffMs(attempt, Math.random(), RETRY), undefined, {
        signal: this.#closing.signal,
      }).catch(() => undefined);
    }
  }

  async #add(batch: readonly EncodedJob[]): Promise<Error | undefined> {
    try {
      const outcome = await within(ADD_MAX_MS, this.#options.queue.add(batch));
      if (outcome === 'done') return undefined;
      return new CallscribeError('QUEUE_UNREACHABLE', `the queue gave no answer in ${ADD_MAX_MS / 1000} s`, {
        retryable: true,
      });
    } catch (thrown) {
      return toError(thrown);
    }
  }

  #narrow(batch: readonly EncodedJob[], failure: Error): void {
    const [job] = batch;
    if (batch.length > 1 || job === undefined) {
      this.#batchMax = Math.ceil(batch.length / 2);
      return;
    }
    this.#drop(1);
    this.#options.logger.error(
      { err: failure, jobId: job.id, job: job.name },
      'the queue will never take this job; it is dropped',
    );
    this.#options.onRefused(job);
  }

  #drop(count: number): void {
    this.#first += count;
    if (this.#first === this.#jobs.length) {
      this.#jobs = [];
      this.#first = 0;
    } else if (this.#first > 1024 && this.#first * 2 > this.#jobs.length) {
      this.#jobs = this.#jobs.slice(this.#first);
      this.#first = 0;
    }
  }
}

const isRejection = (error: Error): boolean =>
  'code' in error && typeof error.code === 'string' && /^22[0-9A-Z]{3}$/.test(error.code);
