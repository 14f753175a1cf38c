import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import type { CallRecord } from '../call/record.ts';
import type { KeepUnrecognised } from '../call/unrecognised.ts';
import { CallscribeError, systemCode, toError } from '../errors.ts';
import { isUuid } from '../ids.ts';
import { within } from '../within.ts';
import { releaseOwner, takeOver } from './intake-claim.ts';
import { loadJournal, loadOwner, noteRecovered } from './left-journal.ts';
import { recoverCall, type RecoverCallServices, type RecoveredCall } from './recover-call.ts';

export interface RecoveryOptions extends RecoverCallServices {
  readonly dataDir: string;
  /** This process's own name; its calls are left alone. */
  readonly owner: string;
  /** The call is over and its rows are safe: what is kept of it becomes its recording, or goes. */
  readonly finishCall: (directory: string, record: CallRecord) => Promise<void>;
  readonly keepUnrecognised: KeepUnrecognised;
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
const PAUSE_MIN_MS = 10_000;
const PAUSE_MAX_MS = 3_600_000;
const STARTING_MAX_MS = 60_000;
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
  readonly #attempts = new Map<string, { readonly number: number; readonly againAtMs: number }>();
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
    for (const [dead, all] of calls) {
      const found = all.filter((directory) => this.#isDue(directory));
      if (dead === owner || found.length === 0 || this.#closing.signal.aborted) continue;
      const lease = await takeOver(dataDir, dead);
      if (lease === undefined) continue;
      logger.warn({ calls: found.length }, 'a process ended while calls were up; they are recovered');
      this.#waiting = found.length;
      try {
        await this.#recoverAll(found);
      } finally {
        this.#waiting = 0;
        await lease.release();
      }
    }
    if (calls.size === 0 || (calls.size === 1 && calls.has(owner))) await this.#forgetOwners();
  }

  /** The directories of calls by their owner. */
  async #findCalls(): Promise<ReadonlyMap<string, string[]>> {
    const { dataDir } = this.#options;
    const root = join(dataDir, 'calls');
    const found = new Map<string, string[]>();
    for (const name of await namesIn(root)) {
      if (!isUuid(name)) continue;
      const directory = join(root, name);
      const owner = await loadOwner(directory);
      if (owner === undefined) {
        if ((await this.#ageMs(directory)) > NAMELESS_MAX_AGE_MS) await remove(directory);
        continue;
      }
      const calls = found.get(owner) ?? [];
      calls.push(directory);
      found.set(owner, calls);
    }
    return found;
  }

  /** Names of processes that left nothing else. One that is just starting has no lease yet. */
  async #forgetOwners(): Promise<void> {
    const { dataDir } = this.#options;
    for (const name of await namesIn(join(dataDir, 'intakes'))) {
      if ((await this.#ageMs(join(dataDir, 'intakes', name))) < STARTING_MAX_MS) continue;
      const lease = await takeOver(dataDir, name);
      if (lease !== undefined) await releaseOwner(dataDir, name, lease);
    }
  }

  /** 0 for what is gone meanwhile. */
  async #ageMs(path: string): Promise<number> {
    try {
      return this.#options.clock.wallTime().getTime() - (await stat(path)).mtimeMs;
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return 0;
      throw error;
    }
  }

  async #recoverAll(calls: readonly string[]): Promise<void> {
    const queue = [...calls];
    const worker = async (): Promise<void> => {
      for (let call = queue.shift(); call !== undefined; call = queue.shift()) {
        if (this.#closing.signal.aborted) return;
        await this.#recover(call);
        this.#waiting -= 1;
      }
    };
    await Promise.all(Array.from({ length: CALLS_AT_A_TIME }, worker));
  }

  async #recover(directory: string): Promise<void> {
    const { logger, publisher, finishCall, onCall } = this.#options;
    try {
      // Whoever held the lease before may have finished it since it was found.
      const journal = await loadJournal(directory);
      if (journal === undefined) return;
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
        if (outcome.kind === 'recovered') await noteRecovered(directory, outcome.record);
        if (outcome.kind === 'recovered' && outcome.owed !== undefined) {
          await this.#options.keepUnrecognised(outcome.owed);
        }
        await finishCall(directory, outcome.record);
        await publisher.written();
        const sentences = outcome.kind === 'recovered' ? outcome.sentences : 0;
        logger.warn({ callId: outcome.record.id, sentences, outcome: outcome.kind }, 'call recovered');
      }
      this.#attempts.delete(directory);
      await remove(directory);
      onCall(outcome.kind);
    } catch (error) {
      onCall('failed');
      logger.error({ err: toError(error) }, 'a call could not be recovered; it is tried again');
    }
  }

  #noteAttempt(directory: string): number {
    const number = (this.#attempts.get(directory)?.number ?? 0) + 1;
    const pauseMs = Math.min(PAUSE_MIN_MS * 2 ** (number - 1), PAUSE_MAX_MS);
    this.#attempts.set(directory, { number, againAtMs: this.#options.clock.monotonicMs() + pauseMs });
    return number;
  }

  #isDue(directory: string): boolean {
    return (this.#attempts.get(directory)?.againAtMs ?? 0) <= this.#options.clock.monotonicMs();
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
