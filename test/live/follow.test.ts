import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, describe, expect, it } from 'vitest';

import { RedisServer } from '../../src/chaos/redis-server.ts';
import { expectAllOf, placeTalk, runningCall, SENTENCES } from '../support/live-calls.ts';
import { CurlClient, EventSourceClient, type LiveClient, WebSocketClient } from '../support/live-clients.ts';
import { startTestService, type TestService, type TestServiceOptions } from '../support/service.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startService(options: TestServiceOptions): Promise<TestService> {
  const test = await startTestService(options);
  closers.push(async () => test[Symbol.asyncDispose]());
  return test;
}

function following<T extends LiveClient>(client: T): T {
  closers.push(() => client.close());
  return client;
}

describe.each(['redis', 'postgres'] as const)('a running call, with %s between the processes', (queue) => {
  it(
    'is followed by an EventSource, by curl and over a WebSocket whose connections are cut: nothing missing, nothing double',
    { timeout: 60_000 },
    async () => {
      const test = await startService({ queue, redisDb: 9 });
      const { httpUrl } = test.service;
      const proxy = await TcpProxy.to(httpUrl);
      closers.push(() => proxy.close());
      const way = proxy.url(httpUrl);
      const ended = placeTalk(test);
      const callId = await runningCall(test);

      const source = following(new EventSourceClient(`${way}v1/calls/${callId}/events`));
      const curl = following(new CurlClient(`${way}v1/calls/${callId}/events`));
      const socket = following(new WebSocketClient(`${way}v1/live?call=${callId}`));
      const all = following(new WebSocketClient(`${way}v1/live`));
      const agentOnly = following(new EventSourceClient(`${httpUrl}/v1/live?agent=agent&role=agent`));
      const nobody = following(new EventSourceClient(`${httpUrl}/v1/live?agent=somebody-else`));
      const clients = [source, curl, socket, all];

      for (const finals of [2, 4, 6]) {
        await Promise.all(clients.map((client) => client.until(() => client.finals.length >= finals)));
        await proxy.cut('drop');
        await proxy.mend();
      }
      // Joins when half of it was said.
      const late = following(new EventSourceClient(`${httpUrl}/v1/calls/${callId}/events`));
      await ended;
      for (const client of [...clients, late, agentOnly]) await client.complete();

      for (const client of [...clients, late]) await expectAllOf(test, callId, client);
      expect(source.of('sentence.partial').length).toBeGreaterThan(0);
      expect(all.of('reset')).toEqual([]);
      expect(agentOnly.of('sentence.final').map(({ role }) => role)).toEqual(Array(SENTENCES).fill('agent'));
      expect(nobody.received.map(({ type }) => type)).toEqual(['hello']);
      await socket.until(() => socket.closeReason !== undefined);
      expect(socket.closeReason).toBe('ended');
      // Whoever comes back has nothing to wait for.
      while (!source.hasGivenUp) await new Promise((resolve) => setTimeout(resolve, 20));
    },
  );
});

it(
  'goes on without a gap or a double for whoever follows when Redis is killed and started again in the middle',
  { timeout: 60_000 },
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'callscribe-live-'));
    closers.push(() => rm(directory, { recursive: true, force: true }));
    const redis = await RedisServer.start({ directory, port: await freePort() });
    closers.push(() => redis.stop('SIGKILL'));
    const test = await startService({ queue: 'redis', env: { REDIS_URL: redis.url } });
    const ended = placeTalk(test);
    const callId = await runningCall(test);
    const { httpUrl } = test.service;
    const source = following(new EventSourceClient(`${httpUrl}/v1/calls/${callId}/events`));
    const socket = following(new WebSocketClient(`${httpUrl}/v1/live`));
    await source.until(() => source.finals.length >= 3);
    await redis.stop('SIGKILL');
    await redis.start();
    await ended;
    for (const client of [source, socket]) {
      await client.complete();
      await expectAllOf(test, callId, client);
    }
  },
);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
