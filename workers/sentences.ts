import { systemClock } from '../src/clock.ts';
import { CallscribeError } from '../src/errors.ts';
import type { CallId } from '../src/ids.ts';
import type { Logger } from '../src/log.ts';
import type { Metrics } from '../src/metrics.ts';
import type { QueueBackend } from '../src/queue/backend.ts';
import { type Delivery, startConsumer } from '../src/queue/consumer.ts';
import type { Job, LegEnd } from '../src/queue/jobs.ts';
import { completeCall } from '../src/store/complete-call.ts';
import { legsWithoutRows } from '../src/store/leg-rows.ts';
import type { Pool } from '../src/store/pool.ts';
import { toStoreError } from '../src/store/pool.ts';
import { saveSentences } from '../src/store/save-sentence.ts';
import type { FinalSentence } from '../src/transcript/sentence.ts';
import { bury } from './bury.ts';
import type { Role } from './role-type.ts';

/** What writing rows takes. */
export interface RowDeps {
  /** Migrated; the caller ends it after the role. */
  readonly pool: Pool;
  readonly logger: Logger;
  readonly metrics?: Metrics;
  /** A call became complete. */
  readonly onComplete?: (callId: CallId) => void;
}

export interface WriterDeps extends RowDeps {
  readonly backend: QueueBackend;
}

/** A quarter of an hour, with the pauses between attempts. */
const LEG_END_ATTEMPTS_MAX = 35;

/** The role that turns final sentences from the queue into rows. @throws {CallscribeError} QUEUE_UNREACHABLE */
export async function startSentencesRole(deps: WriterDeps): Promise<Role> {
  const { backend, logger, metrics, pool } = deps;
  const consumer = await startConsumer({
    backend,
    queue: 'sentences',
    logger,
    clock: systemClock,
    handle: (jobs, delivery) => writeSentenceJobs(deps, jobs, delivery),
    bury: (letter) => bury(pool, letter),
    onOutcome: (outcome, facts) => metrics?.jobs.inc({ queue: 'sentences', outcome }, facts),
  });
  return { name: 'sentences', close: () => consumer.close() };
}

/** All in one statement. @throws {CallscribeError} see `toStoreError`; ROWS_PENDING */
export async function writeSentenceJobs(
  deps: RowDeps,
  jobs: readonly Job[],
  delivery: Delivery,
): Promise<void> {
  try {
    const sentences = jobs.flatMap((job) => (job.name === 'sentence' ? [job.payload] : []));
    await write(deps, sentences);
    const legs = jobs.flatMap((job) => (job.name === 'leg-end' ? [job.payload] : []));
    await awaitRows(deps, legs, delivery);
    if (!delivery.isSingle) return;
    // Older publishers do not say that a call has ended. Also after a repeat: the attempt before this one may have
    // died between the row and this check.
    for (const callId of new Set(sentences.map((sentence) => sentence.callId))) {
      if ((await completeCall(deps.pool, callId)) === 'complete') deps.onComplete?.(callId);
    }
  } catch (thrown) {
    throw toStoreError(thrown);
  }
}

async function write({ pool, logger, metrics }: RowDeps, sentences: readonly FinalSentence[]): Promise<void> {
  const outcomes = await saveSentences(pool, sentences);
  for (const [index, outcome] of outcomes.entries()) {
    if (outcome !== 'different') continue;
    metrics?.jobs.inc({ queue: 'sentences', outcome });
    const { legId, sentenceNo } = sentences[index] ?? {};
    logger.warn({ legId, sentenceNo }, 'another sentence has this number already; the first one stays');
  }
}

/** Done when the rows of all legs are there, or will not come. @throws {CallscribeError} ROWS_PENDING */
async function awaitRows(
  { pool, logger }: RowDeps,
  legs: readonly LegEnd[],
  { attempt }: Delivery,
): Promise<void> {
  const without = await legsWithoutRows(pool, legs);
  if (attempt < LEG_END_ATTEMPTS_MAX && without.some(({ rows }) => rows === 'missing')) {
    throw new CallscribeError('ROWS_PENDING', 'not all sentences of the legs are rows yet', {
      retryable: true,
    });
  }
  for (const { leg, rows } of without) {
    const { callId, legId } = leg;
    logger.error({ callId, legId, rows }, 'a leg ended and some of its sentences did not become rows');
  }
}
