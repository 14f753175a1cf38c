import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { arch, cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

import { percentiles } from '../src/bench/percentiles.ts';
import {
  PIPELINE_LEGS,
  type PipelineBenchOptions,
  type PipelineBenchResult,
  pipelineLine,
  type PipelineReport,
  sentencesOfLegs,
} from '../src/bench/pipeline.ts';
import { systemClock } from '../src/clock.ts';
import { startEmbeddedPostgres } from '../src/embedded/postgres.ts';
import { CallscribeError } from '../src/errors.ts';
import { silentLogger as logger } from '../src/log.ts';
import type { QueueBackend } from '../src/queue/backend.ts';
import { BATCH_MAX_FACTS } from '../src/queue/feed.ts';
import { postgresBackend } from '../src/queue/postgres-backend.ts';
import { QueuePublisher } from '../src/queue/publisher.ts';
import { redisBackend } from '../src/queue/redis-backend.ts';
import { migrate } from '../src/store/migrate.ts';
import { createPool, type Pool } from '../src/store/pool.ts';
import type { FinalSentence } from '../src/transcript/sentence.ts';
import type { BenchProcess, Duties } from './bench-process.ts';
import { startCallsRole } from './calls.ts';
import { CloseStack } from './close-stack.ts';
import { startSentencesRole } from './sentences.ts';

/** Below the working directory: temporary directories are in memory on some machines. */
const DIRECTORY = '.data';

const PUBLISH_AT_ONCE = 1_000;

interface Servers {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly dataDir: string;
  readonly pool: Pool;
}

interface WriterOrder {
  readonly kind: QueueBackend['kind'];
  readonly databaseUrl: string;
  readonly redisUrl: string;
}

/**
 * `npm run bench -- pipeline`; the last line is one JSON object. A fresh Postgres and a fresh Redis, both writing to
 * disk as in production (sync at each commit; append-only file once a second). The intake's side runs here, the roles
 * that write rows in another process. The time of a row is that of its commit (`track_commit_timestamp`).
 */
export async function benchPipeline(
  options: PipelineBenchOptions,
  start: (name: string) => BenchProcess,
  print: (line: string) => void,
): Promise<void> {
  const { rate, seconds, sentences } = options;
  print(
    `${rate} sentences/s for ${seconds} s from ${PIPELINE_LEGS} legs, then ${sentences} after an outage; ` +
      `${cpus().length} × ${cpus()[0]?.model ?? arch()}`,
  );
  const closers = new CloseStack();
  try {
    const servers = await startBenchServers(closers);
    const barePerSecond = await measureBare(servers.pool, sentences);
    print(`bare      INSERTs of ${BATCH_MAX_FACTS} rows each, one after the other: ${barePerSecond}/s`);
    const reports: PipelineReport[] = [];
    for (const kind of ['redis', 'postgres'] as const) {
      using writer = start('writer');
      const report = await measure(kind, options, servers, writer, barePerSecond);
      await writer.ask('stop');
      reports.push(report);
      print(pipelineLine(report));
    }
    const result: PipelineBenchResult = {
      bench: 'pipeline',
      options,
      legs: PIPELINE_LEGS,
      barePerSecond,
      reports,
    };
    print(JSON.stringify(result));
  } finally {
    await closers.close();
  }
}

/** A fresh Postgres with our tables, and a fresh Redis. */
export async function startBenchServers(closers: CloseStack): Promise<Servers> {
  await mkdir(DIRECTORY, { recursive: true });
  const dataDir = resolve(await mkdtemp(join(DIRECTORY, 'bench-pipeline-')));
  closers.add(() => rm(dataDir, { recursive: true, force: true }));
  // Root hands the server to another user, who must get through.
  await chmod(dataDir, 0o755);
  const postgres = await startEmbeddedPostgres({
    dataDir,
    logger,
    settings: { track_commit_timestamp: 'on' },
  });
  closers.add(async () => {
    await postgres.close();
    await rm(postgres.clusterDir, { recursive: true, force: true });
  });
  const redisUrl = await startRedis(dataDir, closers);
  await migrate(postgres.url, logger);
  const pool = createPool({ databaseUrl: postgres.url, logger });
  closers.add(() => pool.end());
  return { databaseUrl: postgres.url, redisUrl, dataDir, pool };
}

async function startRedis(directory: string, closers: CloseStack): Promise<string> {
  const port = await freePort();
  const child = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'yes', '--dir', directory],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const failed = once(child, 'error').then(() => {
    throw new CallscribeError(
      'USAGE',
      'redis-server is not on the PATH: install it, the bench compares both',
    );
  });
  failed.catch(() => undefined);
  closers.add(async () => {
    if (child.exitCode !== null || !child.kill()) return;
    await once(child, 'exit');
  });
  const lines = createInterface({ input: child.stdout });
  await Promise.race([
    failed,
    new Promise<void>((ready) => {
      lines.on('line', (line) => {
        if (line.includes('Ready to accept connections')) ready();
      });
    }),
  ]);
  return `redis://127.0.0.1:${port}`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') {
    throw new Error('unreachable: a TCP server has a port');
  }
  return address.port;
}

/** The same rows into the same table, and nothing else. */
const BARE_INSERT = {
  name: 'bare-insert',
  text: `
insert into sentences (call_id, leg_id, sentence_no, begin_ms, end_ms, begin_at, end_at, text, words, asr_task_id)
select * from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::integer[], $5::integer[], $6::timestamptz[],
                     $7::timestamptz[], $8::text[], $9::jsonb[], $10::text[])`,
};

