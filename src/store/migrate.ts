import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { runner } from 'node-pg-migrate';
import pg from 'pg';

import { CallscribeError, systemCode, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { LOCK_WAIT_MS, makeMonths } from './months.ts';
import { checkServer, CONNECT_MAX_MS, unreachable } from './pool.ts';

/** Ours alone; the tool's own lock is off because it gives up at once where another holds it. */
const LOCK_KEY = 3_914_677_201;
const LOCK_POLL_MS = 200;
const LOCK_MAX_MS = 300_000;
/** A statement that waited in vain for a table in use; everything behind it in the queue waited, too. */
const LOCK_NOT_AVAILABLE = '55P03';
const PAUSE_MIN_MS = 500;
const PAUSE_SPREAD_MS = 1_500;
const TABLE = 'schema_migrations';

/**
 * Brings the database to the newest schema: every file of `migrations/` that was not applied yet, in order, in
 * one transaction, and the months that begin soon. Any number of processes may start together: one works, the
 * others wait and find it done. A busy table is never waited for longer than {@link LOCK_WAIT_MS} at a time,
 * because whoever comes after waits as well: the migration lets go, pauses and tries again, for up to five minutes.
 *
 * @returns names of the migrations that this call applied
 * @throws {CallscribeError} DATABASE_UNREACHABLE, MIGRATION_FAILED
 */
export async function migrate(databaseUrl: string, logger: Logger): Promise<readonly string[]> {
  // A session of its own: a migration may take longer than the pool lets a statement run.
  const client = new pg.Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: CONNECT_MAX_MS,
    keepAlive: true,
    application_name: 'callscribe migrate',
  });
  // What a lost session means is told by the statement that it breaks.
  client.on('error', () => undefined);
  await client.connect().catch((cause: unknown) => {
    throw unreachable(databaseUrl, cause);
  });
  try {
    await checkServer(client, databaseUrl);
    await takeLock(client);
    await client.query(`set lock_timeout = ${LOCK_WAIT_MS}`);
    const applied = await retried(logger, () => applyMissing(client, logger));
    await retried(logger, () => makeMonths(client, new Date()));
    if (applied.length > 0) logger.info({ applied }, 'database schema brought up to date');
    return applied;
  } finally {
    // The lock ends with the session.
    await client.end().catch(() => undefined);
  }
}

/**
 * Polls instead of waiting inside Postgres: a session that blocks in `pg_advisory_lock` holds a snapshot, and
 * `create index concurrently` in a migration would wait for it for ever.
 */
async function takeLock(client: pg.Client): Promise<void> {
  const deadlineMs = performance.now() + LOCK_MAX_MS;
  for (;;) {
    const result = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1) as taken', [
      LOCK_KEY,
    ]);
    if (result.rows[0]?.taken === true) return;
    if (performance.now() > deadlineMs) {
      throw new CallscribeError(
        'MIGRATION_FAILED',
        `another process has been migrating this database for ${LOCK_MAX_MS / 1000} s. ` +
          'Look for it (pg_locks, locktype advisory), then start again.',
        { retryable: true },
      );
    }
    await sleep(LOCK_POLL_MS);
  }
}

async function retried<T>(logger: Logger, work: () => Promise<T>): Promise<T> {
  const deadlineMs = performance.now() + LOCK_MAX_MS;
  for (;;) {
    try {
      return await work();
    } catch (cause) {
      const isBusy = (systemCode(cause) ?? systemCode(toError(cause).cause)) === LOCK_NOT_AVAILABLE;
      if (!isBusy || performance.now() > deadlineMs) throw failed(cause);
      logger.info({}, 'the tables are in use; the migration lets go and tries again');
      await sleep(PAUSE_MIN_MS + Math.random() * PAUSE_SPREAD_MS);
    }
  }
}

async function applyMissing(client: pg.Client, logger: Logger): Promise<readonly string[]> {
  const dir = migrationsFolder();
  const done = await runner({
    dbClient: client,
    dir,
    direction: 'up',
    migrationsTable: TABLE,
    noLock: true,
    singleTransaction: true,
    logger: quietly(logger),
  });
  await warnOfNewerSchema(client, dir, logger);
  return done.map((migration) => migration.name);
}

function failed(cause: unknown): CallscribeError {
  if (cause instanceof CallscribeError) return cause;
  const code = systemCode(cause) ?? systemCode(toError(cause).cause);
  const hint =
    code === '42P07'
      ? 'It already has a table of that name: give Callscribe a database of its own (DATABASE_URL).'
      : code === '42501'
        ? 'The user of DATABASE_URL must own the database, or migrate as one who does.'
        : code === LOCK_NOT_AVAILABLE
          ? 'A table was in use for five minutes: look for a long transaction (pg_stat_activity), then start again.'
          : 'Nothing was changed. Start again when the cause is gone.';
  return new CallscribeError(
    'MIGRATION_FAILED',
    `the database schema could not be brought up to date (${code ?? 'no SQLSTATE'}). ${hint}`,
    { cause },
  );
}

/** An older process beside a newer schema: normal while a new version is rolled out, strange at other times. */
async function warnOfNewerSchema(client: pg.Client, dir: string, logger: Logger): Promise<void> {
  const known = (await readdir(dir)).map((file) => file.replace(/\.sql$/, ''));
  const result = await client.query<{ name: string }>(
    `select name from ${TABLE} where name <> all ($1::text[])`,
    [known],
  );
  if (result.rows.length > 0) {
    const unknown = result.rows.map((row) => row.name);
    logger.warn({ unknown }, 'the database schema is newer than this version of callscribe');
  }
}

/** Beside `src` when run from the sources; beside `dist`, or within it, when built. */
function migrationsFolder(): string {
  const candidates = ['../../migrations', '../../../migrations'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  const found = candidates.find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new CallscribeError(
    'MIGRATION_FAILED',
    `the folder of migrations is missing; looked for ${candidates.join(' and ')}`,
  );
}

/** The tool complains about file names without a timestamp, and repeats what we log ourselves. */
function quietly(logger: Logger): Record<'info' | 'warn' | 'error' | 'debug', (message: string) => void> {
  const debug = (message: string): void => {
    logger.debug({ tool: 'node-pg-migrate', detail: message }, 'migration tool');
  };
  return { debug, info: debug, warn: debug, error: debug };
}
