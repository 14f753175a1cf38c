import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { silentLogger } from '../../src/log.ts';
import type { JobQueue } from '../../src/queue/backend.ts';
import { JobFeed } from '../../src/queue/feed.ts';
import type { EncodedJob } from '../../src/queue/jobs.ts';
import { Outage } from '../../src/queue/outage.ts';

const job = (n: number): EncodedJob => ({ queue: 'sentences', name: 'sentence', id: `leg.${n}`, data: n });
const counts = { waiting: 0, active: 0, delayed: 0, failed: 0, completed: 0 };

/** A queue that refuses some jobs for good; everything else it takes and remembers. */
function queueThatRefuses(refused: ReadonlySet<unknown>): JobQueue & { readonly taken: unknown[] } {
  const taken: unknown[] = [];
  return {
    taken,
    add: (jobs) => {
      if (jobs.some(({ data }) => refused.has(data))) {
        return Promise.reject(Object.assign(new Error('invalid input'), { code: '22P02' }));
      }
      for (const { data } of jobs) if (!taken.includes(data)) taken.push(data);
      return Promise.resolve();
    },
    counts: () => Promise.resolve(counts),
    close: () => Promise.resolve(),
  };
}

function feedInto(queue: JobQueue): { readonly feed: JobFeed; readonly dropped: unknown[] } {
  const dropped: unknown[] = [];
  const outage = new Outage(silentLogger, { service: 'test' }, () => 0);
  const feed = new JobFeed({
    queue,
    outage,
    logger: silentLogger,
    onPublished: () => undefined,
    onRefused: ({ data }) => dropped.push(data),
  });
  return { feed, dropped };
}

describe('a feed', () => {
  it('drops only the jobs that the queue will never take, and keeps the order of the others', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.boolean(), { maxLength: 600 }),
        fc.array(fc.nat({ max: 20 }), { maxLength: 30 }),
        async (isRefused, pauses) => {
          const all = isRefused.map((_, n) => n);
          const bad = new Set<unknown>(all.filter((n) => isRefused[n]));
          const queue = queueThatRefuses(bad);
          const { feed, dropped } = feedInto(queue);
          for (const n of all) {
            feed.push(job(n));
            if (pauses.includes(n)) await Promise.resolve();
          }
          await feed.drained();
          expect(queue.taken).toEqual(all.filter((n) => !isRefused[n]));
          expect(dropped).toEqual([...bad]);
          expect(feed.waitingJobs).toBe(0);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('takes up a job that comes in the very moment in which it falls idle', async () => {
    const queue = queueThatRefuses(new Set());
    const { feed } = feedInto(queue);
    for (let n = 0; n < 200; n += 1) {
      feed.push(job(n));
      for (let turns = 0; turns < n % 12; turns += 1) await Promise.resolve();
    }
    await feed.drained();
    expect(queue.taken).toHaveLength(200);
  });

  it('stops between two attempts, and tells what is left', async () => {
    const away: JobQueue = {
      add: () => Promise.reject(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })),
      counts: () => Promise.resolve(counts),
      close: () => Promise.resolve(),
    };
    const { feed } = feedInto(away);
    feed.push(job(1));
    feed.push(job(2));
    await feed.stop();
    await feed.stop();
    expect(feed.waitingJobs).toBe(2);
  });
});
