import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { systemClock as clock } from '../../src/clock.ts';
import { silentLogger as logger } from '../../src/log.ts';
import { QueuePublisher } from '../../src/queue/publisher.ts';
import { redisBackend } from '../../src/queue/redis-backend.ts';
import { loadCall } from '../../src/store/load-call.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import { createPool } from '../../src/store/pool.ts';
import { startCallsRole } from '../../workers/calls.ts';
import { startSentencesRole } from '../../workers/sentences.ts';
import { createDatabase } from '../support/database.ts';
import { aCall, aSentence, finishing } from '../support/facts.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const closers: (() => Promise<unknown>)[] = [];
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'callscribe-failover-'));
  closers.push(() => rm(directory, { recursive: true, force: true }));
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

async function startRedis(): Promise<string> {
  const port = await freePort();
  const child: ChildProcess = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', directory],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  closers.push(async () => {
    child.kill();
    if (child.exitCode === null) await once(child, 'exit');
  });
  for await (const line of createInterface({ input: child.stdout! })) {
    if (line.includes('Ready to accept connections')) break;
  }
  child.stdout!.resume();
  return `redis://127.0.0.1:${port}`;
}

it('stores everything once when another Redis, without a memory, takes the place of the first', async () => {
  const [first, second] = [await startRedis(), await startRedis()];
  const proxy = await TcpProxy.to(first);
  closers.push(() => proxy.close());
  const database = await createDatabase();
  closers.push(() => database.drop());
  const pool = createPool({ databaseUrl: database.url, logger });
  closers.push(() => pool.end());
  const backend = redisBackend({ redisUrl: proxy.url(first) });
  const publisher = await QueuePublisher.open({ backend, logger, clock, dataDir: directory });
  closers.push(() => publisher.close({ timeoutMs: 500 }));

  const call = aCall();
  const legId = call.legs[0]!.id;
  const say = (from: number, to: number): void => {
    for (let sentenceNo = from; sentenceNo <= to; sentenceNo += 1) {
      publisher.publishSentence(aSentence({ callId: call.id, legId, sentenceNo }));
    }
  };
  // The first has them, and nobody has read them.
  say(1, 300);
  expect(await publisher.flush({ timeoutMs: 5_000 })).toBe(0);

  // It becomes the replica of the second: it forgets what it had, and only reads.
  proxy.lead(second);
  const demoted = new Redis(first);
  await demoted.replicaof('127.0.0.1', new URL(second).port);
  await demoted.quit();
  say(301, 600);
  publisher.publishCall(finishing(call, [600, 0]));
  for (const start of [startSentencesRole, startCallsRole]) {
    const role = await start({ pool, backend, logger });
    closers.push(() => role.close());
  }
  expect(await publisher.settle({ timeoutMs: 20_000 })).toBe(0);
  expect((await loadTranscript(pool, call.id)).map(({ sentenceNo }) => sentenceNo)).toEqual(
    Array.from({ length: 600 }, (_, index) => index + 1),
  );
  expect((await loadCall(pool, call.id))?.state).toBe('complete');
});
