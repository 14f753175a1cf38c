import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { Redis } from 'ioredis';
import type { TestProject } from 'vitest/node';

import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts';
import { silentLogger } from '../../src/log.ts';
import { migrate } from '../../src/store/migrate.ts';
import { createTemplate } from './database.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A server in which test files make databases of their own (see database.ts). */
    readonly postgresUrl: string;
    /** A Redis of the tests' own; test files use a prefix of their own. */
    readonly redisUrl: string;
  }
}

/**
 * One Postgres and one Redis for the whole run, on ports of their own and without persistence. With `REDIS_URL`
 * set, that Redis is used.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await mkdtemp(join(tmpdir(), 'callscribe-test-'));
  // Root hands the server to another user, who must get through.
  await chmod(dataDir, 0o755);
  const postgres = await startEmbeddedPostgres({
    dataDir,
    logger: silentLogger,
    // The data ends with the run; what a commit means for a power cut is not tested here.
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' },
  });
  const redis = await startRedis();
  const templateUrl = await createTemplate(postgres.url);
  await migrate(templateUrl, silentLogger);
  project.provide('postgresUrl', postgres.url);
  project.provide('redisUrl', redis.url);

  return async () => {
    await redis.close();
    await postgres.close();
    await rm(dataDir, { recursive: true, force: true });
    await rm(postgres.clusterDir, { recursive: true, force: true });
  };
}

async function startRedis(): Promise<{ readonly url: string; close(): Promise<void> }> {
  const given = process.env['REDIS_URL'];
  if (given !== undefined && given !== '') return { url: given, close: () => Promise.resolve() };
  const port = await freePort();
  const child = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  await ready(child);
  const url = `redis://127.0.0.1:${port}`;
  const probe = new Redis(url);
  await probe.ping();
  await probe.quit();
  return {
    url,
    close: async () => {
      if (child.exitCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}

async function ready(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    child.once('error', () => {
      reject(new Error('redis-server is not on the PATH; `npm test` installs it where it may'));
    });
    child.once('exit', (code) => {
      reject(new Error(`redis-server ended at once with code ${code ?? 'none'}`));
    });
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.includes('Ready to accept connections')) resolve();
    });
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return address.port;
}
