import { setTimeout as sleep } from 'node:timers/promises';

import pg from 'pg';

import { CallscribeError, systemCode } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { PostgresPlacement } from './postgres-placement.ts';
import { ensureServer, findServer, SERVER_ROLE, stopServer } from './postgres-server.ts';

/** The bytes of `clscribe` as a number; advisory locks count within one database, here `postgres`. */
const LEASE_KEY = '7164227978198082149';
const CONNECT_MAX_MS = 5_000;
/** A server that runs but lets nobody in for this long will not change its mind. */
const ACQUIRE_MAX_MS = 60_000;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5_000;

export interface LeaseOptions {
  readonly placement: PostgresPlacement;
  readonly password: string;
  readonly settings: Readonly<Record<string, string>>;
  /** Made if it is not there. */
  readonly database: string;
  readonly logger: Logger;
}

/**
 * One process's share in the server of a data directory: a session that holds a shared advisory lock. A lock
 * ends with its process, however it ends, so there is no file that could go stale. Who releases tries for the
 * exclusive lock; getting it means that nobody else is left, and while it is held nobody can come in, so the
 * server is ended. A newcomer who was waiting loses its session with the server and starts a new one.
 */
export class PostgresLease {
  readonly #options: LeaseOptions;
  readonly #closing = new AbortController();
  #client: pg.Client | undefined;
  #port: number | undefined;
  #keeping: Promise<void> | undefined;
  #releasing: Promise<void> | undefined;

  private constructor(options: LeaseOptions) {
    this.#options = options;
  }

  /** @throws {CallscribeError} DATABASE_EMBEDDED_FAILED when the server cannot be started */
  static async take(options: LeaseOptions): Promise<PostgresLease> {
    const lease = new PostgresLease(options);
    await lease.#acquire();
    return lease;
  }

  get port(): number {
    return this.#port ?? 0;
  }

  /** Gives the share up and ends the server if it was the last. Bounded by the server's stop. */
  release(): Promise<void> {
    return (this.#releasing ??= this.#release());
  }

  async #acquire(): Promise<void> {
    const { placement, password, settings, database } = this.#options;
    const deadlineMs = performance.now() + ACQUIRE_MAX_MS;
    let delayMs = RETRY_MIN_MS;
    for (;;) {
      const server = await ensureServer(placement, { settings, preferredPort: this.#port });
      try {
        const client = await connect(server.port, password);
        await client.query(`select pg_advisory_lock_shared(${LEASE_KEY})`);
        await makeDatabase(client, database);
        this.#client = client;
        this.#port = server.port;
        client.once('end', () => {
          this.#sessionEnded(client);
        });
        return;
      } catch (cause) {
        // Usually the server is just being ended by its last user. 28P01 invalid_password stays.
        if (systemCode(cause) === '28P01' || performance.now() > deadlineMs) {
          throw new CallscribeError(
            'DATABASE_EMBEDDED_FAILED',
            `the embedded Postgres in ${placement.clusterDir} runs but does not let us in ` +
              `(${systemCode(cause) ?? 'no answer'}). Set DATA_DIR to another folder for a fresh one.`,
            { cause },
          );
        }
        await sleep(delayMs);
        delayMs = Math.min(delayMs * 2, RETRY_MAX_MS);
      }
    }
  }

  #sessionEnded(client: pg.Client): void {
    if (this.#client !== client || this.#closing.signal.aborted) return;
    this.#client = undefined;
    this.#options.logger.warn({ port: this.#port }, 'embedded postgres ended; starting it again');
    this.#keeping = this.#reacquire();
  }

  /** The database must come back, whatever happened to it; the port stays, so that pools find it. */
  async #reacquire(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      try {
        await this.#acquire();
        this.#options.logger.info({ port: this.#port }, 'embedded postgres is back');
        return;
      } catch (err) {
        this.#options.logger.error({ err }, 'embedded postgres does not start');
        await sleep(RETRY_MAX_MS, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      }
    }
  }

  async #release(): Promise<void> {
    this.#closing.abort();
    await this.#keeping;
    const client = this.#client;
    if (client === undefined) return;
    try {
      await client.query(`select pg_advisory_unlock_shared(${LEASE_KEY})`);
      await stopIfAlone(client, this.#options.placement);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

/** Ends the server of a data directory unless some process still has its share in it. */
export async function stopIfUnused(
  placement: PostgresPlacement,
  password: string,
): Promise<'stopped' | 'in-use' | 'not-running'> {
  const found = await findServer(placement.clusterDir);
  if (found.kind !== 'ready') return 'not-running';
  const client = await connect(found.server.port, password);
  try {
    return await stopIfAlone(client, placement);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function stopIfAlone(client: pg.Client, placement: PostgresPlacement): Promise<'stopped' | 'in-use'> {
  const result = await client.query<{ alone: boolean }>(`select pg_try_advisory_lock(${LEASE_KEY}) as alone`);
  if (result.rows[0]?.alone !== true) return 'in-use';
  await stopServer(placement);
  return 'stopped';
}

async function connect(port: number, password: string): Promise<pg.Client> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: SERVER_ROLE,
    password,
    database: 'postgres',
    application_name: 'callscribe lease',
    connectionTimeoutMillis: CONNECT_MAX_MS,
    keepAlive: true,
  });
  // The end of the session is what counts, and it has its own event.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/**
 * C.UTF-8 where the system has it: with LC_CTYPE C, pg_trgm takes no Chinese character for a letter, and a
 * search over trigrams finds nothing (tried on PostgreSQL 18.4).
 */
async function makeDatabase(client: pg.Client, name: string): Promise<void> {
  const found = await client.query('select from pg_database where datname = $1', [name]);
  if (found.rowCount === 1) return;
  const plain = `create database ${client.escapeIdentifier(name)} template template0 encoding 'UTF8'`;
  try {
    await client.query(`${plain} lc_collate 'C' lc_ctype 'C.UTF-8'`);
  } catch (error) {
    // 42P04 duplicate_database, 23505 from two at the same moment: another process was faster.
    if (['42P04', '23505'].includes(systemCode(error) ?? '')) return;
    await client.query(`${plain} lc_collate 'C' lc_ctype 'C'`);
  }
}
