import { CallscribeError } from '../errors.ts';
import type { Logger } from '../log.ts';

export interface RecogniserHealthOptions {
  readonly logger: Logger;
  /** While a fault stands, one session of those that wait tries so often. Default: 15 s. */
  readonly probeMs?: number | undefined;
}

const PROBE_MS = 15_000;

/** A fault that no retry mends; `scope` says for whom. */
interface StandingFault {
  readonly code: string;
  waiting: (() => void)[];
  timer: NodeJS.Timeout | undefined;
}

/** `account`, or the name of a model with its hot words. */
export type FaultScope = string;
export const ACCOUNT: FaultScope = 'account';

/**
 * Faults that no retry mends until someone acts: money, keys, hot words. One for all sessions of a process, so that a
 * thousand legs tell the operator once, and knock at the service as one.
 */
export class RecogniserHealth {
  readonly #options: RecogniserHealthOptions;
  readonly #faults = new Map<FaultScope, StandingFault>();

  constructor(options: RecogniserHealthOptions) {
    this.#options = options;
  }

  /** How many faults stand: an alarm where it is not 0. */
  get standing(): number {
    return this.#faults.size;
  }

  failed(scope: FaultScope, error: Error): void {
    const code = codeOf(error);
    const known = this.#faults.get(scope);
    if (known?.code === code) return;
    this.#faults.set(scope, { code, waiting: known?.waiting ?? [], timer: known?.timer });
    this.#options.logger.fatal(
      { err: error, scope, code },
      'RECOGNITION STOPPED: the service refuses for a reason that no retry mends; audio is kept, act now',
    );
  }

  /** A task of this scope started: its fault, and the account's, are over. */
  works(scope: FaultScope): void {
    for (const each of [ACCOUNT, scope]) {
      const fault = this.#faults.get(each);
      if (fault === undefined) continue;
      this.#faults.delete(each);
      clearTimeout(fault.timer);
      this.#options.logger.warn({ scope: each, code: fault.code }, 'recognition goes on');
      for (const wake of fault.waiting) wake();
    }
  }

  /**
   * Calls `onChance` once, when trying again makes sense: now and then for one of those that wait, for all when the
   * fault is over.
   *
   * @returns gives up waiting
   */
  wait(scope: FaultScope, onChance: () => void): () => void {
    const fault = this.#faults.get(scope);
    if (fault === undefined) {
      const timer = setTimeout(onChance, this.#options.probeMs ?? PROBE_MS);
      return () => {
        clearTimeout(timer);
      };
    }
    fault.waiting.push(onChance);
    this.#arm(scope);
    return () => {
      const current = this.#faults.get(scope);
      if (current === undefined) return;
      current.waiting = current.waiting.filter((each) => each !== onChance);
      if (current.waiting.length > 0) return;
      clearTimeout(current.timer);
      current.timer = undefined;
    };
  }

  #arm(scope: FaultScope): void {
    const fault = this.#faults.get(scope);
    if (fault === undefined || fault.timer !== undefined) return;
    fault.timer = setTimeout(() => {
      const current = this.#faults.get(scope);
      if (current === undefined) return;
      current.timer = undefined;
      const probe = current.waiting.shift();
      if (current.waiting.length > 0) this.#arm(scope);
      probe?.();
    }, this.#options.probeMs ?? PROBE_MS);
  }
}

function codeOf(error: Error): string {
  if ('dashscopeCode' in error && typeof error.dashscopeCode === 'string') return error.dashscopeCode;
  return error instanceof CallscribeError ? error.code : 'unknown';
}
