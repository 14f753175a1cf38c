import { systemClock } from '../src/clock.ts';
import type { Logger } from '../src/log.ts';
import type { Metrics } from '../src/metrics.ts';
import type { QueueBackend } from '../src/queue/backend.ts';
import { startConsumer } from '../src/queue/consumer.ts';
import type { Job } from '../src/queue/jobs.ts';
import { completeCall } from '../src/store/complete-call.ts';
import type { Pool } from '../src/store/pool.ts';
import { toStoreError } from '../src/store/pool.ts';
import { saveSentence } from '../src/store/save-sentence.ts';
import type { Role } from './role-type.ts';

export interface WriterDeps {
  /** Migrated; the caller ends it after the role. */
  readonly pool: Pool;
  readonly backend: QueueBackend;
  readonly logger: Logger;
  readonly metrics?: Metrics;
}

/** The role that turns final sentences from the queue into rows. @throws {CallscribeError} QUEUE_UNREACHABLE */
export async function startSentencesRole(deps: WriterDeps): Promise<Role> {
  const { backend, logger, metrics } = deps;
  const consumer = await startConsumer({
    backend,
    queue: 'sentences',
    logger,
    clock: systemClock,
    handle: (job) => write(deps, job).catch(rethrow),
    onOutcome: (outcome) => metrics?.jobs.inc({ queue: 'sentences', outcome }),
  });
  return { name: 'sentences', close: () => consumer.close() };
}

async function write({ pool, logger, metrics }: WriterDeps, job: Job): Promise<void> {
  if (job.name !== 'sentence') throw new TypeError('the consumer lets only sentences through');
  const { callId, legId, sentenceNo } = job.payload;
  const outcome = await saveSentence(pool, job.payload);
  if (outcome === 'different') {
    metrics?.jobs.inc({ queue: 'sentences', outcome });
    logger.warn({ legId, sentenceNo }, 'another sentence has this number already; the first one stays');
  }
  // Also after a repeat: the attempt before this one may have died between the row and this check.
  if ((await completeCall(pool, callId)) === 'complete') logger.debug({ callId }, 'call complete');
}

function rethrow(thrown: unknown): never {
  throw toStoreError(thrown);
}
