import type { SendOutcome } from './sender.ts';

/** How long is tried, and how often. */
export interface WebhookPolicy {
  /** For an answer, connecting included. */
  readonly timeoutMs: number;
  /** Pauses double from `minMs` to `maxMs`. */
  readonly backoff: { readonly minMs: number; readonly maxMs: number };
  /** A `Retry-After` beyond it counts as this. */
  readonly retryAfterMaxMs: number;
  /** A message that still fails so long after its first attempt is dead. */
  readonly retryForMs: number;
  /** An endpoint that fails for so long without a success between is disabled … */
  readonly disableAfterMs: number;
  /** … once it has failed so many times. */
  readonly disableAfterFailures: number;
}

export const WEBHOOK_POLICY: WebhookPolicy = {
  timeoutMs: 15_000,
  backoff: { minMs: 2_000, maxMs: 3_600_000 },
  retryAfterMaxMs: 86_400_000,
  retryForMs: 3 * 86_400_000,
  disableAfterMs: 5 * 86_400_000,
  disableAfterFailures: 5,
};

/** How the message and its endpoint stand before this attempt's outcome counts. */
export interface Standing {
  /** This one included. */
  readonly attempts: number;
  readonly firstTriedMsAgo: number;
  /** Of the endpoint, in a row, before this attempt. */
  readonly failures: number;
  /** 0 where it was not failing. */
  readonly failingForMs: number;
}

/**
 * What becomes of a message and its endpoint.
 * - `postpone`: the message waits, and with it the later ones of its call.
 * - `hold`: nothing is sent to the endpoint for a while, and then other messages first: this one may be why it failed.
 * - `bury`: the message is dead; the others go on.
 * - `disable`: the endpoint gets no more messages, and those that wait are dead.
 */
export type Verdict =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'release' }
  | { readonly kind: 'postpone'; readonly pauseMs: number; readonly failure: string }
  | {
      readonly kind: 'hold';
      readonly holdMs: number;
      readonly failure: string;
      /** Of this message. */
      readonly then: { readonly kind: 'postpone'; readonly pauseMs: number } | { readonly kind: 'bury' };
    }
  | { readonly kind: 'bury'; readonly failure: string }
  | { readonly kind: 'disable'; readonly reason: 'gone' | 'failing'; readonly failure: string };

/** @param pauseMs what the back-off gives for so many failures in a row: 1, 2, 3 … */
export function judge(
  outcome: SendOutcome,
  standing: Standing,
  policy: WebhookPolicy,
  pauseMs: (failures: number) => number,
): Verdict {
  const isSpent = standing.firstTriedMsAgo >= policy.retryForMs;
  switch (outcome.kind) {
    case 'delivered':
      return { kind: 'delivered' };
    case 'interrupted':
      return { kind: 'release' };
    case 'gone':
      return { kind: 'disable', reason: 'gone', failure: outcome.failure };
    case 'refused': {
      const { failure } = outcome;
      return isSpent
        ? { kind: 'bury', failure }
        : { kind: 'postpone', failure, pauseMs: pauseMs(standing.attempts) };
    }
    case 'failed': {
      const { failure, retryAfterMs } = outcome;
      const failures = standing.failures + 1;
      if (standing.failingForMs >= policy.disableAfterMs && failures >= policy.disableAfterFailures) {
        return { kind: 'disable', reason: 'failing', failure };
      }
      const askedMs = Math.min(retryAfterMs ?? 0, policy.retryAfterMaxMs);
      return {
        kind: 'hold',
        failure,
        holdMs: Math.max(askedMs, pauseMs(failures)),
        then: isSpent ? { kind: 'bury' } : { kind: 'postpone', pauseMs: pauseMs(standing.attempts) },
      };
    }
    default:
      return outcome satisfies never;
  }
}
