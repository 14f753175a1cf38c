import { isUuid, toCallId } from '../src/ids.ts';
import { decodeJob, QUEUE_OF } from '../src/queue/jobs.ts';
import { completeCall } from '../src/store/complete-call.ts';
import { type DeadLetterRow, dropDeadLetter } from '../src/store/dead-letters.ts';
import { toStoreError } from '../src/store/pool.ts';
import { writeCallJobs } from './calls.ts';
import { type RowDeps, writeSentenceJobs } from './sentences.ts';
import { settleVoicemails } from './voicemails.ts';

/**
 * Handles a dead letter as its role would, here and now and not by the queue: so its end is known at once. Only when
 * its rows are there does it leave the dead letters.
 *
 * @throws {CallscribeError} JOB_MALFORMED, or see `toStoreError`; the letter stays
 */
export async function replayDeadLetter(deps: RowDeps, letter: DeadLetterRow): Promise<void> {
  const job = decodeJob(letter.name, letter.data);
  const write = QUEUE_OF[job.name] === 'sentences' ? writeSentenceJobs : writeCallJobs;
  await write(deps, [job], { isSingle: true, attempt: 1 });
  try {
    await dropDeadLetter(deps.pool, letter.id);
    // What ended while this was missing.
    if (letter.callId !== null && isUuid(letter.callId)) {
      const callId = toCallId(letter.callId);
      await completeCall(deps.pool, callId);
      await settleVoicemails(deps, [callId]);
    }
  } catch (thrown) {
    throw toStoreError(thrown);
  }
}
