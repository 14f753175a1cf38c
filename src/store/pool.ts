import pg from 'pg';

import { CallscribeError, systemCode, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { verdictOf } from './sqlstates.ts';

/** What a statement runs on: the pool, or one client inside a transaction. */
export type Queryable = Pick<pg.Pool | pg.PoolClient, 'query'>;
export type Pool = pg.Pool;

export interface PoolOptions {
  readonly databaseUrl: string;
  readonly logger: Logger;
  /** Sessions at most. Default {@link POOL_MAX}; a statement waits for one up to {@link CONNECT_MAX_MS}. */
  readonly max?: number;
  readonly applicationName?: string;
  /** How long a statement may take before the server ends it. Default {@link STATEMENT_MAX_MS}. */
  readonly statementMaxMs?: number;
}

export const POOL_MAX = 10;
export const CONNECT_MAX_MS = 5_000;
/** Ours take milliseconds; one that takes this long is ended by the server and tried again. */
const STATEMENT_MAX_MS = 30_000;
/** A statement that waits for a lock holds up whoever comes after; it is better tried again. */
const LOCK_MAX_MS = 10_000;
/** A session that does nothing within a transaction holds its locks and keeps old rows from being cleaned up. */
const IDLE_IN_TRANSACTION_MAX_MS = 60_000;
const MINIMUM_VERSION = 14;

/**
 * A pool of sessions; none is opened yet. Close it with `end()`.
 *
 * @see {@link checkDatabase} for the question whether it leads anywhere
 */
export function createPool(options: PoolOptions): Pool {
  const statementMaxMs = options.statementMaxMs ?? STATEMENT_MAX_MS;
  const pool = new pg.Pool({
    connectionString: options.databaseUrl,
    max: options.max ?? POOL_MAX,
    connectionTimeoutMillis: CONNECT_MAX_MS,
    // After a failover the address leads elsewhere, and an old session may go on to a server that only reads.
    maxLifetimeSeconds: 120,
    statement_timeout: statementMaxMs,
    lock_timeout: LOCK_MAX_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MAX_MS,
    // The server's time-out cannot help where the server itself has vanished.
    query_timeout: statementMaxMs + 5_000,
    keepAlive: true,
    application_name: options.applicationName ?? 'callscribe',
  });
  // A session that drops is replaced at the next statement. Without listeners it would end the process: the pool listens
  // to idle ones and during its own queries, not to one that is taken for a transaction.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => {
    client.on('error', (error) => {
      options.logger.debug({ code: systemCode(error) }, 'a database session was lost');
    });
  });
  return pool;
}

/** @throws {CallscribeError} DATABASE_UNREACHABLE, with address and way out */
export async function checkDatabase(pool: Pool): Promise<void> {
  const { connectionString = '' } = pool.options as { readonly connectionString?: string };
  await checkServer(pool, connectionString);
}

/** @throws {CallscribeError} DATABASE_UNREACHABLE, with address and way out */
export async function checkServer(session: Queryable, databaseUrl: string): Promise<void> {
  let version: number;
  try {
    const result = await session.query<{ version: number }>(
      `select current_setting('server_version_num')::int / 10000 as version`,
    );
    version = result.rows[0]?.version ?? 0;
  } catch (cause) {
    throw unreachable(databaseUrl, cause);
  }
  if (version < MINIMUM_VERSION) {
    throw new CallscribeError(
      'DATABASE_UNREACHABLE',
      `the database at ${addressOf(databaseUrl)} is Postgres ${version}, and ${MINIMUM_VERSION} or newer is ` +
        'needed. Set DATABASE_URL to a newer one, or leave it empty for the embedded one.',
    );
  }
}

/** Runs the statements as one: all or nothing. The client goes back to the pool, or away if it is broken. */
export async function withTransaction<T>(
  pool: Pool,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    client.release();
    return result;
  } catch (error) {
    const rolledBack = await client.query('rollback').then(
      () => true,
      () => false,
    );
    client.release(!rolledBack);
    throw error;
  }
}

/**
 * Classifies whatever a statement threw. `DATABASE_UNREACHABLE` (retryable): the database is away or not ours,
 * and no other statement would fare better. `DATABASE_REJECTED`: retryable where this attempt lost against
 * others, else the data is at fault.
 */
export function toStoreError(thrown: unknown): CallscribeError {
  if (thrown instanceof CallscribeError) return thrown;
  const error = toError(thrown);
  if (error instanceof pg.DatabaseError && error.code !== undefined) {
    const sqlState = error.code;
    // A check that has no name is a month's bounds: the row was on its way to the catch-all while its month was
    // being made (src/store/months.ts).
    const lostItsMonth = sqlState === '23514' && error.constraint === undefined;
    const verdict = lostItsMonth ? 'retry' : verdictOf(sqlState);
    return new CallscribeError(
      verdict === 'unreachable' ? 'DATABASE_UNREACHABLE' : 'DATABASE_REJECTED',
      `Postgres answered with SQLSTATE ${sqlState}`,
      { cause: error, retryable: verdict !== 'rejected' },
    );
  }
  // A mistake of ours, not an answer of the database's.
  if (error instanceof TypeError || error instanceof RangeError) {
    return new CallscribeError('DATABASE_REJECTED', 'a statement could not be built', { cause: error });
  }
  // What is left are sockets: system errors, and the driver's own, which have no code.
  return new CallscribeError(
    'DATABASE_UNREACHABLE',
    `no answer from Postgres (${systemCode(error) ?? 'session lost'})`,
    { cause: error, retryable: true },
  );
}

/** Says in one line what is wrong with the address and what to do. */
export function unreachable(databaseUrl: string, cause: unknown): CallscribeError {
  const code = systemCode(cause);
  const reason =
    (code !== undefined && REASONS[code]) ?? `it does not answer as Postgres does (${code ?? 'no answer'})`;
  return new CallscribeError(
    'DATABASE_UNREACHABLE',
    `the database at ${addressOf(databaseUrl)} cannot be used: ${reason}. ` +
      'Correct DATABASE_URL (postgres://user:password@host:5432/database), or leave it empty for the embedded Postgres.',
    { cause, retryable: true },
  );
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the host name cannot be looked up now',
  ETIMEDOUT: 'it does not answer',
  EHOSTUNREACH: 'there is no way to the host',
  ECONNRESET: 'it closes the connection',
  '28P01': 'it refuses the password',
  '28000': 'it refuses the login',
  '3D000': 'there is no database of that name',
  '42501': 'the user may not use it',
  '53300': 'it has no session left (max_connections)',
  '57P03': 'it is starting or stopping',
};

/** Host, port and database; never the user or the password. */
function addressOf(databaseUrl: string): string {
  if (!URL.canParse(databaseUrl)) return 'DATABASE_URL';
  const { host, pathname } = new URL(databaseUrl);
  return `${host}${pathname}`;
}
