import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import { silentLogger as logger } from '../../src/log.ts';
import { OutboxLog } from '../../src/outbox/log.ts';
import { OutboxFeed } from '../../src/queue/feed.ts';
import { Outage } from '../../src/queue/outage.ts';
import { encodeFact } from '../../src/queue/parcel.ts';
import { MemoryQueue } from '../support/memory-queue.ts';

let directory: string;
let log: OutboxLog;
let feed: OutboxFeed;
let refused: string[];
const never = { add: () => Promise.resolve(), close: () => Promise.resolve() };

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'callscribe-feed-'));
  refused = [];
});

afterEach(async () => {
  await feed.stop();
  await log.close();
  await rm(directory, { recursive: true, force: true });
});

async function feedInto(queue: MemoryQueue, name = 'log'): Promise<void> {
  log = await OutboxLog.open({
    directory: join(directory, name),
    logger,
    maxBytes: 10_000_000,
    commitPauseMs: 0,
    onReadable: () => {
      feed.wake();
    },
  });
  feed = new OutboxFeed({
    log,
    name: 'sentences',
    runId: 'run',
    queues: { sentences: queue, calls: queue },
    flows: never,
    outage: new Outage(logger, { service: 'test' }, () => 0),
    logger,
    nowMs: () => systemClock.monotonicMs(),
    onPublished: () => undefined,
    onVanished: () => undefined,
    onRefused: ({ id }) => refused.push(id),
    pollMs: 1,
  });
}

const append = (id: string): string => log.append(encodeFact({ name: 'sentence', id, data: id }));

describe('a feed', () => {
  it('refuses only the facts that the queue will never take, and keeps the order of the others', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.boolean(), { maxLength: 300 }),
        fc.array(fc.nat({ max: 20 }), { maxLength: 30 }),
        async (isRefused, pauses) => {
          const all = isRefused.map((_, n) => `fact.${n}`);
          const bad = all.filter((_, n) => isRefused[n]);
          const queue = new MemoryQueue({ refuses: new Set(bad) });
          refused = [];
          await feedInto(queue, `log-${(run += 1)}`);
          for (const [n, id] of all.entries()) {
            append(id);
            if (pauses.includes(n)) await log.written();
          }
          await feed.drained();
          await feed.stop();
          await log.close();
          expect(queue.takenFacts).toEqual(all.filter((_, n) => !isRefused[n]));
          expect(refused).toEqual(bad);
          expect(feed.waitingFacts).toBe(0);
        },
      ),
      { seed: 1, numRuns: 30 },
    );
  });

  it('takes up a fact that comes in the very moment in which it falls idle', async () => {
    const queue = new MemoryQueue();
    await feedInto(queue);
    for (let n = 0; n < 200; n += 1) {
      append(`fact.${n}`);
      if (n % 12 === 0) await log.written();
      for (let turns = 0; turns < n % 12; turns += 1) await Promise.resolve();
    }
    await feed.drained();
    expect(queue.takenFacts).toHaveLength(200);
  });

  it('stops between two attempts, and leaves the rest in the log', async () => {
    const queue = new MemoryQueue();
    queue.isAway = true;
    await feedInto(queue);
    append('fact.1');
    append('fact.2');
    await log.written();
    await feed.stop();
    await feed.stop();
    expect([feed.waitingFacts, log.nextNo - log.firstNo]).toEqual([2, 2]);
  });

  it('acknowledges a job only when it is done, whatever is done before it', async () => {
    const queue = new MemoryQueue();
    await feedInto(queue);
    append('fact.1');
    await feed.drained();
    append('fact.2');
    await feed.drained();
    const [first, second] = queue.jobIds;
    queue.finish(second!);
    await queue.asked();
    expect(log.firstNo).toBe(1);
    queue.finish(first!);
    await feed.settled();
    expect(log.firstNo).toBe(3);
  });

  it('sets aside what is in a job that failed for good, and goes on', async () => {
    const queue = new MemoryQueue();
    let nowMs = 0;
    await feedInto(queue);
    await feed.stop();
    feed = new OutboxFeed({
      log,
      name: 'sentences',
      runId: 'run',
      queues: { sentences: queue, calls: queue },
      flows: never,
      outage: new Outage(logger, { service: 'test' }, () => 0),
      logger,
      nowMs: () => (nowMs += 1_000),
      onPublished: () => undefined,
      onVanished: () => undefined,
      onRefused: ({ id }) => refused.push(id),
      pollMs: 1,
    });
    append('fact.1');
    await feed.drained();
    queue.fail(queue.jobIds[0]!);
    await feed.settled();
    expect(refused).toEqual(['fact.1']);
  });
});
