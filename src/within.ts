import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits for a promise, but not for ever. A promise that comes too late is left to itself; its rejection then is
 * nobody's.
 */
export async function within(boundMs: number, promise: Promise<unknown>): Promise<'done' | 'too-late'> {
  const timer = new AbortController();
  promise.catch(() => undefined);
  try {
    return await Promise.race([
      promise.then(() => 'done' as const),
      sleep(boundMs, 'too-late' as const, { signal: timer.signal }),
    ]);
  } finally {
    timer.abort();
  }
}
