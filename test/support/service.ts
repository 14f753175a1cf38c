import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { inject } from 'vitest';

import { loadConfig } from '../../src/config.ts';
import { type Logger, silentLogger } from '../../src/log.ts';
import { loadCall } from '../../src/store/load-call.ts';
import type { Pool } from '../../src/store/pool.ts';
import type { StoredCall } from '../../src/store/stored.ts';
import { type RoleName, ROLES, type Service, startService } from '../../workers/service.ts';
import { createDatabase } from './database.ts';

export interface TestService extends AsyncDisposable {
  readonly service: Service;
  readonly pool: Pool;
  /** Its own; removed at the end. */
  readonly dataDir: string;
  readonly databaseUrl: string;
  /** With the number of the test file's database. */
  readonly redisUrl: string;
  /** `sip:` URI of the embedded edge. */
  target(protocol: 'udp' | 'tcp'): string;
}

export interface TestServiceOptions {
  readonly queue: 'redis' | 'postgres';
  /** Redis database of this test file, so that files do not take each other's jobs. */
  readonly redisDb?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly roles?: readonly RoleName[];
  readonly logger?: Logger;
}

/** The whole service in this process, on a database of its own and on ports that the system chooses. */
export async function startTestService(options: TestServiceOptions): Promise<TestService> {
  const database = await createDatabase('empty');
  const ownDir = await mkdtemp(join(tmpdir(), 'callscribe-service-'));
  const dataDir = options.env?.['DATA_DIR'] ?? ownDir;
  const server = realSipServer();
  const redisUrl = `${inject('redisUrl')}/${options.redisDb ?? 0}`;
  const service = await startService({
    config: loadConfig({
      DATABASE_URL: database.url,
      DATA_DIR: dataDir,
      RECORDING_DIR: join(dataDir, 'recordings'),
      SIP_LISTEN: 'udp:127.0.0.1:0,tcp:127.0.0.1:0',
      HTTP_LISTEN: '127.0.0.1:0',
      RTP_ADDRESS: '127.0.0.1',
      RTP_PORTS: ownPorts(),
      ...(options.queue === 'redis' ? { REDIS_URL: redisUrl } : {}),
      ...server?.env,
      ...options.env,
    }),
    roles: options.roles ?? ROLES,
    logger: options.logger ?? silentLogger,
  });
  const { pool } = service;
  if (pool === undefined) throw new Error('a test service runs roles that write');
  return {
    service,
    pool,
    dataDir,
    databaseUrl: database.url,
    redisUrl,
    target: (wanted) => {
      if (server !== undefined) return server.target;
      const address = service.sipAddresses.find(({ protocol }) => protocol === wanted);
      if (address === undefined) throw new Error(`the edge has no ${wanted} address`);
      return `sip:${address.host}:${address.port}`;
    },
    [Symbol.asyncDispose]: async () => {
      await service.close();
      await database.drop();
      await rm(ownDir, { recursive: true, force: true });
    },
  };
}

/** A thousand ports below those that systems give away, others than a neighbouring process of tests has. */
function ownPorts(): string {
  const first = 20_000 + (process.pid % 12) * 1_000;
  return `${first}-${first + 999}`;
}

/**
 * `CALLSCRIBE_TEST_DRACHTIO=host:port:secret:sipPort` runs the tests of the intake against a drachtio-server in
 * place of the embedded edge, one test file at a time (`--no-file-parallelism`).
 */
function realSipServer(): { readonly env: Record<string, string>; readonly target: string } | undefined {
  const [host, port, secret, sipPort] = (process.env['CALLSCRIBE_TEST_DRACHTIO'] ?? '').split(':');
  if (host === undefined || port === undefined || secret === undefined || sipPort === undefined) {
    return undefined;
  }
  const env = { DRACHTIO_HOST: host, DRACHTIO_PORT: port, DRACHTIO_SECRET: secret };
  return { env, target: `sip:${host}:${sipPort}` };
}

/** Resolves when so many calls are complete or failed; the test's own time-out bounds it. */
export async function completedCalls(pool: Pool, count: number): Promise<readonly StoredCall[]> {
  for (;;) {
    const { rows } = await pool.query<{ id: StoredCall['id'] }>(
      "select id from calls where state in ('complete', 'failed') order by started_at",
    );
    if (rows.length >= count) {
      const calls = await Promise.all(rows.map(({ id }) => loadCall(pool, id)));
      return calls.filter((call) => call !== undefined);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