async function measureBare(pool: Pool, count: number): Promise<number> {
  const source = sentencesOfLegs(PIPELINE_LEGS);
  const sinceMs = performance.now();
  for (let left = count; left > 0; left -= BATCH_MAX_FACTS) {
    const rows = take(source, Math.min(left, BATCH_MAX_FACTS));
    const column = <T>(read: (row: FinalSentence) => T): T[] => rows.map(read);
    await pool.query({
      ...BARE_INSERT,
      values: [
        column(({ callId }) => callId),
        column(({ legId }) => legId),
        column(({ sentenceNo }) => sentenceNo),
        column(({ beginMs }) => beginMs),
        column(({ endMs }) => endMs),
        column(({ beginAt }) => beginAt),
        column(({ endAt }) => endAt),
        column(({ text }) => text),
        column(({ words }) => JSON.stringify(words)),
        column(({ asrTaskId }) => asrTaskId),
      ],
    });
  }
  return perSecond(count, sinceMs);
}

async function measure(
  kind: QueueBackend['kind'],
  { rate, seconds, sentences }: PipelineBenchOptions,
  servers: Servers,
  writer: BenchProcess,
  barePerSecond: number,
): Promise<PipelineReport> {
  const { pool, databaseUrl, redisUrl } = servers;
  const backend = backendOf({ kind, databaseUrl, redisUrl });
  const dataDir = join(servers.dataDir, kind);
  await using publisher = await QueuePublisher.open({ backend, logger, clock: systemClock, dataDir });
  const order: WriterOrder = { kind, databaseUrl, redisUrl };
  await writer.ask('write', order);
  const source = sentencesOfLegs(PIPELINE_LEGS);
  // Plans are made, connections stand.
  await publishAtPace(publisher, source, rate, 1);
  await publisher.settle({ timeoutMs: 30_000 });
  await pool.query('truncate sentences');
  await publishAtPace(publisher, source, rate, seconds);
  await publisher.settle({ timeoutMs: 60_000 });
  const { rows } = await pool.query<{ ms: number }>(
    `select extract(epoch from pg_xact_commit_timestamp(xmin) - end_at)::float8 * 1000 as ms from sentences`,
  );
  const delay = percentiles(rows.map(({ ms }) => ms));
  if (rows.length !== rate * seconds) throw new Error(`${rows.length} rows, expected ${rate * seconds}`);

  await writer.ask('stop');
  await pool.query('truncate sentences');
  let sinceMs = performance.now();
  for (let left = sentences; left > 0; left -= PUBLISH_AT_ONCE) {
    for (const sentence of take(source, Math.min(left, PUBLISH_AT_ONCE))) publisher.publishSentence(sentence);
    if ((await publisher.written()) !== 'written') throw new Error('the disk refuses');
  }
  const acceptedPerSecond = perSecond(sentences, sinceMs);
  // As much as the queue is given while nobody reads it.
  await publisher.flush({ timeoutMs: 5_000 });
  sinceMs = performance.now();
  await writer.ask('write', order);
  await allStored(pool, sentences);
  const catchUpPerSecond = perSecond(sentences, sinceMs);
  await publisher.settle({ timeoutMs: 30_000 });
  return {
    backend: kind,
    delay,
    catchUpPerSecond,
    shareOfBare: Math.round((100 * catchUpPerSecond) / barePerSecond) / 100,
    acceptedPerSecond,
  };
}

async function publishAtPace(
  publisher: QueuePublisher,
  source: ReturnType<typeof sentencesOfLegs>,
  rate: number,
  seconds: number,
): Promise<void> {
  const sinceMs = performance.now();
  for (let sent = 0; sent < rate * seconds;) {
    const due = Math.min(rate * seconds, Math.floor(((performance.now() - sinceMs) / 1000) * rate));
    for (; sent < due; sent += 1) publisher.publishSentence(final(source));
    await sleep(2);
  }
}

const take = (source: ReturnType<typeof sentencesOfLegs>, count: number): FinalSentence[] =>
  Array.from({ length: count }, () => final(source));

/** `endAt` is the moment at which it is published. */
function final(source: ReturnType<typeof sentencesOfLegs>): FinalSentence {
  const endAt = new Date();
  return {
    ...source.next().value,
    tenant: 'default',
    webhooks: undefined,
    beginAt: endAt,
    endAt,
    emoTag: undefined,
    emoConfidence: undefined,
    asrTaskId: '2bf83b9a-baeb-4fda-8d9a-000000000000',
    concealedMs: 0,
  };
}

async function allStored(pool: Pool, count: number): Promise<void> {
  for (;;) {
    const { rows } = await pool.query<{ n: number }>('select count(*)::int as n from sentences');
    if (rows[0]?.n === count) return;
    await sleep(50);
  }
}

const perSecond = (count: number, sinceMs: number): number =>
  Math.round(count / ((performance.now() - sinceMs) / 1000));

function backendOf({ kind, databaseUrl, redisUrl }: WriterOrder): QueueBackend {
  return kind === 'redis' ? redisBackend({ redisUrl }) : postgresBackend({ databaseUrl });
}

let writers = new CloseStack();

export const pipelineDuties: Duties = {
  write: async (order: WriterOrder) => {
    const pool = createPool({ databaseUrl: order.databaseUrl, logger });
    writers.add(() => pool.end());
    for (const startRole of [startSentencesRole, startCallsRole]) {
      const role = await startRole({ pool, backend: backendOf(order), logger });
      writers.add(() => role.close());
    }
  },
  stop: async () => {
    await writers.close();
    writers = new CloseStack();
  },
};
