import type { Bus, BusOutcome } from '../src/bus/bus.ts';
import { PacketBus } from '../src/bus/packet-bus.ts';
import { postgresTransport } from '../src/bus/postgres-transport.ts';
import { redisTransport } from '../src/bus/redis-transport.ts';
import type { Config } from '../src/config.ts';
import { startEmbeddedPostgres } from '../src/embedded/postgres.ts';
import type { Logger } from '../src/log.ts';
import type { Metrics } from '../src/metrics.ts';
import type { QueueBackend } from '../src/queue/backend.ts';
import { postgresBackend } from '../src/queue/postgres-backend.ts';
import { redisBackend } from '../src/queue/redis-backend.ts';
import { migrate } from '../src/store/migrate.ts';
import { checkDatabase, createPool, type Pool } from '../src/store/pool.ts';
import type { CloseStack } from './close-stack.ts';

// Where a root finds database and queue: where the configuration says, else embedded. What is opened is closed by the stack.

/**
 * The configured database, or the embedded one, which is started.
 *
 * @throws {CallscribeError} DATABASE_EMBEDDED_FAILED
 */
export async function databaseUrlOf(
  { databaseUrl, dataDir }: Config,
  logger: Logger,
  closers: CloseStack,
): Promise<string> {
  if (databaseUrl !== undefined) return databaseUrl;
  const postgres = await startEmbeddedPostgres({ dataDir, logger });
  closers.add(() => postgres.close());
  return postgres.url;
}

/**
 * A pool on a database that answers and has the newest schema.
 *
 * @param statementMaxMs default: that of `createPool`
 * @throws {CallscribeError} DATABASE_UNREACHABLE, MIGRATION_FAILED
 */
export async function openStore(
  databaseUrl: string,
  logger: Logger,
  closers: CloseStack,
  statementMaxMs?: number,
): Promise<Pool> {
  const pool = createPool({
    databaseUrl,
    logger,
    ...(statementMaxMs === undefined ? {} : { statementMaxMs }),
  });
  closers.add(() => pool.end());
  await checkDatabase(pool);
  await migrate(databaseUrl, logger);
  return pool;
}

/** BullMQ on Redis where one is configured, else in the database. */
export function openBackend({ redisUrl }: Config, databaseUrl: string | undefined): QueueBackend {
  if (redisUrl !== undefined) return redisBackend({ redisUrl });
  if (databaseUrl === undefined) throw new Error('unreachable: without Redis there is always a database');
  return postgresBackend({ databaseUrl });
}

/** Redis pub/sub where one is configured, else LISTEN and NOTIFY in the database. */
export function openBus(
  { redisUrl }: Config,
  databaseUrl: string | undefined,
  { logger, metrics }: { readonly logger: Logger; readonly metrics: Metrics },
): Bus {
  const onOutcome = (outcome: BusOutcome, count: number): void => {
    metrics.busMessages.inc({ outcome }, count);
  };
  if (redisUrl !== undefined) {
    return new PacketBus({ openTransport: redisTransport({ redisUrl, logger }), logger, onOutcome });
  }
  if (databaseUrl === undefined) throw new Error('unreachable: without Redis there is always a database');
  return new PacketBus({ openTransport: postgresTransport({ databaseUrl, logger }), logger, onOutcome });
}
