import type { CallRecord } from '../src/call/record.ts';
import { systemClock } from '../src/clock.ts';
import type { CallId } from '../src/ids.ts';
import { type Delivery, startConsumer } from '../src/queue/consumer.ts';
import type { Job } from '../src/queue/jobs.ts';
import { completeCall } from '../src/store/complete-call.ts';
import { linkCalls } from '../src/store/link-calls.ts';
import { makeCalls } from '../src/store/make-calls.ts';
import { toStoreError, withTransaction } from '../src/store/pool.ts';
import { saveCalls } from '../src/store/save-call.ts';
import { saveEvents } from '../src/store/save-event.ts';
import { bury } from './bury.ts';
import type { Role } from './role-type.ts';
import type { RowDeps, WriterDeps } from './sentences.ts';

/**
 * Snapshots tell which is newer, so jobs may overtake each other. Many at once: Postgres syncs those commits together that
 * come together.
 */
const BATCHES_IN_HAND = 8;

/** The role that writes calls, legs, identifiers and events. @throws {CallscribeError} QUEUE_UNREACHABLE */
export async function startCallsRole(deps: WriterDeps): Promise<Role> {
  const { backend, logger, metrics, pool } = deps;
  const consumer = await startConsumer({
    backend,
    queue: 'calls',
    logger,
    clock: systemClock,
    concurrency: BATCHES_IN_HAND,
    handle: (jobs, delivery) => writeCallJobs(deps, jobs, delivery),
    bury: (letter) => bury(pool, letter),
    onOutcome: (outcome, facts) => metrics?.jobs.inc({ queue: 'calls', outcome }, facts),
  });
  return { name: 'calls', close: () => consumer.close() };
}

/** Rows in one transaction, then what follows from them. @throws {CallscribeError} see `toStoreError` */
export async function writeCallJobs(
  { pool, logger, onComplete }: RowDeps,
  jobs: readonly Job[],
  delivery: Delivery,
): Promise<void> {
  const calls = newestOf(
    jobs.flatMap((job) => (job.name === 'call' || job.name === 'call-end' ? [job.payload] : [])),
  );
  const events = jobs.flatMap((job) => (job.name === 'call-event' ? [job.payload] : []));
  try {
    await withTransaction(pool, async (client) => {
      await makeCalls(client, [...calls.map(({ id }) => id), ...events.map(({ callId }) => callId)]);
      await saveCalls(client, calls);
      await saveEvents(client, events);
    });
    // Also for an outdated snapshot: the attempt before this one may have died between the rows and this.
    await linkCalls(
      pool,
      calls.map(({ id }) => id),
    );
    const ended = delivery.isSingle
      ? calls
      : jobs.flatMap((job) => (job.name === 'call-end' ? [job.payload] : []));
    for (const { id: callId } of ended) {
      if ((await completeCall(pool, callId)) !== 'complete') continue;
      logger.debug({ callId }, 'call complete');
      onComplete?.(callId);
    }
  } catch (thrown) {
    throw toStoreError(thrown);
  }
}

/** Of each call the snapshot with the highest revision. */
function newestOf(calls: readonly CallRecord[]): readonly CallRecord[] {
  const newest = new Map<CallId, CallRecord>();
  for (const call of calls) {
    if (call.revision > (newest.get(call.id)?.revision ?? 0)) newest.set(call.id, call);
  }
  return [...newest.values()];
}
