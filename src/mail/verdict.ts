import type { MailOutcome } from './sender.ts';

/** How long is tried, and how often. */
export interface MailPolicy {
  /** Pauses double from `minMs` to `maxMs`. */
  readonly backoff: { readonly minMs: number; readonly maxMs: number };
  /** An e-mail that still fails so long after its first attempt is dead. */
  readonly retryForMs: number;
}

export const MAIL_POLICY: MailPolicy = {
  backoff: { minMs: 5_000, maxMs: 3_600_000 },
  retryForMs: 3 * 86_400_000,
};

/** How an e-mail stands before this attempt's outcome counts. */
export interface MailStanding {
  /** This one included. */
  readonly attempts: number;
  readonly firstTriedMsAgo: number;
}

/**
 * What becomes of an e-mail.
 * - `postpone`: it waits; because of the `server`: and all others for a while with it;
 * - `bury`: it is dead.
 */
export type MailVerdict =
  | { readonly kind: 'delivered' }
  | {
      readonly kind: 'postpone';
      readonly because: 'mail' | 'server';
      readonly pauseMs: number;
      readonly failure: string;
    }
  | { readonly kind: 'bury'; readonly failure: string };

/** @param pauseMs what the back-off gives for so many attempts: 1, 2, 3 … */
export function judgeMail(
  outcome: MailOutcome,
  { attempts, firstTriedMsAgo }: MailStanding,
  { retryForMs }: Pick<MailPolicy, 'retryForMs'>,
  pauseMs: (attempts: number) => number,
): MailVerdict {
  if (outcome.kind === 'delivered') return outcome;
  const { kind, failure } = outcome;
  if (kind === 'refused' || firstTriedMsAgo >= retryForMs) return { kind: 'bury', failure };
  const because = kind === 'deferred' ? 'mail' : 'server';
  return { kind: 'postpone', because, pauseMs: pauseMs(attempts), failure };
}
