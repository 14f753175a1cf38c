import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { CallscribeError, systemCode } from '../errors.ts';
import { type Lease, takeLease } from '../lease.ts';
import type { Logger } from '../log.ts';
import { OutboxLog } from './log.ts';

export interface OutboxOptions<Name extends string> {
  /** Holds one directory for each outbox; intakes may share it. */
  readonly root: string;
  readonly names: readonly Name[];
  readonly maxBytes: number;
  readonly logger: Logger;
  readonly onReadable?: (name: Name) => void;
}

/** One process's outbox: a directory under its lease, with one log for each name. */
export class Outbox<Name extends string> implements AsyncDisposable {
  readonly directory: string;
  readonly logs: Readonly<Record<Name, OutboxLog>>;
  readonly #lease: Lease;
  #closing: Promise<void> | undefined;

  private constructor(directory: string, lease: Lease, logs: Record<Name, OutboxLog>) {
    this.directory = directory;
    this.#lease = lease;
    this.logs = logs;
  }

  /** A new one of this process's own. @throws {CallscribeError} STORAGE_UNUSABLE */
  static async create<Name extends string>(options: OutboxOptions<Name>): Promise<Outbox<Name>> {
    const directory = join(options.root, randomUUID());
    const lease = await takeLease(directory);
    if (lease === undefined) throw new Error('unreachable: a new directory has no holder');
    return Outbox.#open(directory, lease, options);
  }

  /**
   * Those that dead processes left with something in them, now under our lease; empty ones are removed.
   *
   * @param skip directories not to look at: our own
   * @throws {CallscribeError} STORAGE_UNUSABLE
   */
  static async adopt<Name extends string>(
    options: OutboxOptions<Name>,
    skip: ReadonlySet<string>,
  ): Promise<readonly Outbox<Name>[]> {
    const adopted: Outbox<Name>[] = [];
    for (const directory of await subdirectories(options.root)) {
      if (skip.has(directory)) continue;
      const lease = await takeLease(directory);
      if (lease === undefined) continue;
      const outbox = await Outbox.#open(directory, lease, options);
      if (outbox.entries > 0) adopted.push(outbox);
      else await outbox.close();
    }
    return adopted;
  }

  static async #open<Name extends string>(
    directory: string,
    lease: Lease,
    options: OutboxOptions<Name>,
  ): Promise<Outbox<Name>> {
    const { names, maxBytes, logger, onReadable } = options;
    const logs: [Name, OutboxLog][] = [];
    try {
      for (const name of names) {
        const log = await OutboxLog.open({
          directory: join(directory, name),
          maxBytes,
          logger,
          onReadable: () => onReadable?.(name),
        });
        logs.push([name, log]);
      }
    } catch (error) {
      for (const [, log] of logs) await log.close();
      await lease.release();
      throw error;
    }
    return new Outbox(directory, lease, Object.fromEntries(logs) as Record<Name, OutboxLog>);
  }

  /** What is not acknowledged. */
  get entries(): number {
    return this.#all.reduce((sum, log) => sum + log.nextNo - log.firstNo, 0);
  }

  get bytes(): number {
    return this.#all.reduce((sum, log) => sum + log.bytes, 0);
  }

  get disk(): 'fine' | 'refuses' {
    return this.#all.some(({ disk }) => disk === 'refuses') ? 'refuses' : 'fine';
  }

  get damaged(): number {
    return this.#all.reduce((sum, log) => sum + log.damaged, 0);
  }

  /** See `OutboxLog.written`, for all logs. */
  async written(): Promise<'written' | 'memory'> {
    const all = await Promise.all(this.#all.map((log) => log.written()));
    return all.includes('memory') ? 'memory' : 'written';
  }

  /** Gives it up; without anything in it, it is removed. May be called twice. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #all(): readonly OutboxLog[] {
    return Object.values(this.logs);
  }

  async #close(): Promise<void> {
    await Promise.all(this.#all.map((log) => log.close()));
    if (this.entries === 0) await rm(this.directory, { recursive: true, force: true }).catch(() => undefined);
    await this.#lease.release();
  }
}

async function subdirectories(root: string): Promise<readonly string[]> {
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
    const entries = await readdir(root, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(root, name));
  } catch (cause) {
    throw new CallscribeError(
      'STORAGE_UNUSABLE',
      `the outbox below DATA_DIR cannot be read (${systemCode(cause) ?? 'unknown'}). Make DATA_DIR writable`,
      { cause },
    );
  }
}
