import { type StatWatcher, unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';

import { CallscribeError, systemCode } from '../errors.ts';
import type { Logger } from '../log.ts';
import { faultsText } from './explain-text.ts';
import { readRoutes, type ReadRoutesOptions, type RoutesReading } from './read-routes.ts';
import type { Routes } from './route-rules.ts';

export interface RoutesWatchOptions extends ReadRoutesOptions {
  readonly file: string;
  readonly logger: Logger;
  /** `refused`: the file changed and cannot be taken; the rules before it stay in force. */
  readonly onReading?: (outcome: 'taken' | 'refused') => void;
  /** How often the file is looked at; default 1,000. */
  readonly everyMs?: number;
}

const EVERY_MS = 1_000;
const UNREADABLE: RoutesReading = {
  kind: 'faults',
  faults: [{ line: 1, where: '', what: 'the file cannot be read' }],
};

/**
 * The rules of a file, as they stand: a changed file is taken for the calls that come after it, whole, or not at all. It
 * is looked at by its time and size, which also finds a file that was moved into its place or is on another machine.
 */
export class RoutesWatch implements Disposable {
  readonly #options: RoutesWatchOptions;
  readonly #watcher: StatWatcher;
  #routes: Routes;
  #text: string;
  #refused: string | undefined;
  #looking: Promise<void> = Promise.resolve();
  readonly #look = (): void => {
    this.#looking = this.#looking.then(() => this.#read());
  };

  private constructor(options: RoutesWatchOptions, routes: Routes, text: string) {
    this.#options = options;
    this.#routes = routes;
    this.#text = text;
    this.#watcher = watchFile(options.file, { interval: options.everyMs ?? EVERY_MS }, this.#look);
    this.#watcher.unref();
  }

  /** @throws {CallscribeError} ROUTES_INVALID, with every fault of the file */
  static async open(options: RoutesWatchOptions): Promise<RoutesWatch> {
    const { file } = options;
    let text: string;
    try {
      text = await readFile(file, 'utf8');
    } catch (cause) {
      throw new CallscribeError(
        'ROUTES_INVALID',
        `ROUTES_FILE: ${file} cannot be read (${systemCode(cause) ?? ''})`,
        {
          cause,
        },
      );
    }
    const reading = readRoutes(text, options);
    if (reading.kind === 'faults') {
      throw new CallscribeError(
        'ROUTES_INVALID',
        `ROUTES_FILE cannot be taken:\n${faultsText(file, reading.faults)}`,
      );
    }
    return new RoutesWatch(options, reading.routes, text);
  }

  get routes(): Routes {
    return this.#routes;
  }

  /** Never rejects. */
  async #read(): Promise<void> {
    const { file, logger, onReading } = this.#options;
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text === this.#text || text === this.#refused) return;
    const reading: RoutesReading = text === undefined ? UNREADABLE : readRoutes(text, this.#options);
    if (text === undefined || reading.kind === 'faults') {
      this.#refused = text;
      const faults = reading.kind === 'faults' ? faultsText(file, reading.faults) : '';
      logger.error({ file, faults }, 'the changed routes cannot be taken; those before it stay in force');
      onReading?.('refused');
      return;
    }
    this.#text = text;
    this.#refused = undefined;
    this.#routes = reading.routes;
    logger.info({ file, rules: reading.routes.rules.length }, 'changed routes are in force for new calls');
    onReading?.('taken');
  }

  close(): void {
    unwatchFile(this.#options.file, this.#look);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
