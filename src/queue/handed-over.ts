import { within } from '../within.ts';
import type { JobFate, JobQueue } from './backend.ts';
import type { QueueName } from './jobs.ts';
import type { Parcel } from './parcel.ts';

/** A stretch of a log that the queue has taken. */
export interface HandedOverParcel {
  readonly fromNo: number;
  readonly endNo: number;
  readonly parcel: Parcel;
  /** Where its job went. */
  readonly queue: QueueName;
}

interface Pending extends HandedOverParcel {
  readonly sinceMs: number;
  /** Jobs that are not known to be done, as `queue id`. */
  readonly open: Map<string, { readonly queue: QueueName; readonly id: string }>;
}

export interface News {
  /** They will not be done, whatever is waited for; forgotten here. */
  readonly failed: readonly HandedOverParcel[];
  /** From this parcel on the queue has lost jobs. */
  readonly vanishedFromNo: number | undefined;
}

const LAST_DONE_MAX = 1_000;
/** A job that is not among those done last may have left the list; after that time it is asked for by its id. */
const ASK_AFTER_MS = 2_000;
const ASK_MAX = 32;
const ASK_WITHIN_MS = 10_000;

/** The books of what the queue has taken and what has not become rows yet, oldest first. */
export class HandedOver {
  readonly #queues: Readonly<Record<QueueName, JobQueue>>;
  readonly #nowMs: () => number;
  #pending: Pending[] = [];
  #facts = 0;

  constructor(options: {
    readonly queues: Readonly<Record<QueueName, JobQueue>>;
    readonly nowMs: () => number;
  }) {
    this.#queues = options.queues;
    this.#nowMs = options.nowMs;
  }

  get parcels(): number {
    return this.#pending.length;
  }

  get facts(): number {
    return this.#facts;
  }

  /** The lowest number that is not done; undefined where all is. */
  get firstNo(): number | undefined {
    return this.#pending[0]?.fromNo;
  }

  add(handed: HandedOverParcel): void {
    const { parcel, queue } = handed;
    const jobs = parcel.ends === undefined ? [] : [parcel.ends.parent];
    if (parcel.job !== undefined) jobs.push({ queue, ...parcel.job });
    // A stretch without anything readable.
    if (jobs.length === 0) return;
    const open = new Map(jobs.map(({ queue: where, id }) => [keyOf(where, id), { queue: where, id }]));
    this.#pending.push({ ...handed, sinceMs: this.#nowMs(), open });
    this.#facts += parcel.facts.length;
  }

  /** Forgets a parcel and all after it. */
  dropFrom(fromNo: number): void {
    this.#keep(({ fromNo: no }) => no < fromNo);
  }

  /** Asks the queue what is done. @throws what the queue throws */
  async look(): Promise<News> {
    await this.#lookAtLastDone();
    return this.#askForOldest();
  }

  async #lookAtLastDone(): Promise<void> {
    const open = this.#pending.flatMap((pending) => [...pending.open.values()]);
    const maxJobs = Math.min(LAST_DONE_MAX, 4 * open.length + 50);
    for (const queue of new Set(open.map((job) => job.queue))) {
      const done = await bounded(this.#queues[queue].lastDone(maxJobs));
      const keys = new Set(done.map((id) => keyOf(queue, id)));
      for (const pending of this.#pending) {
        for (const key of pending.open.keys()) if (keys.has(key)) pending.open.delete(key);
      }
    }
    this.#keep(({ open: left }) => left.size > 0);
  }

  async #askForOldest(): Promise<News> {
    const askBeforeMs = this.#nowMs() - ASK_AFTER_MS;
    const old = this.#pending.filter(({ sinceMs }) => sinceMs <= askBeforeMs).slice(0, ASK_MAX);
    const failed: Pending[] = [];
    let vanishedFromNo: number | undefined;
    for (const pending of old) {
      for (const [key, { queue, id }] of pending.open) {
        const [fate] = await bounded(this.#queues[queue].fates([id]));
        if (fate === 'done') pending.open.delete(key);
        else if (fate === 'gone') vanishedFromNo ??= pending.fromNo;
        else if (fate === 'failed') failed.push(pending);
      }
      if (vanishedFromNo !== undefined) break;
    }
    this.#keep((pending) => pending.open.size > 0 && !failed.includes(pending));
    return { failed, vanishedFromNo };
  }

  #keep(keeps: (pending: Pending) => boolean): void {
    this.#pending = this.#pending.filter(keeps);
    this.#facts = this.#pending.reduce((sum, { parcel }) => sum + parcel.facts.length, 0);
  }
}

const keyOf = (queue: QueueName, id: string): string => `${queue} ${id}`;

async function bounded<T extends readonly string[] | readonly JobFate[]>(asked: Promise<T>): Promise<T> {
  if ((await within(ASK_WITHIN_MS, asked)) === 'done') return asked;
  throw new Error('the queue gave no answer');
}
