import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { createPostgresBackend, createRedisBackend, Queue } from 'bullmq';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import { silentLogger } from '../../src/log.ts';
import type { QueueBackend } from '../../src/queue/backend.ts';
import { startConsumer } from '../../src/queue/consumer.ts';
import { encodeJob } from '../../src/queue/jobs.ts';
import { postgresBackend } from '../../src/queue/postgres-backend.ts';
import { QueuePublisher } from '../../src/queue/publisher.ts';
import { redisBackend } from '../../src/queue/redis-backend.ts';
import { loadCall } from '../../src/store/load-call.ts';
import { loadEvents } from '../../src/store/load-events.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import type { Pool } from '../../src/store/pool.ts';
import { createPool } from '../../src/store/pool.ts';
import { startCallsRole } from '../../workers/calls.ts';
import { startSentencesRole } from '../../workers/sentences.ts';
import type { TestDatabase } from '../support/database.ts';
import { createDatabase } from '../support/database.ts';
import { aCall, anEvent, aSentence, finishing } from '../support/facts.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const logger = silentLogger;
const clock = systemClock;

let database: TestDatabase;
let pool: Pool;
/** The way to the queue's server, which a test may cut. */
let proxy: TcpProxy;
let prefix: string;
const closers: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  database = await createDatabase();
  pool = createPool({ databaseUrl: database.url, logger });
  prefix = `test-${randomBytes(6).toString('hex')}`;
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await pool.end();
  await database.drop();
});

/** One suite for whatever stands behind the queue. */
const KINDS = [
  {
    kind: 'redis',
    server: () => inject('redisUrl'),
    backend: (serverUrl: string): QueueBackend => redisBackend({ redisUrl: serverUrl, prefix }),
    raw: (name: string) =>
      new Queue(name, { prefix, connection: { url: inject('redisUrl') } }, createRedisBackend),
  },
  {
    kind: 'postgres',
    server: () => database.url,
    backend: (serverUrl: string): QueueBackend => postgresBackend({ databaseUrl: serverUrl }),
    raw: (name: string) =>
      new Queue(
        name,
        { connection: { connectionString: database.url, schema: 'callscribe_queue' } },
        createPostgresBackend,
      ),
  },
] as const;

