import { randomUUID } from 'node:crypto';
import { join } from 'node:path';

import type { Publisher } from '../call/publisher.ts';
import type { CallEvent, CallRecord } from '../call/record.ts';
import type { Clock } from '../clock.ts';
import { CallscribeError, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { Outbox, type OutboxOptions } from '../outbox/outbox.ts';
import type { FinalSentence } from '../transcript/sentence.ts';
import { within } from '../within.ts';
import type { FlowQueue, JobQueue, QueueBackend } from './backend.ts';
import { OutboxFeed } from './feed.ts';
import type { QueueName } from './jobs.ts';
import { encodeJob, isLastSnapshot, QUEUE_NAMES } from './jobs.ts';
import { Outage } from './outage.ts';
import { callEnd, encodeFact, type OutboxFact } from './parcel.ts';
import { setAside } from './set-aside.ts';

/** Two hours and more of 1,500 busy legs. */
export const OUTBOX_MAX_BYTES = 2 * 1024 ** 3;
/** Shares of the bound: where the alarm begins, and where no new calls are taken. */
export const ALARM_SHARE = 0.25;
export const BACKLOGGED_SHARE = 0.9;
/** A job costs some statements more on Postgres. */
const PARCEL_PAUSE_MS = { redis: 10, postgres: 25 };
const ADOPT_EVERY_MS = 30_000;

export interface QueuePublisherOptions {
  readonly backend: QueueBackend;
  readonly logger: Logger;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** The outbox stands in `outbox` below it. */
  readonly dataDir: string;
  /**
   * Bytes that the outbox may have while queue or database are away, default {@link OUTBOX_MAX_BYTES}. From a quarter
   * of it on there is an alarm; from nine tenths on the state is `backlogged`, and no new calls should be taken; at
   * the bound the newest fact is refused, counted and logged as an error, since those before it make it readable.
   */
  readonly outboxMaxBytes?: number;
  readonly onOutcome?: (queue: QueueName, outcome: PublishOutcome, facts: number) => void;
}

/**
 * `published`: the queue took it. `refused`: not taken, or never to become a row by itself; `handed_over_again`: the
 * queue lost it after it had taken it.
 */
export type PublishOutcome = 'published' | 'refused' | 'handed_over_again';

/** What became of the facts that were handed in. */
export interface PublisherCounts {
  readonly accepted: number;
  readonly published: number;
  /** Not taken by the queue yet. */
  readonly waiting: number;
  /** Not known to be rows yet: waiting, or with the queue. */
  readonly unsettled: number;
  readonly refused: number;
  readonly outages: number;
}

interface Line {
  readonly outbox: Outbox<QueueName>;
  readonly feeds: Readonly<Record<QueueName, OutboxFeed>>;
}

/**
 * The durable way out of a call: takes each fact at once into an outbox on disk, hands it to the queue in order, and
 * keeps it until its rows are there. Whatever another process left there when it died is handed over as well.
 */
export class QueuePublisher implements Publisher, AsyncDisposable {
  readonly #options: QueuePublisherOptions;
  readonly #queues: Readonly<Record<QueueName, JobQueue>>;
  readonly #flows: FlowQueue;
  readonly #outage: Outage;
  readonly #maxBytes: number;
  readonly #line: Line;
  readonly #adopted = new Map<string, Line>();
  #adopting: Promise<void> = Promise.resolve();
  readonly #adoptTimer: NodeJS.Timeout;
  #accepted = 0;
  #published = 0;
  #refused = 0;
  #fullness: 'normal' | 'alarm' | 'full' = 'normal';
  #closing: Promise<void> | undefined;

  private constructor(
    options: QueuePublisherOptions,
    queues: Record<QueueName, JobQueue>,
    flows: FlowQueue,
    outage: Outage,
    outbox: Outbox<QueueName>,
    wakers: Map<QueueName, () => void>,
  ) {
    this.#options = options;
    this.#queues = queues;
    this.#flows = flows;
    this.#outage = outage;
    this.#maxBytes = options.outboxMaxBytes ?? OUTBOX_MAX_BYTES;
    this.#line = this.#openLine(outbox);
    for (const name of QUEUE_NAMES) {
      wakers.set(name, () => {
        this.#line.feeds[name].wake();
      });
    }
    this.#adoptTimer = setInterval(() => void this.#adopt(), ADOPT_EVERY_MS);
    this.#adoptTimer.unref();
    void this.#adopt();
  }

  /** @throws {CallscribeError} QUEUE_UNREACHABLE, STORAGE_UNUSABLE */
  static async open(options: QueuePublisherOptions): Promise<QueuePublisher> {
    const { backend, logger, clock } = options;
    const outage = new Outage(logger, { service: backend.kind, queue: 'all' }, () => clock.monotonicMs());
    const opened: { close(): Promise<void> }[] = [];
    // What BullMQ tells of its connection besides what our own adds tell.
    const onError = (err: Error): void => {
      logger.debug({ err }, 'queue connection in trouble');
    };
    const open = async <T extends { close(): Promise<void> }>(opening: Promise<T>): Promise<T> => {
      const thing = await opening;
      opened.push(thing);
      return thing;
    };
    try {
      // One after the other: on Postgres the first one makes the tables.
      const queues = {
        sentences: await open(backend.openQueue('sentences', onError)),
        calls: await open(backend.openQueue('calls', onError)),
      };
      const flows = await open(backend.openFlows(onError));
      const wakers = new Map<QueueName, () => void>();
      const outbox = await open(
        Outbox.create({ ...outboxOptions(options), onReadable: (name) => wakers.get(name)?.() }),
      );
      return new QueuePublisher(options, queues, flows, outage, outbox, wakers);
    } catch (error) {
      await Promise.all(opened.map((thing) => thing.close()));
      throw error;
    }
  }

  publishSentence(sentence: FinalSentence): void {
    this.#publish('sentences', encodeJob({ name: 'sentence', payload: sentence }));
  }

  publishCall(call: CallRecord): void {
    this.#publish('calls', encodeJob({ name: 'call', payload: call }));
    // Behind the last sentence, in the same log.
    if (isLastSnapshot(call)) this.#publish('sentences', callEnd(call));
  }

  publishEvent(event: CallEvent): void {
    this.#publish('calls', encodeJob({ name: 'call-event', payload: event }));
  }

  written(): Promise<'written' | 'memory'> {
    return this.#line.outbox.written();
  }

  get counts(): PublisherCounts {
    return {
      accepted: this.#accepted,
      published: this.#published,
      waiting: this.#sum(({ waitingFacts }) => waitingFacts),
      unsettled: this.#sum(({ unsettledFacts }) => unsettledFacts),
      refused: this.#refused,
      outages: this.#outage.count,
    };
  }

  /** Of the outbox, with what was adopted. */
  get storage(): {
    readonly bytes: number;
    readonly maxBytes: number;
    readonly alarm: boolean;
    readonly disk: 'fine' | 'refuses';
    readonly damaged: number;
  } {
    const { outbox } = this.#line;
    const bytes = this.#bytes;
    return {
      bytes,
      maxBytes: this.#maxBytes,
      alarm: bytes >= this.#maxBytes * ALARM_SHARE,
      disk: outbox.disk,
      damaged: this.#lines.reduce((sum, line) => sum + line.outbox.damaged, 0),
    };
  }

  /** `backlogged`: nearly all of the bound is used up; take no new calls. */
  get state(): 'ready' | 'backlogged' {
    return this.#bytes >= this.#maxBytes * BACKLOGGED_SHARE ? 'backlogged' : 'ready';
  }

  /**
   * Waits until the queue has taken all that was handed in so far, but no longer than given.
   *
   * @returns how many facts still wait
   */
  async flush({ timeoutMs }: { readonly timeoutMs: number }): Promise<number> {
    await within(timeoutMs, Promise.all(this.#feeds.map((feed) => feed.drained())));
    return this.counts.waiting;
  }

  /**
   * Waits until all that was handed in so far is in its rows, but no longer than given.
   *
   * @returns how many facts are not known to be there
   */
  async settle({ timeoutMs }: { readonly timeoutMs: number }): Promise<number> {
    await this.#adopting;
    await within(timeoutMs, Promise.all(this.#feeds.map((feed) => feed.settled())));
    return this.counts.unsettled;
  }

  /**
   * Lets the queue take what it takes within `timeoutMs`, then closes; what is not known to be rows stays in the
   * outbox for the next process.
   */
  close({ timeoutMs = 5_000 }: { readonly timeoutMs?: number } = {}): Promise<void> {
    return (this.#closing ??= this.#close(timeoutMs));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #lines(): readonly Line[] {
    return [this.#line, ...this.#adopted.values()];
  }

  get #feeds(): readonly OutboxFeed[] {
    return this.#lines.flatMap(({ feeds }) => Object.values(feeds));
  }

  get #bytes(): number {
    return this.#lines.reduce((sum, { outbox }) => sum + outbox.bytes, 0);
  }

  #sum(read: (feed: OutboxFeed) => number): number {
    return this.#feeds.reduce((sum, feed) => sum + read(feed), 0);
  }

  #openLine(outbox: Outbox<QueueName>): Line {
    const { logger, clock, onOutcome, dataDir } = this.#options;
    const runId = randomUUID();
    const feed = (name: QueueName): OutboxFeed =>
      new OutboxFeed({
        log: outbox.logs[name],
        name,
        runId,
        queues: this.#queues,
        flows: this.#flows,
        outage: this.#outage,
        logger,
        nowMs: () => clock.monotonicMs(),
        parcelPauseMs: PARCEL_PAUSE_MS[this.#options.backend.kind],
        onPublished: (facts) => {
          this.#published += facts;
          onOutcome?.(name, 'published', facts);
        },
        onVanished: () => onOutcome?.(name, 'handed_over_again', 1),
        onRefused: (fact) => {
          this.#refuse(name);
          void setAside(join(dataDir, 'outbox'), fact, logger);
        },
      });
    return { outbox, feeds: { sentences: feed('sentences'), calls: feed('calls') } };
  }

  #publish(queue: QueueName, fact: OutboxFact): void {
    const log = this.#line.outbox.logs[queue];
    this.#watchFullness();
    if (this.#closing !== undefined || this.#fullness === 'full' || log.append(encodeFact(fact)) === 'full') {
      this.#reject(queue, fact);
      return;
    }
    this.#accepted += 1;
  }

  #watchFullness(): void {
    const { bytes, alarm } = this.storage;
    const now = bytes >= this.#maxBytes ? 'full' : alarm ? 'alarm' : 'normal';
    const before = this.#fullness;
    this.#fullness = now;
    if (now === 'alarm' && before === 'normal') {
      this.#options.logger.error(
        { bytes, maxBytes: this.#maxBytes, waiting: this.counts.waiting },
        'the outbox fills: the queue or the database does not take what calls give',
      );
    } else if (now === 'normal' && before !== 'normal') {
      this.#options.logger.info({ bytes }, 'the outbox has room again');
    }
  }

  #reject(queue: QueueName, fact: OutboxFact): void {
    this.#refuse(queue);
    const err = new CallscribeError(
      'OUTBOX_FULL',
      `${this.#bytes} bytes wait in the outbox, ${this.#maxBytes} may (and 64 MiB in memory while the disk refuses); ` +
        'newer facts are refused',
    );
    // Once until there is room again would hide how many; the first of each thousand is enough.
    if (this.#refused % 1_000 === 1) {
      this.#options.logger.error({ err, jobId: fact.id }, 'a fact was refused');
    }
  }

  #refuse(queue: QueueName): void {
    this.#refused += 1;
    this.#options.onOutcome?.(queue, 'refused', 1);
  }

  #adopt(): Promise<void> {
    this.#adopting = this.#adopting
      .then(() => this.#adoptAll())
      .catch((thrown: unknown) => {
        this.#options.logger.error({ err: toError(thrown) }, 'what other processes left cannot be looked at');
      });
    return this.#adopting;
  }

  async #adoptAll(): Promise<void> {
    if (this.#closing !== undefined) return;
    const known = new Set([this.#line.outbox.directory, ...this.#adopted.keys()]);
    for (const outbox of await Outbox.adopt(outboxOptions(this.#options), known)) {
      this.#options.logger.warn(
        { facts: outbox.entries, bytes: outbox.bytes },
        'a process left facts in its outbox when it ended; they are handed over now',
      );
      const line = this.#openLine(outbox);
      this.#adopted.set(outbox.directory, line);
      void this.#closeWhenSettled(line);
    }
  }

  async #closeWhenSettled({ outbox, feeds }: Line): Promise<void> {
    await Promise.all(Object.values(feeds).map((feed) => feed.settled()));
    await Promise.all(Object.values(feeds).map((feed) => feed.stop()));
    await outbox.close();
    this.#adopted.delete(outbox.directory);
  }

  async #close(timeoutMs: number): Promise<void> {
    clearInterval(this.#adoptTimer);
    await this.#adopting;
    await this.flush({ timeoutMs });
    await this.settle({ timeoutMs: Math.min(timeoutMs, 1_000) });
    const { waiting, unsettled } = this.counts;
    if (unsettled > 0) {
      this.#options.logger.warn({ waiting, unsettled }, 'facts stay in the outbox for the next start');
    }
    // A parcel under way may wait for a dead server; closing its connection ends it.
    const stopped = Promise.all(this.#feeds.map((feed) => feed.stop()));
    await Promise.all([...Object.values(this.#queues), this.#flows].map((queue) => queue.close()));
    await within(timeoutMs, stopped);
    await Promise.all(this.#lines.map(({ outbox }) => outbox.close()));
  }
}

const outboxOptions = (options: QueuePublisherOptions): OutboxOptions<QueueName> => ({
  root: join(options.dataDir, 'outbox'),
  names: QUEUE_NAMES,
  maxBytes: options.outboxMaxBytes ?? OUTBOX_MAX_BYTES,
  logger: options.logger,
});
