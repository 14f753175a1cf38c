import { unwatchFile, watchFile } from 'node:fs';

import { CallscribeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { faultsText } from './explain-text.ts';
import type { Routes } from './route-rules.ts';
import { type LoadedRoutes, loadRoutes, type LoadRoutesOptions } from './routes-file.ts';

export interface RoutesWatchOptions extends LoadRoutesOptions {
  readonly file: string;
  readonly logger: Logger;
  /** `refused`: the file changed and cannot be taken; the rules before it stay in force. */
  readonly onReading?: (outcome: 'taken' | 'refused') => void;
  /** How often the files are looked at; default 1,000. */
  readonly everyMs?: number;
}

const EVERY_MS = 1_000;

/**
 * The rules of a file, as they stand: a changed file is taken for the calls that come after it, whole, or not at all; so is
 * one that it depends on. They are looked at by their time and size, which also finds a file that was moved into its place
 * or is on another machine.
 */
export class RoutesWatch implements Disposable {
  readonly #options: RoutesWatchOptions;
  #routes: Routes;
  /** Of what was read last, taken or not; undefined: the file could not be read. */
  #digest: string | undefined;
  #watched: ReadonlySet<string> = new Set();
  #closed = false;
  #looking: Promise<void> = Promise.resolve();
  readonly #look = (): void => {
    this.#looking = this.#looking.then(() => this.#read());
  };

  private constructor(options: RoutesWatchOptions, routes: Routes, { digest, paths }: LoadedRoutes) {
    this.#options = options;
    this.#routes = routes;
    this.#digest = digest;
    this.#watch(paths);
    this.#warn();
  }

  /** @throws {CallscribeError} ROUTES_INVALID, with every fault of the file */
  static async open(options: RoutesWatchOptions): Promise<RoutesWatch> {
    const { file } = options;
    const loaded = await loadRoutes(file, options);
    const { reading } = loaded;
    if (reading.kind === 'faults') {
      throw new CallscribeError(
        'ROUTES_INVALID',
        `ROUTES_FILE cannot be taken:\n${faultsText(file, reading.faults)}`,
      );
    }
    return new RoutesWatch(options, reading.routes, loaded);
  }

  get routes(): Routes {
    return this.#routes;
  }

  /** Never rejects. */
  async #read(): Promise<void> {
    const { file, logger, onReading } = this.#options;
    const loaded = await loadRoutes(file, this.#options).catch(() => undefined);
    if (this.#closed || loaded?.digest === this.#digest) return;
    this.#digest = loaded?.digest;
    if (loaded !== undefined) this.#watch(loaded.paths);
    const reading = loaded?.reading;
    if (reading?.kind !== 'routes') {
      const faults = reading === undefined ? `${file}: cannot be read` : faultsText(file, reading.faults);
      logger.error({ file, faults }, 'the changed routes cannot be taken; those before it stay in force');
      onReading?.('refused');
      return;
    }
    this.#routes = reading.routes;
    logger.info({ file, rules: reading.routes.rules.length }, 'changed routes are in force for new calls');
    onReading?.('taken');
    this.#warn();
  }

  #warn(): void {
    const { stale } = this.#routes.hotWords;
    const { file, logger } = this.#options;
    if (stale.length > 0) {
      logger.warn(
        { file, lists: stale },
        'hot words are not as they were synced: npm run vocabulary -- sync',
      );
    }
  }

  #watch(paths: readonly string[]): void {
    const wanted = new Set(paths);
    const { everyMs = EVERY_MS } = this.#options;
    for (const path of this.#watched) if (!wanted.has(path)) unwatchFile(path, this.#look);
    for (const path of wanted) {
      if (!this.#watched.has(path)) watchFile(path, { interval: everyMs }, this.#look).unref();
    }
    this.#watched = wanted;
  }

  close(): void {
    this.#closed = true;
    this.#watch([]);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
