import type { Publisher } from '../call/publisher.ts';
import type { CallEvent, CallRecord } from '../call/record.ts';
import type { Clock } from '../clock.ts';
import { CallscribeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { FinalSentence } from '../transcript/sentence.ts';
import { within } from '../within.ts';
import type { JobQueue, QueueBackend } from './backend.ts';
import { JobFeed } from './feed.ts';
import type { EncodedJob, Job, QueueName } from './jobs.ts';
import { encodeJob, QUEUE_NAMES } from './jobs.ts';
import { Outage } from './outage.ts';

export const BACKLOG_MAX_JOBS = 100_000;

export interface QueuePublisherOptions {
  readonly backend: QueueBackend;
  readonly logger: Logger;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /**
   * Jobs that may wait in memory while the queue is away, default {@link BACKLOG_MAX_JOBS} (some 200 MB, an hour
   * of 100 busy legs). From half of it on the state is `backlogged`, and no new calls should be taken; at the
   * bound the newest job is refused, counted and logged as an error, since those before it make it readable.
   */
  readonly backlogMaxJobs?: number;
  readonly onOutcome?: (queue: QueueName, outcome: 'published' | 'refused', jobs: number) => void;
}

/** What became of the jobs that were handed in; accepted = published + waiting + refused later. */
export interface PublisherCounts {
  readonly accepted: number;
  readonly published: number;
  readonly waiting: number;
  readonly refused: number;
  readonly outages: number;
}

/**
 * The durable way out of a call: takes each fact at once and hands it to the queue in order. While the queue is
 * away facts wait in memory, in order, up to the bound.
 */
export class QueuePublisher implements Publisher, AsyncDisposable {
  readonly #options: QueuePublisherOptions;
  readonly #queues: readonly JobQueue[];
  readonly #outage: Outage;
  readonly #feeds: Readonly<Record<QueueName, JobFeed>>;
  readonly #backlogMaxJobs: number;
  #accepted = 0;
  #published = 0;
  #refused = 0;
  #isFull = false;
  #closing: Promise<void> | undefined;

  private constructor(options: QueuePublisherOptions, queues: Record<QueueName, JobQueue>, outage: Outage) {
    this.#options = options;
    this.#queues = Object.values(queues);
    this.#outage = outage;
    this.#backlogMaxJobs = options.backlogMaxJobs ?? BACKLOG_MAX_JOBS;
    const feed = (name: QueueName): JobFeed =>
      new JobFeed({
        queue: queues[name],
        outage,
        logger: options.logger,
        onPublished: (jobs) => {
          this.#published += jobs;
          options.onOutcome?.(name, 'published', jobs);
        },
        onRefused: () => {
          this.#refuse(name);
        },
      });
    this.#feeds = { sentences: feed('sentences'), calls: feed('calls') };
  }

  /** @throws {CallscribeError} QUEUE_UNREACHABLE */
  static async open(options: QueuePublisherOptions): Promise<QueuePublisher> {
    const { backend, logger, clock } = options;
    const outage = new Outage(logger, { service: backend.kind, queue: 'all' }, () => clock.monotonicMs());
    const opened: JobQueue[] = [];
    const open = async (name: QueueName): Promise<JobQueue> => {
      // What BullMQ tells of its connection besides what our own adds tell.
      const queue = await backend.openQueue(name, (err) => {
        logger.debug({ err, queue: name }, 'queue connection in trouble');
      });
      opened.push(queue);
      return queue;
    };
    try {
      // One after the other: on Postgres the first one makes the tables.
      return new QueuePublisher(
        options,
        { sentences: await open('sentences'), calls: await open('calls') },
        outage,
      );
    } catch (error) {
      await Promise.all(opened.map((queue) => queue.close()));
      throw error;
    }
  }

  publishSentence(sentence: FinalSentence): void {
    this.#publish({ name: 'sentence', payload: sentence });
  }

  publishCall(call: CallRecord): void {
    this.#publish({ name: 'call', payload: call });
  }

  publishEvent(event: CallEvent): void {
    this.#publish({ name: 'call-event', payload: event });
  }

  get counts(): PublisherCounts {
    return {
      accepted: this.#accepted,
      published: this.#published,
      waiting: this.#waitingJobs,
      refused: this.#refused,
      outages: this.#outage.count,
    };
  }

  /** `backlogged`: half of the bound is used up; take no new calls. */
  get state(): 'ready' | 'backlogged' {
    return this.#waitingJobs * 2 >= this.#backlogMaxJobs ? 'backlogged' : 'ready';
  }

  /**
   * Waits until the queue has confirmed all that was handed in so far, but no longer than given.
   *
   * @returns how many jobs still wait
   */
  async flush({ timeoutMs }: { readonly timeoutMs: number }): Promise<number> {
    await within(timeoutMs, Promise.all(QUEUE_NAMES.map((name) => this.#feeds[name].drained())));
    return this.#waitingJobs;
  }

  /** Flushes for up to `timeoutMs`, then closes; jobs that still wait are lost, and said to be. */
  close({ timeoutMs = 5_000 }: { readonly timeoutMs?: number } = {}): Promise<void> {
    return (this.#closing ??= this.#close(timeoutMs));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #waitingJobs(): number {
    return this.#feeds.sentences.waitingJobs + this.#feeds.calls.waitingJobs;
  }

  #publish(job: Job): void {
    const encoded = encodeJob(job);
    if (this.#closing !== undefined || this.#waitingJobs >= this.#backlogMaxJobs) {
      this.#reject(encoded);
      return;
    }
    this.#isFull = false;
    this.#accepted += 1;
    this.#feeds[encoded.queue].push(encoded);
  }

  #reject(job: EncodedJob): void {
    this.#refuse(job.queue);
    // Once until there is room again; the counter has them all.
    if (this.#isFull) return;
    this.#isFull = true;
    const err = new CallscribeError(
      'QUEUE_BACKLOG_FULL',
      `${this.#waitingJobs} jobs wait for the queue, ${this.#backlogMaxJobs} may; newer ones are refused`,
    );
    this.#options.logger.error({ err, jobId: job.id }, 'a job was refused');
  }

  #refuse(queue: QueueName): void {
    this.#refused += 1;
    this.#options.onOutcome?.(queue, 'refused', 1);
  }

  async #close(timeoutMs: number): Promise<void> {
    const lost = await this.flush({ timeoutMs });
    if (lost > 0) this.#options.logger.error({ lost }, 'jobs that the queue did not take are lost');
    // A batch under way may wait for a dead server; closing its connection ends it.
    const stopped = Promise.all(QUEUE_NAMES.map((name) => this.#feeds[name].stop()));
    await Promise.all(this.#queues.map((queue) => queue.close()));
    await within(timeoutMs, stopped);
  }
}
