/** The service's own limits; tests shorten them. */
export interface SandboxTimers {
  /** A running task that gets no frame at all fails. */
  readonly noFrameMs: number;
  /** A running task with heartbeat off that hears nothing but silence fails. */
  readonly silenceMs: number;
  /** A socket without a task is closed; so is one whose task neither starts nor finishes. */
  readonly idleMs: number;
  /** Silent audio between two heartbeat results, with heartbeat on; the real period is not known. */
  readonly heartbeatMs: number;
  /** Hot words that were created or updated are `UNDEPLOYED` for so long; how long really is not known. */
  readonly deployMs: number;
}

export const SANDBOX_TIMERS: SandboxTimers = {
  noFrameMs: 23_000,
  silenceMs: 60_000,
  idleMs: 60_000,
  heartbeatMs: 5_000,
  deployMs: 0,
};

/**
 * `lenient`, as the real service is known to be: audio before task-started is kept (the Java SDK sends it), finish-task
 * before it is remembered, finish-task may name another task, a task without speech finishes. `strict` fails the task
 * for each of these, for audio after finish-task, and for less than 200 ms of audio.
 */
export type SandboxProtocol = 'lenient' | 'strict';
