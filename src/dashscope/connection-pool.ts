import { type Clock, systemClock } from '../clock.ts';
import type { Connection, ConnectionListener, ConnectionOptions } from './connection.ts';
import { DashScopeUsageError, type UsageFault } from './errors.ts';
import { Lease, type LeaseHost } from './pool-lease.ts';
import { PooledSocket } from './pooled-socket.ts';
import { StartQueue, type StartRate } from './start-queue.ts';

export interface ConnectionPoolOptions extends ConnectionOptions {
  /** run-task a second, over all tasks of the pool. Default: 20, one by one. */
  readonly startRate?: StartRate | undefined;
  /** Tasks that may wait for their turn; beyond it `ASR_QUEUE_FULL`. Default: 1,000. */
  readonly waitingMax?: number | undefined;
  /** Longest wait for a turn; beyond it `ASR_QUEUE_FULL`. Default: 30 s. */
  readonly waitMaxMs?: number | undefined;
  /** How long a socket may wait for its next task; the service closes it after 60 s. Default: 50 s. 0: no reuse. */
  readonly idleMaxMs?: number | undefined;
  /** Sockets that may wait; one more is closed. Default: 100. */
  readonly idleMax?: number | undefined;
  /** A reused socket that says nothing to run-task for so long counts as dead. Default: 3 s. */
  readonly reusedAnswerMs?: number | undefined;
  readonly clock?: Clock | undefined;
}

/** A snapshot; the first three are of now, the others since the pool was made. */
export interface ConnectionPoolCounters {
  readonly waiting: number;
  readonly inUse: number;
  readonly idle: number;
  /** Turns to send run-task. */
  readonly started: number;
  /** Turns that had to wait, and the time they waited, in whole and at most. */
  readonly waited: number;
  readonly waitedMs: number;
  readonly waitedMaxMs: number;
  readonly refused: number;
  readonly opened: number;
  readonly reused: number;
  /** Tasks that went to a fresh socket because the reused one was dead. */
  readonly replaced: number;
}

const START_RATE: StartRate = { perSecond: 20 };
const WAITING_MAX = 1_000;
const WAIT_MAX_MS = 30_000;
const RATE_MIN = 0.001;
const RATE_MAX = 1_000_000;
/** The longest that a timer takes. */
const TIMER_MAX_MS = 2_147_483_647;
/** The service closes a socket without a task then. */
const SERVICE_IDLE_MS = 60_000;
const IDLE_MAX_MS = 50_000;
const IDLE_MAX = 100;
const REUSED_ANSWER_MS = 3_000;

/**
 * Connections for many tasks of one account: they start at no more than its rate, and a socket whose task was finished
 * serves another. A socket whose task failed is never used again. Close the pool when no task needs it any more: sockets
 * that wait keep the process alive.
 */
export class ConnectionPool implements AsyncDisposable {
  readonly #options: ConnectionPoolOptions;
  readonly #queue: StartQueue;
  readonly #leases = new Set<Lease>();
  readonly #closing = new Set<Promise<void>>();
  #idle: PooledSocket[] = [];
  #closed: Promise<void> | undefined;
  #counters = { refused: 0, opened: 0, reused: 0, replaced: 0 };

  /** @throws {DashScopeUsageError} for bounds that are no bounds */
  constructor(options: ConnectionPoolOptions) {
    checkBounds(options);
    this.#options = options;
    this.#queue = new StartQueue({
      rate: options.startRate ?? START_RATE,
      waitingMax: options.waitingMax ?? WAITING_MAX,
      waitMaxMs: options.waitMaxMs ?? WAIT_MAX_MS,
      clock: options.clock ?? systemClock,
    });
  }

  get counters(): ConnectionPoolCounters {
    return {
      waiting: this.#queue.waiting,
      inUse: this.#leases.size,
      idle: this.#idle.length,
      ...this.#queue.counters,
      ...this.#counters,
    };
  }

  /** A connection for one task, in its turn. Never throws, and tells its listener nothing before it has returned. */
  readonly connect = (listener: ConnectionListener): Connection => {
    const lease = new Lease(this.#host, listener);
    this.#leases.add(lease);
    lease.begin(this.#closed === undefined);
    return lease;
  };

  /** Ends the tasks that still run with `ASR_ABORTED`, and every socket; bounded in time, may be called twice. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#queue.clear();
    for (const lease of [...this.#leases]) lease.cut();
    for (const socket of this.#idle.splice(0)) void this.#discard(socket);
    await Promise.all(this.#closing);
  }

  /** What a lease needs of its pool. */
  readonly #host: LeaseHost = {
    reusedAnswerMs: () => this.#options.reusedAnswerMs ?? REUSED_ANSWER_MS,
    enter: (entry, place) => {
      const answer = this.#queue.enter(entry, place);
      if (answer === 'full') this.#counters.refused += 1;
      return answer;
    },
    leave: (entry) => {
      this.#queue.leave(entry);
    },
    refused: () => {
      this.#counters.refused += 1;
    },
    takeIdle: () => {
      // The one that was used last has most of its time left.
      const socket = this.#idle.pop();
      if (socket === undefined) return undefined;
      socket.wake();
      this.#counters.reused += 1;
      return socket;
    },
    open: (replaces) => {
      this.#counters.opened += 1;
      if (replaces) this.#counters.replaced += 1;
      return new PooledSocket(this.#options, (socket) => {
        this.#idle = this.#idle.filter((each) => each !== socket);
      });
    },
    discard: (socket) => this.#discard(socket),
    giveBack: (socket) => {
      const { idleMaxMs = IDLE_MAX_MS, idleMax = IDLE_MAX } = this.#options;
      if (this.#closed !== undefined || idleMaxMs <= 0 || this.#idle.length >= idleMax) {
        return this.#discard(socket);
      }
      this.#idle.push(socket);
      socket.rest(idleMaxMs, () => {
        this.#idle = this.#idle.filter((each) => each !== socket);
        void this.#discard(socket);
      });
      return Promise.resolve();
    },
    over: (lease) => {
      this.#leases.delete(lease);
    },
  };

  #discard(socket: PooledSocket): Promise<void> {
    const closing = socket.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
    return closing;
  }
}

function checkBounds({
  startRate = START_RATE,
  waitingMax,
  waitMaxMs,
  idleMax,
  idleMaxMs,
}: ConnectionPoolOptions): void {
  const faults: UsageFault[] = [];
  const check = (parameter: string, value: number | undefined, min: number, max: number): void => {
    // Written so that NaN is a fault.
    if (value === undefined || (value >= min && value <= max)) return;
    faults.push({ parameter, found: String(value), allowed: `a number from ${min} to ${max}` });
  };
  check('startRate.perSecond', startRate.perSecond, RATE_MIN, RATE_MAX);
  check('startRate.burst', startRate.burst, 1, RATE_MAX);
  check('waitingMax', waitingMax, 0, RATE_MAX);
  check('waitMaxMs', waitMaxMs, 0, TIMER_MAX_MS);
  check('idleMax', idleMax, 0, RATE_MAX);
  check('idleMaxMs', idleMaxMs, 0, SERVICE_IDLE_MS);
  if (faults.length > 0) throw new DashScopeUsageError('the connection pool cannot be made', faults);
}
