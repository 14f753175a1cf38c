import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import type { CallRecord } from '../call/record.ts';
import { CallscribeError, systemCode, toError } from '../errors.ts';
import { isUuid } from '../ids.ts';
import { within } from '../within.ts';
import { releaseOwner, takeOver } from './intake-claim.ts';
import { loadJournal, recoverCall, type RecoverCallServices, type RecoveredCall } from './recover-call.ts';

export interface RecoveryOptions extends RecoverCallServices {
  readonly dataDir: string;
  /** This process's own name; its calls are left alone. */
  readonly owner: string;
  /** The call is over and its rows are safe: what is kept of it becomes its recording, or goes. */
  readonly finishCall: (directory: string, record: CallRecord) => Promise<void>;
  readonly onCall: (outcome: RecoveredCall['kind'] | 'failed') => void;
  /** Between looks at the directory. Default: {@link INTERVAL_MS}. */
  readonly intervalMs?: number;
}

/** How soon another process takes over from one that died. */
const INTERVAL_MS = 15_000;
/** Calls that are recovered at a time; each takes as many recognition sessions as it has legs, one after the other. */
const CALLS_AT_A_TIME = 8;
const CLOSE_WITHIN_MS = 10_000;
/** So often the recogniser is asked; then the call is closed without what it does not take. */
const ATTEMPTS_MAX = 4;
/** A directory of a call that has no journal, as a killed process or a full disk left it. */
const NAMELESS_MAX_AGE_MS = 3_600_000;

/**
 * Finishes the calls of processes that are gone: at once, and again and again, since another process of the same data
 * directory may die at any time. The lease of the dead process's name is held meanwhile, so that one only does it.
 */
export class Recovery implements AsyncDisposable {
  readonly #options: RecoveryOptions;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  readonly #attempts = new Map<string, number>();
  #waiting = 0;

  private constructor(options: RecoveryOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  static start(options: RecoveryOptions): Recovery {
    return new Recovery(options);
  }

  /** Calls that were found and are not finished. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Waits for the calls that are being finished, within a bound: the next start does what is left. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    await within(CLOSE_WITHIN_MS, this.#running);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(): Promise<void> {
    const { intervalMs = INTERVAL_MS, logger } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#look();
      } catch (error) {
        logger.error({ err: toError(error), systemCode: systemCode(error) }, 'calls could not be looked for');
      }
      await delay(intervalMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async #look(): Promise<void> {
    const { dataDir, owner, logger } = this.#options;
    const calls = await this.#findCalls();
    for (const [dead, found] of calls) {
      if (dead === owner || this.#closing.signal.aborted) continue;
      const lease = await takeOver(dataDir, dead);
      if (lease === undefined) continue;
      logger.warn({ calls: found.length }, 'a process ended while calls were up; they are recovered');
      this.#waiting = found.length;
      try {
        const done = await this.#recoverAll(found);
        // What could not be finished keeps its owner's name, and is tried again.
        if (done) await releaseOwner(dataDir, dead, lease);
      } finally {
        this.#waiting = 0;
        await lease.release();
      }
    }
  }

  /** The directories of calls by their owner. */
  async #findCalls(): Promise<ReadonlyMap<string, string[]>> {
    const { dataDir, clock } = this.#options;
    const root = join(dataDir, 'calls');
    const found = new Map<string, string[]>();
    for (const name of await namesIn(root)) {
      if (!isUuid(name)) continue;
      const directory = join(root, name);
      const journal = await loadJournal(directory);
      if (journal?.owner === undefined) {
        const { mtimeMs } = await stat(directory);
        if (clock.wallTime().getTime() - mtimeMs > NAMELESS_MAX_AGE_MS) await remove(directory);
        continue;
      }
      const calls = found.get(journal.owner) ?? [];
      calls.push(directory);
      found.set(journal.owner, calls);
    }
    return found;
  }

  /** @returns whether all are finished */
  async #recoverAll(calls: readonly string[]): Promise<boolean> {
    const queue = [...calls];
    let failed = 0;
    const worker = async (): Promise<void> => {
      for (let call = queue.shift(); call !== undefined; call = queue.shift()) {
        if (this.#closing.signal.aborted) {
          failed += 1;
          return;
        }
        if (!(await this.#recover(call))) failed += 1;
        this.#waiting -= 1;
      }
    };
    await Promise.all(Array.from({ length: CALLS_AT_A_TIME }, worker));
    return failed === 0;
  }

  async #recover(directory: string): Promise<boolean> {
    const { logger, publisher, finishCall, onCall } = this.#options;
    try {
      // Whoever held the lease before may have finished it since it was found.
      const journal = await loadJournal(directory);
      if (journal === undefined) return true;
      const outcome = await recoverCall(
        this.#options,
        directory,
        journal,
        this.#noteAttempt(directory) < ATTEMPTS_MAX ? 'again-later' : 'last',
      );
      if (outcome.kind !== 'never-answered') {
        if ((await publisher.written()) === 'memory') {
          throw new CallscribeError('STORAGE_UNUSABLE', 'the outbox takes nothing; the call stays as it is');
        }
        await finishCall(directory, outcome.record);
        const sentences = outcome.kind === 'recovered' ? outcome.sentences : 0;
        logger.warn({ callId: outcome.record.id, sentences, outcome: outcome.kind }, 'call recovered');
      }
      this.#attempts.delete(directory);
      await remove(directory);
      onCall(outcome.kind);
      return true;
    } catch (error) {
      onCall('failed');
      logger.error({ err: toError(error) }, 'a call could not be recovered; it is tried again');
      return false;
    }
  }

  #noteAttempt(directory: string): number {
    const attempt = (this.#attempts.get(directory) ?? 0) + 1;
    this.#attempts.set(directory, attempt);
    return attempt;
  }
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

const remove = (directory: string): Promise<void> => rm(directory, { recursive: true, force: true });
