import type { RetryPace } from './retry-plan.ts';

/** How hard a session tries. All times are real time, not audio. */
export interface ResiliencePolicy {
  readonly retry: RetryPace;
  /** How much faster than real time audio is sent that the recogniser has not had. */
  readonly catchUpRate: number;
  /** Speech goes in, and for so long nothing at all comes back: the task counts as lost. */
  readonly stallAfterMs: number;
  /** Without recognition for so long, a leg only tries now and then, and says so. */
  readonly postponeAfterMs: number;
  readonly postponedRetryMs: number;
  /** What is owed at the end of the leg is tried for so long, and for as long as the owed audio lasts. */
  readonly afterCallMs: number;
  /**
   * A task older than this ends at the next pause and a new one goes on. The service documents no limit, but nothing in
   * between it and us keeps connections for ever.
   */
  readonly renewAfterMs: number;
}

export const RESILIENCE: ResiliencePolicy = {
  retry: { soonMs: 200, slowMs: 1_000, maxMs: 15_000 },
  catchUpRate: 8,
  stallAfterMs: 10_000,
  postponeAfterMs: 120_000,
  postponedRetryMs: 30_000,
  afterCallMs: 60_000,
  renewAfterMs: 3_600_000,
};
