import { systemClock } from '../src/clock.ts';
import { startConsumer } from '../src/queue/consumer.ts';
import type { Job } from '../src/queue/jobs.ts';
import { completeCall } from '../src/store/complete-call.ts';
import { linkCalls } from '../src/store/link-calls.ts';
import { toStoreError } from '../src/store/pool.ts';
import { saveCall } from '../src/store/save-call.ts';
import { saveEvent } from '../src/store/save-event.ts';
import type { Role } from './role-type.ts';
import type { WriterDeps } from './sentences.ts';

/** The role that writes calls, legs, identifiers and events. @throws {CallscribeError} QUEUE_UNREACHABLE */
export async function startCallsRole(deps: WriterDeps): Promise<Role> {
  const { backend, logger, metrics } = deps;
  const consumer = await startConsumer({
    backend,
    queue: 'calls',
    logger,
    clock: systemClock,
    handle: (job) => write(deps, job).catch(rethrow),
    onOutcome: (outcome) => metrics?.jobs.inc({ queue: 'calls', outcome }),
  });
  return { name: 'calls', close: () => consumer.close() };
}

async function write({ pool, logger }: WriterDeps, job: Job): Promise<void> {
  switch (job.name) {
    case 'call':
      await saveCall(pool, job.payload);
      await linkCalls(pool, job.payload.id);
      // Also for an outdated snapshot: the attempt before this one may have died between the row and this check.
      if ((await completeCall(pool, job.payload.id)) === 'complete') {
        logger.debug({ callId: job.payload.id }, 'call complete');
      }
      return;
    case 'call-event':
      await saveEvent(pool, job.payload);
      return;
    case 'sentence':
      throw new TypeError('the consumer lets no sentences through');
  }
}

function rethrow(thrown: unknown): never {
  throw toStoreError(thrown);
}
