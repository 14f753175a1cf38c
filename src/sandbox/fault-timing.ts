import {
  type FaultAction,
  type FaultMoment,
  type TaskFaults,
  type TimedFault,
  timedFaults,
} from './faults.ts';

/** What a socket does about a fault whose moment has come. */
export type FaultStriker = (action: FaultAction) => void;

/** When the faults of one task strike, once each; and whatever else of the task waits for a time. */
export class FaultTiming {
  readonly #strike: FaultStriker;
  /** Runs what a timer calls; for errors. */
  readonly #guard: (act: () => void) => void;
  /** Those that have not struck. */
  #waiting: TimedFault[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(strike: FaultStriker, guard: (act: () => void) => void) {
    this.#strike = strike;
    this.#guard = guard;
  }

  /** A task begins. */
  arm(faults: TaskFaults): void {
    this.#waiting = [...timedFaults(faults)];
    for (const { moment } of this.#waiting) {
      if (moment.at !== 'ms') continue;
      this.after(moment.ms, () => {
        this.reach((other) => other === moment);
      });
    }
  }

  /** Faults whose moment this is strike; what ends the task leaves the rest alone, by {@link clear}. */
  reach(isNow: (moment: FaultMoment) => boolean): void {
    if (this.#waiting.length === 0) return;
    const due = this.#waiting.filter(({ moment }) => isNow(moment));
    for (const timed of due) {
      if (!this.#waiting.includes(timed)) return;
      this.#waiting = this.#waiting.filter((other) => other !== timed);
      this.#strike(timed.action);
    }
  }

  /** Unless the task is gone by then. */
  after(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#guard(act);
    }, ms);
    this.#timers.add(timer);
  }

  /** The task is gone: nothing strikes any more. */
  clear(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#waiting = [];
  }
}
