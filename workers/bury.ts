import { isUuid } from '../src/ids.ts';
import type { DeadLetter } from '../src/queue/consumer.ts';
import { toJson } from '../src/queue/json.ts';
import { buryFact } from '../src/store/bury-fact.ts';
import { type Pool, toStoreError } from '../src/store/pool.ts';

/** Puts a fact among the dead letters. @throws {CallscribeError} see `toStoreError` */
export async function bury(pool: Pool, { queue, id, name, data, error }: DeadLetter): Promise<void> {
  const callId = name === 'call' || name === 'call-end' ? field(data, 'id') : field(data, 'callId');
  await buryFact(pool, {
    queue,
    id,
    name,
    callId: callId !== undefined && isUuid(callId) ? callId : undefined,
    // It may have come from elsewhere, with what a column refuses.
    data: toJson(data),
    code: error.code,
    reason: error.message,
  }).catch((thrown: unknown) => {
    throw toStoreError(thrown);
  });
}

function field(data: unknown, name: string): string | undefined {
  const value =
    typeof data === 'object' && data !== null ? (data as Record<string, unknown>)[name] : undefined;
  return typeof value === 'string' ? value : undefined;
}
