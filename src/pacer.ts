import type { Clock } from './clock.ts';

/** Something that happens at even intervals. */
export interface PacedStream {
  readonly intervalMs: number;
  /** How often; `Infinity`: until it is aborted. */
  readonly ticks: number;
  /** How many of the ticks that a stall made late follow at once; those before are left out. Default: none is. */
  readonly catchUpTicks?: number;
  /** Tick 0, 1, 2 …, each at most once and in order. Must not throw. */
  tick(tickNo: number): void;
}

/** So much early is nearer than a timer's next chance. */
const EARLY_MS = 0.5;

interface Running {
  readonly stream: PacedStream;
  readonly startMs: number;
  nextTick: number;
  readonly done: () => void;
}

/**
 * Runs every stream of the process from one timer. Tick n is due at start + n × interval on the monotonic clock,
 * so that lateness never adds up; after a stall the missed ticks follow at once, as far as the stream wants them.
 */
export class Pacer implements Disposable {
  readonly #clock: Clock;
  readonly #running = new Set<Running>();
  #timer: NodeJS.Timeout | undefined;
  #worstLateMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The latest that any tick came after it was due. */
  get worstLateMs(): number {
    return this.#worstLateMs;
  }

  /**
   * Begins a stream.
   *
   * @param startMs when tick 0 is due, so that the legs of one call begin together
   * @returns when the interval after the last tick is over, or the signal was aborted; never rejects
   */
  run(stream: PacedStream, startMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const onAbort = (): void => {
        finish();
      };
      const finish = (): void => {
        this.#running.delete(running);
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const running: Running = { stream, startMs, nextTick: 0, done: finish };
      if (signal.aborted) {
        resolve();
        return;
      }
      signal.addEventListener('abort', onAbort);
      this.#running.add(running);
      this.#arm();
    });
  }

  #arm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#running.size === 0) return;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { startMs, nextTick, stream } of this.#running) {
      nextMs = Math.min(nextMs, startMs + nextTick * stream.intervalMs);
    }
    this.#timer = setTimeout(
      () => {
        this.#tick();
        this.#arm();
      },
      Math.max(1, nextMs - this.#clock.monotonicMs()),
    );
  }

  #tick(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const running of this.#running) {
      const { stream, startMs } = running;
      skipMissed(running, nowMs);
      for (;;) {
        const dueMs = startMs + running.nextTick * stream.intervalMs;
        if (dueMs > nowMs + EARLY_MS) break;
        if (running.nextTick === stream.ticks) {
          running.done();
          break;
        }
        this.#worstLateMs = Math.max(this.#worstLateMs, nowMs - dueMs);
        stream.tick(running.nextTick);
        running.nextTick += 1;
      }
    }
  }

  /** Stops every stream. */
  [Symbol.dispose](): void {
    for (const running of this.#running) running.done();
    this.#arm();
  }
}

/** Leaves out the ticks that come too late for the stream, but none beyond its end. */
function skipMissed(running: Running, nowMs: number): void {
  const { stream, startMs, nextTick } = running;
  if (stream.catchUpTicks === undefined) return;
  const dueTicks = Math.floor((nowMs + EARLY_MS - startMs) / stream.intervalMs) + 1;
  running.nextTick = Math.max(nextTick, Math.min(stream.ticks, dueTicks - stream.catchUpTicks));
}
