/**
 * Sentences through the queue into rows, on both backends in one run, beside the bare statements. By hand:
 *
 *     node --import tsx test/bench/queue-backends.bench.ts
 *
 * A fresh Postgres and a fresh Redis, both writing to disk as in production (fsync at each commit; append-only file
 * once a second). `published`: handed in at once until the queue has confirmed all. `stored`: from the waiting queue
 * to the last row, by one sentence role (8 in hand). `delay`: at 50 sentences a second, from publishing to
 * `stored_at`. The last column is the ratio to the same statements without a queue, 8 at once.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { arch, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

import { systemClock } from '../../src/clock.ts';
import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts';
import type { LegId } from '../../src/ids.ts';
import { silentLogger as logger } from '../../src/log.ts';
import type { QueueBackend } from '../../src/queue/backend.ts';
import { postgresBackend } from '../../src/queue/postgres-backend.ts';
import { QueuePublisher } from '../../src/queue/publisher.ts';
import { redisBackend } from '../../src/queue/redis-backend.ts';
import { completeCall } from '../../src/store/complete-call.ts';
import { migrate } from '../../src/store/migrate.ts';
import type { Pool } from '../../src/store/pool.ts';
import { createPool } from '../../src/store/pool.ts';
import { saveSentence } from '../../src/store/save-sentence.ts';
import type { FinalSentence } from '../../src/transcript/sentence.ts';
import { startSentencesRole } from '../../workers/sentences.ts';
import { aCall, aSentence } from '../support/facts.ts';

const SENTENCES = 3_000;
const PACED = 300;
const PACE_MS = 20;
const REDIS_PORT = 16_379;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

function sentencesOfOneLeg(count: number): readonly FinalSentence[] {
  const call = aCall();
  const legId = call.legs[0]!.id;
  return Array.from({ length: count }, (_, index) =>
    aSentence({ callId: call.id, legId, sentenceNo: index + 1 }),
  );
}

async function allStored(pool: Pool, legId: LegId, count: number): Promise<void> {
  for (;;) {
    const { rows } = await pool.query<{ n: number }>(
      'select count(*)::int as n from sentences where leg_id = $1',
      [legId],
    );
    if (rows[0]?.n === count) return;
    await sleep(10);
  }
}

const perSecond = (count: number, sinceMs: number): number => count / ((performance.now() - sinceMs) / 1000);

async function measureBare(pool: Pool): Promise<number> {
  const sentences = sentencesOfOneLeg(SENTENCES)[Symbol.iterator]();
  const sinceMs = performance.now();
  const writer = async (): Promise<void> => {
    for (const sentence of sentences) {
      await saveSentence(pool, sentence);
      await completeCall(pool, sentence.callId);
    }
  };
  await Promise.all(Array.from({ length: 8 }, writer));
  return perSecond(SENTENCES, sinceMs);
}

async function measure(backend: QueueBackend, pool: Pool, barePerSecond: number): Promise<void> {
  await using publisher = await QueuePublisher.open({ backend, logger, clock: systemClock, dataDir: folder });
  const sentences = sentencesOfOneLeg(SENTENCES);
  let sinceMs = performance.now();
  for (const sentence of sentences) publisher.publishSentence(sentence);
  await publisher.flush({ timeoutMs: 120_000 });
  const published = perSecond(SENTENCES, sinceMs);

  sinceMs = performance.now();
  const role = await startSentencesRole({ pool, backend, logger });
  await allStored(pool, sentences[0]!.legId, SENTENCES);
  const stored = perSecond(SENTENCES, sinceMs);

  const paced = sentencesOfOneLeg(PACED);
  for (const sentence of paced) {
    publisher.publishSentence({ ...sentence, text: String(Date.now()) });
    await sleep(PACE_MS);
  }
  await allStored(pool, paced[0]!.legId, PACED);
  const { rows } = await pool.query<{ ms: number }>(
    `select extract(epoch from stored_at)::float8 * 1000 - text::float8 as ms
       from sentences where leg_id = $1 order by 1`,
    [paced[0]!.legId],
  );
  await role.close();
  const at = (share: number): string => rows[Math.floor((rows.length - 1) * share)]!.ms.toFixed(1);
  print(
    `${backend.kind.padEnd(9)} published ${Math.round(published)}/s, stored ${Math.round(stored)}/s, ` +
      `delay p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ${((100 * stored) / barePerSecond).toFixed(0)} % of bare`,
  );
}

const folder = await mkdtemp(join(tmpdir(), 'callscribe-bench-'));
await chmod(folder, 0o755);
const postgres = await startEmbeddedPostgres({ dataDir: folder, logger });
const redis = spawn(
  'redis-server',
  ['--port', String(REDIS_PORT), '--save', '', '--appendonly', 'yes', '--dir', folder],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
for await (const line of createInterface({ input: redis.stdout })) {
  if (line.includes('Ready to accept connections')) break;
}
await migrate(postgres.url, logger);
const pool = createPool({ databaseUrl: postgres.url, logger });

print(`${cpus().length} × ${cpus()[0]?.model ?? arch()}, Node ${process.version}, ${SENTENCES} sentences`);
const bare = await measureBare(pool);
print(`bare      stored ${Math.round(bare)}/s`);
await measure(redisBackend({ redisUrl: `redis://127.0.0.1:${REDIS_PORT}` }), pool, bare);
await measure(postgresBackend({ databaseUrl: postgres.url }), pool, bare);

await pool.end();
redis.kill();
await once(redis, 'exit');
await postgres.close();
await rm(folder, { recursive: true, force: true });
