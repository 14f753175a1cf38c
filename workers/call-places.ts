import { join } from 'node:path';

import type { Config } from '../src/config.ts';
import type { CallPlaces } from '../src/forget/forget-call.ts';
import type { JobQueue, QueueBackend } from '../src/queue/backend.ts';
import { QUEUE_NAMES } from '../src/queue/jobs.ts';
import { countCallRows, deleteCall, sumOfRows } from '../src/store/delete-call.ts';
import { rememberForgotten } from '../src/store/forgotten-calls.ts';
import type { Pool } from '../src/store/pool.ts';
import type { CloseStack } from './close-stack.ts';
import { callsDirOf } from './recordings.ts';

/** Where calls are deleted from. @throws {CallscribeError} QUEUE_UNREACHABLE */
export async function openCallPlaces(
  config: Pick<Config, 'dataDir' | 'recording'>,
  pool: Pool,
  backend: QueueBackend,
  closers: Pick<CloseStack, 'add'>,
): Promise<CallPlaces> {
  const queues: JobQueue[] = [];
  for (const name of QUEUE_NAMES) {
    const queue = await backend.openQueue(name, () => undefined);
    closers.add(() => queue.close());
    queues.push(queue);
  }
  return {
    recordingDir: config.recording.directory,
    callDirs: [callsDirOf(config), ...['unrecognised', 'uploads'].map((name) => join(config.dataDir, name))],
    outboxDir: join(config.dataDir, 'outbox'),
    remember: (callId) => rememberForgotten(pool, [callId]),
    deleteRows: async (callId) => sumOfRows(await deleteCall(pool, callId)),
    countRows: async (callId) => sumOfRows(await countCallRows(pool, callId)),
    countJobs: async (callId) => {
      const jobs = await Promise.all(queues.map((queue) => queue.pendingWith(callId)));
      return jobs.reduce((sum, count) => sum + count, 0);
    },
  };
}
