import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Bus } from '../../src/bus/bus.ts';
import { systemClock } from '../../src/clock.ts';
import { loadConfig } from '../../src/config.ts';
import { startHttpServer } from '../../src/http/server.ts';
import { type Logger, silentLogger } from '../../src/log.ts';
import { createMetrics, type Metrics } from '../../src/metrics.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { startSandbox } from '../../src/sandbox/server.ts';
import { createPool, type Pool } from '../../src/store/pool.ts';
import { startApiRole } from '../../workers/api.ts';
import { CloseStack } from '../../workers/close-stack.ts';
import { openBackend, openBus } from '../../workers/stores.ts';
import { createDatabase } from './database.ts';

/** The api role alone, on a database of its own and a port that the system chooses. */
export interface TestApi extends AsyncDisposable {
  readonly url: string;
  readonly databaseUrl: string;
  readonly pool: Pool;
  readonly metrics: Metrics;
  readonly bus: Bus;
  /** RECORDING_DIR. */
  readonly recordingDir: string;
  /** Asks as whoever has this token; without one, as nobody. */
  fetch(path: string, options?: RequestInit & { readonly token?: string }): Promise<Response>;
}

/** Every scope, all tenants. */
export const TEST_TOKEN = 'all-scopes-of-all-tenants';

export async function startTestApi(
  env: Readonly<Record<string, string>> = { API_TOKENS: `test:${TEST_TOKEN}` },
  logger: Logger = silentLogger,
): Promise<TestApi> {
  const closers = new CloseStack();
  const database = await createDatabase();
  closers.add(() => database.drop());
  const dataDir = await mkdtemp(join(tmpdir(), 'callscribe-api-'));
  closers.add(() => rm(dataDir, { recursive: true, force: true }));
  const pool = createPool({ databaseUrl: database.url, logger });
  closers.add(() => pool.end());
  const config = loadConfig({
    DATABASE_URL: database.url,
    DATA_DIR: dataDir,
    HTTP_LISTEN: '127.0.0.1:0',
    API_REQUESTS_PER_MINUTE: '1000000',
    ...env,
  });
  const metrics = createMetrics();
  const http = await startHttpServer({ listen: config.http, metrics, readiness: {} });
  closers.add(() => http.close());
  const bus = openBus(config, database.url, { logger, metrics });
  closers.add(() => bus.close());
  const backend = openBackend(config, database.url);
  const sandbox = await startSandbox({
    host: '127.0.0.1',
    port: 0,
    recogniser: captionsRecogniser,
    logger,
  });
  closers.add(() => sandbox.close());
  const recogniser = { url: sandbox.url, apiKey: 'any' };
  const role = await startApiRole({
    config,
    pool,
    http,
    bus,
    backend,
    recogniser,
    metrics,
    logger,
    clock: systemClock,
  });
  closers.add(() => role.close());
  return {
    url: http.url,
    databaseUrl: database.url,
    pool,
    metrics,
    bus,
    recordingDir: config.recording.directory,
    fetch: (path, { token, ...options } = {}) => {
      const headers = new Headers(options.headers);
      if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
      return fetch(new URL(path, http.url), { ...options, headers });
    },
    [Symbol.asyncDispose]: () => closers.close(),
  };
}
