import type { Clock } from '../clock.ts';
import type { LiveFilter } from './message.ts';
import type { Progress } from './progress.ts';

/** A stream over many calls whose connection is gone. */
export interface LiveSession {
  readonly id: string;
  readonly progress: Progress;
  readonly filter: LiveFilter;
  readonly owner: string;
  /** Calls that began after it may be unknown to the subscriber, also where they have ended. */
  readonly since: Date;
}

/** How long a subscriber may stay away and still go on where it was. */
export const SESSION_KEPT_MS = 60_000;
/** Calls that began so long before it left may not have been heard of; and clocks differ. */
const SINCE_BEFORE_MS = 10_000;
/** The one that was left longest ago goes first. */
const SESSIONS_MAX = 1_000;

const LAST_ID = /^([0-9a-f-]{36})\.(\d{1,12})$/;

/** Streams over many calls that may be taken up again, in this process. */
export class LiveSessions {
  readonly #clock: Clock;
  readonly #kept = new Map<string, LiveSession & { readonly untilMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  keep(session: Omit<LiveSession, 'since'>): void {
    const since = new Date(this.#clock.wallTime().getTime() - SINCE_BEFORE_MS);
    const nowMs = this.#clock.monotonicMs();
    for (const [id, { untilMs }] of this.#kept) if (untilMs < nowMs) this.#kept.delete(id);
    this.#kept.set(session.id, { ...session, since, untilMs: nowMs + SESSION_KEPT_MS });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > SESSIONS_MAX && oldest !== undefined) this.#kept.delete(oldest);
  }

  /**
   * @param lastId the last that the client had
   * @returns undefined where it cannot be gone on with: unknown, too old, somebody else's, or of another filter
   */
  resume(lastId: string, filter: LiveFilter, owner: string): LiveSession | undefined {
    const [, id = '', stepNo = ''] = LAST_ID.exec(lastId) ?? [];
    const session = this.#kept.get(id);
    if (session === undefined || session.untilMs < this.#clock.monotonicMs()) return undefined;
    if (session.owner !== owner || JSON.stringify(session.filter) !== JSON.stringify(filter)) {
      return undefined;
    }
    if (!session.progress.goBackTo(Number(stepNo))) return undefined;
    this.#kept.delete(id);
    return session;
  }
}
