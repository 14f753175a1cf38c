import { setTimeout as sleep } from 'node:timers/promises';

import type { Lane } from './lane.ts';

export interface RelayOptions {
  /** Lanes in which a message may go now. */
  readonly dueLanes: () => Promise<readonly Lane[]>;
  /** Has each of them worked at, here or elsewhere; one that already is changes nothing. */
  readonly wake: (lanes: readonly Lane[]) => Promise<void>;
  readonly pauseMs: number;
  readonly maxPauseMs: number;
  readonly onFailure: (thrown: unknown) => void;
  readonly onSuccess: () => void;
}

/**
 * Looks in the rows for lanes that have something to send and wakes them, again and again. The rows are the truth: a
 * wake-up that the queue lost is made anew. After a failure it looks less and less often, down to once in
 * `maxPauseMs`. Ends when `closing` is aborted; never rejects.
 */
export async function runRelay(options: RelayOptions, closing: AbortSignal): Promise<void> {
  const { dueLanes, wake, pauseMs, maxPauseMs, onFailure, onSuccess } = options;
  let failures = 0;
  while (!closing.aborted) {
    try {
      const lanes = await dueLanes();
      if (lanes.length > 0) await wake(lanes);
      failures = 0;
      onSuccess();
    } catch (thrown) {
      failures += 1;
      onFailure(thrown);
    }
    const waitMs = Math.min(maxPauseMs, pauseMs * 2 ** Math.min(failures, 20));
    await sleep(waitMs, undefined, { signal: closing }).catch(() => undefined);
  }
}
