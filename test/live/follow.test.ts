import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, describe, expect, it } from 'vitest';

import { RedisServer } from '../../src/chaos/redis-server.ts';
import type { CallId } from '../../src/ids.ts';
import { eventView, sentenceView } from '../../src/live/items.ts';
import { loadEvents } from '../../src/store/load-events.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import { type MadeSentence, makeCodes } from '../support/captioned-audio.ts';
import { CurlClient, EventSourceClient, type LiveClient, WebSocketClient } from '../support/live-clients.ts';
import { placeCalls, type PlannedLeg } from '../support/place-calls.ts';
import { startTestService, type TestService, type TestServiceOptions } from '../support/service.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const SENTENCES = 6;
const EVERY_MS = 1_700;

/** Both sides speak in turn. */
function legOf(role: 'agent' | 'customer', legNo: number): PlannedLeg {
  const sentences = Array.from({ length: SENTENCES }, (_, index): MadeSentence => {
    const beginMs = 300 + legNo * 400 + index * EVERY_MS;
    return { beginMs, endMs: beginMs + 600, text: `${role === 'agent' ? '坐席' : '客户'}第${index + 1}句` };
  });
  const codes = makeCodes('PCMA', 300 + SENTENCES * EVERY_MS + 800, sentences);
  return {
    codec: 'PCMA',
    codesBase64: Buffer.from(codes).toString('base64'),
    label: String(legNo + 1),
    party: { name: role, aor: `sip:${role}@pbx.example`, role },
  };
}

async function startService(options: TestServiceOptions): Promise<TestService> {
  const test = await startTestService(options);
  closers.push(async () => test[Symbol.asyncDispose]());
  return test;
}

function placeCall(test: TestService): Promise<unknown> {
  const legs = [legOf('agent', 0), legOf('customer', 1)];
  return placeCalls({
    target: test.target('udp'),
    transport: 'udp',
    calls: [{ mode: 'siprec', seed: 1, legs }],
  });
}

/** Of the call that goes on, once it has a row. */
async function runningCall(test: TestService): Promise<CallId> {
  for (;;) {
    const { rows } = await test.pool.query<{ id: CallId }>("select id from calls where state = 'active'");
    if (rows[0] !== undefined) return rows[0].id;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function following<T extends LiveClient>(client: T): T {
  closers.push(() => client.close());
  return client;
}

/** Every sentence and event of the rows once, in order on each leg, and with the same content. */
async function expectAllOf(test: TestService, callId: CallId, client: LiveClient): Promise<void> {
  const rows = await loadTranscript(test.pool, callId);
  expect(rows).toHaveLength(2 * SENTENCES);
  for (const legNo of [0, 1]) {
    const ofLeg = client.of('sentence.final').filter(({ leg_no }) => leg_no === legNo);
    const stored = rows.filter((row) => row.legNo === legNo);
    expect(ofLeg).toEqual(stored.map((row) => sentenceView(callId, row, row.role)));
  }
  const nos = client.of('call.event').map(({ event_no }) => event_no as number);
  expect(nos).toEqual([...new Set(nos)].sort((a, b) => a - b));
  const events = await loadEvents(test.pool, callId);
  for (const event of client.of('call.event')) {
    const stored = events.find(({ eventNo }) => eventNo === event['event_no']);
    expect(event).toEqual(stored && eventView(callId, stored));
  }
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
      const ended = placeCall(test);
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
    const ended = placeCall(test);
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
