import { setTimeout as sleep } from 'node:timers/promises';

import { CallscribeError, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { OutboxLog } from '../outbox/log.ts';
import { within } from '../within.ts';
import type { FlowQueue, JobQueue } from './backend.ts';
import { backoffMs } from './backoff.ts';
import { HandedOver } from './handed-over.ts';
import type { QueueName } from './jobs.ts';
import type { Outage } from './outage.ts';
import { decodeFact, type OutboxFact, packParcel, type Parcel } from './parcel.ts';

/** A job carries no more facts than that. */
export const BATCH_MAX_FACTS = 200;
/**
 * Facts that may be with the queue and not yet in the rows; beyond it they wait in the outbox, so that a database that
 * is away does not fill the queue's memory.
 */
export const HANDED_OVER_MAX_FACTS = 20_000;
export const HANDED_OVER_MAX_PARCELS = 500;
/** An add without an answer in that time counts as failed; the id makes its repetition harmless. */
const ADD_MAX_MS = 10_000;
const RETRY = { minMs: 100, maxMs: 5_000 };

export interface OutboxFeedOptions {
  readonly log: OutboxLog;
  readonly name: QueueName;
  /** Of this opening of the log; job ids begin with it. */
  readonly runId: string;
  readonly queues: Readonly<Record<QueueName, JobQueue>>;
  readonly flows: FlowQueue;
  readonly outage: Outage;
  readonly logger: Logger;
  readonly nowMs: () => number;
  readonly onPublished: (facts: number) => void;
  /** The queue vanished with facts that it had taken; they are handed over again. */
  readonly onVanished: () => void;
  /** Never to become rows by itself: the queue does not take it, or its job failed for good. */
  readonly onRefused: (fact: OutboxFact) => void;
  /** Between the beginnings of two parcels that are not full: few jobs of some facts cost less than many of one. */
  readonly parcelPauseMs?: number;
  /** How often the queue is asked what is done; default 200. */
  readonly pollMs?: number;
  /** Pauses between attempts while the queue is away; default {@link RETRY}. */
  readonly retry?: { readonly minMs: number; readonly maxMs: number };
}

/**
 * Facts on their way from an outbox's log into the queue, in order, and from there to their rows: one parcel at a
 * time, the next when the queue has confirmed; the log keeps each until its job is done, which is after the commit
 * of its rows. Three rules:
 * - a parcel that the queue does not take is tried again, for as long as it takes;
 * - when the queue does not know a job any more (flushed, restored from an older state), everything from that parcel
 *   on is handed over again, in order; rows have keys, so what had arrived changes nothing;
 * - a fact that the queue will never take (SQLSTATE class 22: a value that does not fit) is narrowed down and refused.
 */
export class OutboxFeed {
  readonly #options: OutboxFeedOptions;
  readonly #handedOver: HandedOver;
  readonly #closing = new AbortController();
  #cursor: number;
  #batchMax = BATCH_MAX_FACTS;
  #isWoken = false;
  #running: Promise<void> | undefined;
  #polling: Promise<void> | undefined;
  #changed: (() => void)[] = [];

  constructor(options: OutboxFeedOptions) {
    this.#options = options;
    this.#cursor = options.log.firstNo;
    const { queues, nowMs } = options;
    this.#handedOver = new HandedOver({ queues, nowMs });
    this.wake();
  }

  /** Facts that the queue has not taken yet. */
  get waitingFacts(): number {
    return this.#options.log.nextNo - this.#cursor;
  }

  /** Facts that are not known to be rows yet. */
  get unsettledFacts(): number {
    return this.#options.log.nextNo - this.#options.log.firstNo;
  }

  /** There may be something new to read. */
  wake(): void {
    this.#isWoken = true;
    if (this.#closing.signal.aborted) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      this.#tellChanged();
      // Something may have come between the last look and now.
      if (this.#isWoken) this.wake();
    });
  }

  /** Resolves when the queue has taken everything, or the feed has stopped. */
  drained(): Promise<void> {
    return this.#until(() => this.waitingFacts === 0);
  }

  /** Resolves when everything is in its rows, or the feed has stopped. */
  settled(): Promise<void> {
    return this.#until(() => this.unsettledFacts === 0);
  }

  /** Stops after the parcel that is under way; what waits stays in the log. */
  async stop(): Promise<void> {
    this.#closing.abort();
    this.#tellChanged();
    await this.#running;
    await this.#polling;
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition() && !this.#closing.signal.aborted) {
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
  }

  #tellChanged(): void {
    for (const tell of this.#changed.splice(0)) tell();
  }

  async #run(): Promise<void> {
    let attempt = 0;
    this.#isWoken = false;
    while (!this.#closing.signal.aborted && !this.#isTooMuchHandedOver()) {
      const fromNo = this.#cursor;
      const failure = await this.#step(fromNo).catch(toError);
      if (failure === 'nothing') return;
      if (failure === 'handed-over') {
        attempt = 0;
        await this.#gather();
        continue;
      }
      attempt += 1;
      this.#options.outage.failed(failure);
      await this.#pause(backoffMs(attempt, Math.random(), this.#options.retry ?? RETRY));
    }
  }

  /** Waits for more, unless a parcel full of facts waits already. */
  async #gather(): Promise<void> {
    const { parcelPauseMs = 0 } = this.#options;
    if (parcelPauseMs > 0 && this.waitingFacts < this.#batchMax) await this.#pause(parcelPauseMs);
  }

  #isTooMuchHandedOver(): boolean {
    return (
      this.#handedOver.facts >= HANDED_OVER_MAX_FACTS || this.#handedOver.parcels >= HANDED_OVER_MAX_PARCELS
    );
  }

  async #step(fromNo: number): Promise<'nothing' | 'handed-over' | Error> {
    const { log, name, runId } = this.#options;
    const { entries, nextNo } = await log.read(fromNo, this.#batchMax);
    if (nextNo === fromNo) return 'nothing';
    const facts = entries.map(({ text }) => decodeFact(text)).filter((fact) => fact !== undefined);
    const parcel = packParcel(name, { runId, fromNo, endNo: nextNo }, facts);
    const failure = await this.#add(parcel);
    // Meanwhile the queue may have vanished, and all goes back to an earlier number.
    if (this.#cursor !== fromNo) return 'handed-over';
    if (failure !== undefined && isRejection(failure)) {
      if (facts.length > 1) {
        this.#batchMax = Math.ceil(entries.length / 2);
        return 'handed-over';
      }
      this.#refuse(parcel, failure);
      this.#passed(nextNo);
      return 'handed-over';
    }
    if (failure !== undefined) return failure;
    this.#options.outage.worked();
    this.#batchMax = BATCH_MAX_FACTS;
    this.#handedOver.add({ fromNo, endNo: nextNo, parcel, queue: name });
    this.#options.onPublished(facts.length);
    this.#passed(nextNo);
    return 'handed-over';
  }

  #passed(nextNo: number): void {
    this.#cursor = nextNo;
    this.#options.log.passed(nextNo);
    this.#tellChanged();
    this.#settle();
    this.#poll();
  }

  async #add({ job, ends }: Parcel): Promise<Error | undefined> {
    const add = async (): Promise<void> => {
      if (job !== undefined) await this.#options.queues[this.#options.name].add([job]);
      if (ends !== undefined) await this.#options.flows.add(ends);
    };
    try {
      const outcome = await within(ADD_MAX_MS, add());
      if (outcome === 'done') return undefined;
      return new CallscribeError('QUEUE_UNREACHABLE', `the queue gave no answer in ${ADD_MAX_MS / 1000} s`, {
        retryable: true,
      });
    } catch (thrown) {
      return toError(thrown);
    }
  }

  #refuse({ facts }: Pick<Parcel, 'facts'>, err: Error): void {
    for (const fact of facts) {
      this.#options.logger.error(
        { err, jobId: fact.id, job: fact.name },
        'the queue will never take this fact',
      );
      this.#options.onRefused(fact);
    }
  }

  /** Everything below the oldest parcel that is not done is acknowledged. */
  #settle(): void {
    this.#options.log.acknowledge(this.#handedOver.firstNo ?? this.#cursor);
    this.#tellChanged();
  }

  #poll(): void {
    if (this.#closing.signal.aborted || this.#handedOver.parcels === 0) return;
    this.#polling ??= this.#pollOnce().finally(() => {
      this.#polling = undefined;
      this.#poll();
    });
  }

  async #pollOnce(): Promise<void> {
    await this.#pause(this.#options.pollMs ?? 200);
    try {
      const news = await this.#handedOver.look();
      for (const { parcel } of news.failed) {
        this.#refuse(parcel, new CallscribeError('JOB_MALFORMED', 'its job failed for good'));
      }
      if (news.vanishedFromNo !== undefined) this.#goBack(news.vanishedFromNo);
      this.#settle();
      // There may be room again.
      this.wake();
    } catch (thrown) {
      this.#options.outage.failed(toError(thrown));
    }
  }

  #goBack(fromNo: number): void {
    this.#cursor = fromNo;
    this.#handedOver.dropFrom(fromNo);
    this.#options.logger.warn(
      { queue: this.#options.name },
      'the queue lost jobs; they are handed over again',
    );
    this.#options.onVanished();
  }

  async #pause(pauseMs: number): Promise<void> {
    await sleep(pauseMs, undefined, { signal: this.#closing.signal }).catch(() => undefined);
  }
}

const isRejection = (error: Error): boolean =>
  'code' in error && typeof error.code === 'string' && /^22[0-9A-Z]{3}$/.test(error.code);
