import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { createPostgresBackend, createRedisBackend, Queue } from 'bullmq';
import { Redis } from 'ioredis';
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
let dataDir: string;
const closers: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  database = await createDatabase();
  pool = createPool({ databaseUrl: database.url, logger });
  prefix = `test-${randomBytes(6).toString('hex')}`;
  dataDir = await mkdtemp(join(tmpdir(), 'callscribe-outbox-'));
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await pool.end();
  await database.drop();
  await rm(dataDir, { recursive: true, force: true });
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

  async function openPublisher(outboxMaxBytes?: number): Promise<QueuePublisher> {
    const publisher = await QueuePublisher.open({
      backend,
      logger,
      clock,
      dataDir,
      ...(outboxMaxBytes === undefined ? {} : { outboxMaxBytes }),
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

  /** As FLUSHALL does, for what is ours: the servers are shared with other tests. */
  async function empty(): Promise<void> {
    if (kind === 'postgres') {
      await pool.query('truncate callscribe_queue.job cascade');
      return;
    }
    const redis = new Redis(inject('redisUrl'));
    const keys = await redis.keys(`${prefix}:*`);
    await redis.del(...keys);
    await redis.quit();
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
    // The last snapshot goes as the call's end as well.
    expect(publisher.counts).toMatchObject({ accepted: 7, published: 7, waiting: 0, refused: 0 });
    expect(await publisher.settle({ timeoutMs: 5_000 })).toBe(0);
  });

  it('takes the same fact twice as one row', async () => {
    const publisher = await openPublisher();
    const call = finishing(aCall(), [1, 0]);
    const sentence = aSentence({ callId: call.id, legId: call.legs[0]!.id });
    for (let turn = 0; turn < 3; turn += 1) publisher.publishSentence(sentence);
    expect(await publisher.flush({ timeoutMs: 5000 })).toBe(0);
    await startRoles();
    publisher.publishCall(call);
    await until('the call is complete', () => isComplete(call.id));
    publisher.publishSentence(sentence);
    expect(await publisher.settle({ timeoutMs: 5000 })).toBe(0);
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
      handle: (jobs) => {
        for (const job of jobs) if (job.name === 'sentence') seen.push(job.payload.sentenceNo);
        return Promise.resolve();
      },
      bury: () => Promise.reject(new Error('nothing is dead')),
    });
    closers.push(() => consumer.close());
    await until('all have come', () => seen.length === numbers.length);
    expect(seen).toEqual(numbers);
  });

  it('buries what cannot be read, and goes on with the others', async () => {
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
    const dead = async (): Promise<readonly { code: string; reason: string; call_id: string | null }[]> => {
      const sql = 'select code, reason, call_id from dead_letters order by fact_id';
      return (await pool.query<{ code: string; reason: string; call_id: string | null }>(sql)).rows;
    };
    await until('all four are there', async () => (await dead()).length === 4);
    expect((await dead()).map(({ code }) => code)).toEqual(Array(4).fill('JOB_MALFORMED'));
    expect((await dead()).map(({ reason }) => reason).join()).not.toContain('秘密');
    expect((await dead()).map(({ call_id }) => call_id)).toEqual([null, call.id, call.id, call.id]);
    expect(await queue.getFailedCount()).toBe(0);
  });

  it('finds the one fact of a batch that the database refuses, and stores the others', async () => {
    const publisher = await openPublisher();
    const call = finishing(aCall(), [50, 0]);
    const legId = call.legs[0]!.id;
    for (let sentenceNo = 1; sentenceNo <= 50; sentenceNo += 1) {
      const sentence = aSentence({ callId: call.id, legId, sentenceNo });
      publisher.publishSentence(sentenceNo === 33 ? { ...sentence, endMs: 0 } : sentence);
    }
    publisher.publishCall(call);
    await publisher.flush({ timeoutMs: 5_000 });
    await startRoles();
    expect(await publisher.settle({ timeoutMs: 10_000 })).toBe(0);
    expect((await loadTranscript(pool, call.id)).map(({ sentenceNo }) => sentenceNo)).toEqual(
      Array.from({ length: 50 }, (_, index) => index + 1).filter((no) => no !== 33),
    );
    const { rows } = await pool.query('select fact_id, code from dead_letters');
    expect(rows).toEqual([{ fact_id: `${legId}.33`, code: 'DATABASE_REJECTED' }]);
    // Not every final sentence is in the table.
    expect(await isComplete(call.id)).toBe(false);
  });

  it('reads jobs of one fact each, as older versions sent them', async () => {
    const call = finishing(aCall(), [2, 0]);
    const legId = call.legs[0]!.id;
    await startRoles();
    const queue = raw('sentences');
    const calls = raw('calls');
    closers.push(
      () => queue.close(),
      () => calls.close(),
    );
    const add = async (to: typeof queue, job: Parameters<typeof encodeJob>[0]): Promise<void> => {
      const { name, id, data } = encodeJob(job);
      await to.add(name, data, { jobId: id });
    };
    await add(calls, { name: 'call', payload: call });
    for (const sentenceNo of [1, 2]) {
      await add(queue, { name: 'sentence', payload: aSentence({ callId: call.id, legId, sentenceNo }) });
    }
    await until('the call is complete', () => isComplete(call.id));
  });

  it('takes the words off a job that is done', async () => {
    const publisher = await openPublisher();
    const call = aCall();
    publisher.publishSentence(aSentence({ callId: call.id, legId: call.legs[0]!.id }));
    await startRoles();
    expect(await publisher.settle({ timeoutMs: 5_000 })).toBe(0);
    const queue = raw('sentences');
    closers.push(() => queue.close());
    expect((await queue.getCompleted()).map(({ data }): unknown => data)).toEqual([{ done: true }]);
  });

  it('loses nothing when the queue loses everything, and completes the calls', async () => {
    const publisher = await openPublisher();
    const call = finishing(aCall(), [500, 0]);
    for (let sentenceNo = 1; sentenceNo <= 500; sentenceNo += 1) {
      publisher.publishSentence(aSentence({ callId: call.id, legId: call.legs[0]!.id, sentenceNo }));
    }
    publisher.publishCall(call);
    expect(await publisher.flush({ timeoutMs: 5_000 })).toBe(0);
    await empty();
    await startRoles();
    expect(await publisher.settle({ timeoutMs: 15_000 })).toBe(0);
    expect((await loadTranscript(pool, call.id)).map(({ sentenceNo }) => sentenceNo)).toEqual(
      Array.from({ length: 500 }, (_, index) => index + 1),
    );
    expect(await isComplete(call.id)).toBe(true);
  });

  it('hands over what a process left in its outbox, and cleans up after it', async () => {
    const call = finishing(aCall(), [20, 0]);
    const first = await openPublisher();
    await proxy.cut('refuse');
    for (let sentenceNo = 1; sentenceNo <= 20; sentenceNo += 1) {
      first.publishSentence(aSentence({ callId: call.id, legId: call.legs[0]!.id, sentenceNo }));
    }
    first.publishCall(call);
    expect(await first.written()).toBe('written');
    await first.close({ timeoutMs: 200 });
    await proxy.mend();
    const second = await openPublisher();
    await startRoles();
    await until('the call is complete', () => isComplete(call.id));
    expect(await second.settle({ timeoutMs: 5_000 })).toBe(0);
    await until('one outbox is left', async () => (await readdir(join(dataDir, 'outbox'))).length === 1);
    await second.close();
    expect(await readdir(join(dataDir, 'outbox'))).toEqual([]);
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
      expect(await publisher.written()).toBe('written');
      await proxy.mend();
      publisher.publishCall(finishing(call, [100, 0]));
      await until('the call is complete', () => isComplete(call.id));
      expect((await loadTranscript(pool, call.id)).map((row) => row.sentenceNo)).toEqual(
        Array.from({ length: 100 }, (_, index) => index + 1),
      );
    },
  );

  it('near the bound takes no new calls, and at the bound refuses the newest fact', async () => {
    const publisher = await openPublisher(10_000);
    const call = aCall();
    await proxy.cut('drop');
    const states: string[] = [];
    for (let sentenceNo = 1; publisher.counts.refused === 0; sentenceNo += 1) {
      publisher.publishSentence(aSentence({ callId: call.id, legId: call.legs[0]!.id, sentenceNo }));
      await publisher.written();
      states.push(`${publisher.state} ${publisher.storage.alarm ? 'alarm' : 'fine'}`);
    }
    expect([...new Set(states)]).toEqual(['ready fine', 'ready alarm', 'backlogged alarm']);
    const { accepted } = publisher.counts;
    expect(publisher.counts).toMatchObject({ waiting: accepted, refused: 1 });
    await proxy.mend();
    expect(await publisher.flush({ timeoutMs: 10_000 })).toBe(0);
    await startRoles();
    expect(await publisher.settle({ timeoutMs: 10_000 })).toBe(0);
    await until('there is room', () => publisher.state === 'ready');
    expect(publisher.counts).toMatchObject({ published: accepted, refused: 1 });
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
    const failure = await QueuePublisher.open({ backend, logger, clock, dataDir }).catch(
      (error: unknown) => error,
    );
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
    await until('some are in hand', async () => (await queue.getActiveCount()) === 1);
    expect(await queue.getFailedCount()).toBe(0);
    await way.mend();
    await until('the call is complete', () => isComplete(call.id));
    expect(await loadTranscript(pool, call.id)).toHaveLength(60);
    expect(await queue.getFailedCount()).toBe(0);
  });
});