describe.each(KINDS)('the queue on $kind', ({ kind, server, backend: make, raw }) => {
  let backend: QueueBackend;

  beforeEach(async () => {
    proxy = await TcpProxy.to(server());
    closers.push(() => proxy.close());
    backend = make(proxy.url(server()));
  });

  async function openPublisher(backlogMaxJobs?: number): Promise<QueuePublisher> {
    const publisher = await QueuePublisher.open({
      backend,
      logger,
      clock,
      ...(backlogMaxJobs === undefined ? {} : { backlogMaxJobs }),
    });
    closers.push(() => publisher.close({ timeoutMs: 500 }));
    return publisher;
  }

  async function startRoles(over: { readonly pool?: Pool } = {}): Promise<void> {
    for (const start of [startSentencesRole, startCallsRole]) {
      const role = await start({ pool, backend, logger, ...over });
      closers.push(() => role.close());
    }
  }

  async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    for (let turn = 0; turn < 1000; turn += 1) {
      if (await condition()) return;
      await sleep(20);
    }
    throw new Error(`waited in vain: ${what}`);
  }

  const isComplete = async (id: Parameters<typeof loadCall>[1]): Promise<boolean> =>
    (await loadCall(pool, id))?.state === 'complete';

  it('brings a call, its events and its sentences to the rows, whatever comes first, and completes it', async () => {
    const publisher = await openPublisher();
    await startRoles();
    const call = aCall();
    const [agent, customer] = call.legs;
    publisher.publishSentence(aSentence({ callId: call.id, legId: agent!.id }));
    publisher.publishEvent(anEvent({ callId: call.id }));
    publisher.publishCall(finishing(call, [2, 1]));
    publisher.publishCall(call);
    publisher.publishSentence(aSentence({ callId: call.id, legId: customer!.id, legNo: 1 }));
    publisher.publishSentence(aSentence({ callId: call.id, legId: agent!.id, sentenceNo: 2 }));
    await until('the call is complete', () => isComplete(call.id));
    expect(await loadTranscript(pool, call.id)).toHaveLength(3);
    await until('the event is there', async () => (await loadEvents(pool, call.id)).length === 1);
    expect(publisher.counts).toMatchObject({ accepted: 6, published: 6, waiting: 0, refused: 0 });
  });

  it('takes the same fact twice as one job and one row', async () => {
    const publisher = await openPublisher();
    const call = finishing(aCall(), [1, 0]);
    const sentence = aSentence({ callId: call.id, legId: call.legs[0]!.id });
    for (let turn = 0; turn < 3; turn += 1) publisher.publishSentence(sentence);
    expect(await publisher.flush({ timeoutMs: 5000 })).toBe(0);
    const queue = raw('sentences');
    closers.push(() => queue.close());
    expect(await queue.getJobCountByTypes('waiting')).toBe(1);

    await startRoles();
    publisher.publishCall(call);
    await until('the call is complete', () => isComplete(call.id));
    publisher.publishSentence(sentence);
    await publisher.flush({ timeoutMs: 5000 });
    expect(await queue.getJobCountByTypes('waiting', 'active')).toBe(0);
    expect(await loadTranscript(pool, call.id)).toHaveLength(1);
  });

  it('hands jobs on in the order in which they were published', async () => {
    const publisher = await openPublisher();
    const call = aCall();
    const numbers = Array.from({ length: 500 }, (_, index) => index + 1);
    for (const sentenceNo of numbers) {
      publisher.publishSentence(aSentence({ callId: call.id, legId: call.legs[0]!.id, sentenceNo }));
    }
    const seen: number[] = [];
    const consumer = await startConsumer({
      backend,
      queue: 'sentences',
      logger,
      clock,
      concurrency: 1,
      handle: (job) => {
        if (job.name === 'sentence') seen.push(job.payload.sentenceNo);
        return Promise.resolve();
      },
    });
    closers.push(() => consumer.close());
    await until('all have come', () => seen.length === numbers.length);
    expect(seen).toEqual(numbers);
  });

  it('puts what cannot be read into the failed set, and goes on with the others', async () => {
    const publisher = await openPublisher();
    const queue = raw('sentences');
    closers.push(() => queue.close());
    const call = finishing(aCall(), [1, 0]);
    const sentence = aSentence({ callId: call.id, legId: call.legs[0]!.id });
    const good = encodeJob({ name: 'sentence', payload: sentence });
    const bad: [string, unknown][] = [
      ['sentence', {}],
      ['sentence', { ...(good.data as object), sentenceNo: '秘密' }],
      ['unheard-of', good.data],
      ['call-event', encodeJob({ name: 'call-event', payload: anEvent({ callId: call.id }) }).data],
    ];
    await queue.addBulk(bad.map(([name, data], index) => ({ name, data, opts: { jobId: `bad.${index}` } })));
    await startRoles();
    publisher.publishSentence(sentence);
    publisher.publishCall(call);
    await until('the call is complete', () => isComplete(call.id));
    await until('all four are there', async () => (await queue.getFailedCount()) === 4);
    const failed = await queue.getFailed();
    expect(failed.map((job) => job.attemptsMade)).toEqual([1, 1, 1, 1]);
    expect(failed.map((job) => job.failedReason).join()).not.toContain('秘密');
  });

  it('stores text that Postgres would refuse, with a mark in the place', async () => {
    const publisher = await openPublisher();
    await startRoles();
    const call = { ...finishing(aCall(), [1, 0]), metadata: { 'x-\0odd': 'half \ud83d' } };
    const leg = call.legs[0]!;
    publisher.publishSentence(aSentence({ callId: call.id, legId: leg.id, text: '您\0好\udc00' }));
    publisher.publishCall(call);
    await until('the call is complete', () => isComplete(call.id));
    expect(await loadTranscript(pool, call.id)).toMatchObject([{ text: '您\uFFFD好\uFFFD' }]);
    expect((await loadCall(pool, call.id))?.metadata).toEqual({ 'x-\uFFFDodd': 'half \uFFFD' });
  });

  it.each(['drop', 'refuse'] as const)(
    'keeps what is published while it is away (%s), in order, and loses nothing',
    async (how) => {
      const publisher = await openPublisher();
      await startRoles();
      const call = aCall();
      const [leg] = call.legs;
      const say = (sentenceNo: number): void => {
        publisher.publishSentence(aSentence({ callId: call.id, legId: leg!.id, sentenceNo }));
      };
      for (let sentenceNo = 1; sentenceNo <= 50; sentenceNo += 1) say(sentenceNo);
      await until('the first are there', async () => (await loadTranscript(pool, call.id)).length === 50);
      await proxy.cut(how);
      for (let sentenceNo = 51; sentenceNo <= 100; sentenceNo += 1) say(sentenceNo);
      await until('it is known to be away', () => publisher.counts.outages === 1);
      expect(publisher.counts).toMatchObject({ accepted: 100, published: 50, waiting: 50 });
      await proxy.mend();
      publisher.publishCall(finishing(call, [100, 0]));
      await until('the call is complete', () => isComplete(call.id));
      expect((await loadTranscript(pool, call.id)).map((row) => row.sentenceNo)).toEqual(
        Array.from({ length: 100 }, (_, index) => index + 1),
      );
    },
  );

  it('at half of the bound takes no new calls, and at the bound refuses the newest job', async () => {
    const publisher = await openPublisher(4);
    const call = aCall();
    await proxy.cut('drop');
    const states = [1, 2, 3, 4, 5].map((sentenceNo) => {
      publisher.publishSentence(aSentence({ callId: call.id, legId: call.legs[0]!.id, sentenceNo }));
      return publisher.state;
    });
    expect(states).toEqual(['ready', 'backlogged', 'backlogged', 'backlogged', 'backlogged']);
    expect(publisher.counts).toMatchObject({ accepted: 4, waiting: 4, refused: 1 });
    await proxy.mend();
    expect(await publisher.flush({ timeoutMs: 10_000 })).toBe(0);
    expect(publisher.state).toBe('ready');
    expect(publisher.counts).toMatchObject({ published: 4, refused: 1 });
  });

  it('closes in bounded time while it is away', async () => {
    const publisher = await openPublisher();
    await startRoles();
    await proxy.cut('refuse');
    publisher.publishCall(aCall());
    // The proxy itself stays for the end.
    await Promise.all(closers.splice(1).map((close) => close()));
    expect(publisher.counts.waiting).toBe(1);
  });

  it('says in one line what to do when it cannot be reached', async () => {
    await proxy.cut('refuse');
    const failure = await QueuePublisher.open({ backend, logger, clock }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'QUEUE_UNREACHABLE' });
    expect((failure as Error).message).toContain(kind === 'redis' ? 'REDIS_URL' : 'DATABASE_URL');
  });

  it('holds the jobs while the database is away, and then writes each once', async () => {
    const way = await TcpProxy.to(database.url);
    closers.push(() => way.close());
    const cutPool = createPool({ databaseUrl: way.url(database.url), logger });
    closers.push(() => cutPool.end());
    const publisher = await openPublisher();
    await startRoles({ pool: cutPool });
    const call = aCall();
    await way.cut('refuse');
    for (let sentenceNo = 1; sentenceNo <= 60; sentenceNo += 1) {
      publisher.publishSentence(aSentence({ callId: call.id, legId: call.legs[0]!.id, sentenceNo }));
    }
    publisher.publishCall(finishing(call, [60, 0]));
    await publisher.flush({ timeoutMs: 5000 });
    const queue = raw('sentences');
    closers.push(() => queue.close());
    await until('some are in hand', async () => (await queue.getActiveCount()) === 8);
    expect(await queue.getFailedCount()).toBe(0);
    await way.mend();
    await until('the call is complete', () => isComplete(call.id));
    expect(await loadTranscript(pool, call.id)).toHaveLength(60);
    expect(await queue.getFailedCount()).toBe(0);
  });
});
