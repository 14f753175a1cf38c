import { setTimeout as sleep } from 'node:timers/promises';

import { CallscribeError } from '../errors.ts';
import { type Lease, takeLease } from '../lease.ts';

const LOOK_EVERY_MS = 250;

/**
 * Takes a directory as soon as whoever has it lets go.
 *
 * @throws {CallscribeError} VOCABULARIES_BUSY after `withinMs`; STORAGE_UNUSABLE
 */
export async function waitForLease(
  directory: string,
  { withinMs, signal }: { readonly withinMs: number; readonly signal: AbortSignal },
): Promise<Lease> {
  for (let waitedMs = 0; ; waitedMs += LOOK_EVERY_MS) {
    const lease = await takeLease(directory);
    if (lease !== undefined) return lease;
    if (waitedMs >= withinMs) {
      throw new CallscribeError(
        'VOCABULARIES_BUSY',
        `another run is at the lists for more than ${withinMs} ms; wait until it has ended`,
        { retryable: true },
      );
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal });
  }
}
