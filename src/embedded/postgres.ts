import { spawn } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Logger } from '../log.ts';
import { PostgresLease } from './postgres-lease.ts';
import type { PostgresPlacement } from './postgres-placement.ts';
import { placePostgres } from './postgres-placement.ts';
import { initialiseCluster, readPassword, SERVER_ROLE } from './postgres-server.ts';

/** What the caller may show while it waits; the first start of a data directory takes some seconds. */
export type EmbeddedPostgresStep = 'placing' | 'initialising' | 'starting' | 'ready';

export interface EmbeddedPostgresOptions {
  /** The server's files go to `<dataDir>/postgres` (see {@link placePostgres} for root). */
  readonly dataDir: string;
  readonly logger: Logger;
  readonly onProgress?: (step: EmbeddedPostgresStep) => void;
  /** Postgres settings beside ours, such as `fsync: 'off'` for tests. Values without blanks. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface EmbeddedPostgres extends AsyncDisposable {
  /** `postgres://…@127.0.0.1:PORT/callscribe`; the port stays while this process lives. */
  readonly url: string;
  /** Postgres' own data directory, for whoever wants to look or to remove it. */
  readonly clusterDir: string;
  /**
   * Gives the server up; the last process that does so ends it. Bounded (30 s), may be called twice. Close
   * pools and queues first: their sessions would be ended under them.
   */
  close(): Promise<void>;
}

export const DATABASE_NAME = 'callscribe';

/**
 * A real Postgres on the loopback address, for whoever has set no `DATABASE_URL`. Processes that share a data
 * directory share one server: the first starts it, the last ends it, whatever their order. A server that was
 * left by a killed process is used on; one that dies is started again on the same port.
 *
 * @throws {CallscribeError} DATABASE_EMBEDDED_FAILED, with the way out
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const progress = options.onProgress ?? ((): void => undefined);
  progress('placing');
  const placement = await placePostgres(options.dataDir, options.logger);
  progress('initialising');
  await initialiseCluster(placement);
  const password = await readPassword(placement);
  progress('starting');
  const lease = await PostgresLease.take({
    placement,
    password,
    settings: options.settings ?? {},
    database: DATABASE_NAME,
    logger: options.logger,
  });
  const stopAtExit = (): void => {
    stopLater(placement, password);
  };
  process.once('exit', stopAtExit);
  options.logger.info({ clusterDir: placement.clusterDir, port: lease.port }, 'embedded postgres is ready');
  progress('ready');

  let closing: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closing ??= lease.release().finally(() => {
      process.off('exit', stopAtExit);
    }));
  return {
    url: `postgres://${SERVER_ROLE}:${password}@127.0.0.1:${lease.port}/${DATABASE_NAME}`,
    clusterDir: placement.clusterDir,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/**
 * For a process that ends without `close()` (an uncaught error, `process.exit`): nothing can be awaited any
 * more, so a small process of its own ends the server if nobody else uses it.
 */
function stopLater(placement: PostgresPlacement, password: string): void {
  const script = new URL(`./postgres-stop${extname(fileURLToPath(import.meta.url))}`, import.meta.url);
  const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(script)], {
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, CALLSCRIBE_POSTGRES_TO_STOP: JSON.stringify({ placement, password }) },
  });
  child.unref();
}
