import type { Clock } from '../clock.ts';
import { toError } from '../errors.ts';
import type { CallId } from '../ids.ts';
import type { Logger } from '../log.ts';
import { CallCursor, isSettled } from './call-cursor.ts';
import type { Encoded } from './encoded.ts';
import { CALLS_MAX, type Following } from './following.ts';
import type { LiveItem } from './items.ts';
import { contextOf, type LiveMessage, NO_FILTER, takesUp, wants } from './message.ts';
import type { CloseReason, Outlet } from './outlet.ts';
import { writePosition } from './position.ts';
import type { Progress } from './progress.ts';
import type { RowReader } from './rows.ts';

export interface SubscriptionOptions {
  readonly following: Following;
  /** What it was sent already, from a connection before this one. */
  readonly progress: Progress;
  readonly outlet: Outlet;
  readonly rows: RowReader;
  readonly encode: (item: LiveItem) => Encoded;
  /** Awaited before anything of a call is sent, once for each; where it rejects, it is asked again. */
  readonly admit: (callId: CallId) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Followed {
  readonly cursor: CallCursor;
  /** Monotonic; when its rows may be read next. */
  readAtMs: number;
  /** Readings in a row that did not bring what is missing. */
  vainReadings: number;
  /** Since when something is missing. */
  behindSinceMs: number | undefined;
  /** Whether the filter has been asked. */
  isTakenUp: boolean;
  isAdmitted: boolean;
}

const RETRY_FIRST_MS = 20;
const RETRY_MAX_MS = 2_000;
/** Numbers of events may have holes after a crash: after so long the next one is sent. */
const EVENT_HOLE_MAX_MS = 5_000;
/** A call without a row for so many readings is not there (any more). */
const NO_ROW_MAX = 40;

/**
 * One subscriber: attached to the bus before anything is read, so that what is in no row yet is heard, and what was
 * not heard is in a row. A place in each call (`CallCursor`) makes one stream of both.
 */
export class Subscription {
  readonly #options: SubscriptionOptions;
  readonly #calls = new Map<CallId, Followed>();
  #isReading = false;
  #timer: NodeJS.Timeout | undefined;
  #whenRoom: (() => void) | undefined;

  constructor(options: SubscriptionOptions) {
    this.#options = options;
  }

  get following(): Following {
    return this.#options.following;
  }

  get progress(): Progress {
    return this.#options.progress;
  }

  /** Begins to send. It must hear the bus by now. */
  async start(): Promise<void> {
    const { following, progress, rows, outlet } = this.#options;
    if (following.kind === 'call') {
      this.#follow(following.callId, true);
    } else {
      outlet.note('hello', { session: following.sessionId });
      for (const callId of progress.goingOn) this.#follow(callId, true, NO_ROW_MAX);
      const { filter, since } = following;
      for (const callId of await rows.callsToFollow(filter.tenant, since, CALLS_MAX)) {
        this.#follow(callId, false);
      }
    }
    this.#read();
  }

  accept(message: LiveMessage): void {
    if ('rowsOf' in message) {
      this.#calls.get(message.rowsOf)?.cursor.doubt();
      this.#hurry(message.rowsOf);
      return;
    }
    const { call, item } = message;
    const { following } = this.#options;
    if (!this.#calls.has(call.id)) {
      if (following.kind === 'call' || !takesUp(following.filter, call)) return;
      this.#follow(call.id, true);
    }
    const followed = this.#calls.get(call.id);
    if (followed === undefined) return;
    this.#send(call.id, followed.cursor.accept(item));
    if (followed.cursor.isBehind) this.#hurry(call.id);
    else this.#caughtUp(followed);
  }

  /** Messages may have been lost. */
  doubt(): void {
    for (const [callId, { cursor }] of this.#calls) {
      cursor.doubt();
      this.#hurry(callId);
    }
  }

  drained(): void {
    this.#options.outlet.drained();
    if (!this.#options.outlet.hasRoom) return;
    this.#whenRoom?.();
  }

  /** The connection is gone, or is to go. */
  close(reason: CloseReason | 'gone'): void {
    clearTimeout(this.#timer);
    if (reason === 'gone') this.#options.outlet.gone();
    else this.#options.outlet.close(reason);
    this.#calls.clear();
    this.#whenRoom?.();
  }

  #follow(callId: CallId, isTakenUp: boolean, vainReadings = 0): void {
    const { progress, clock } = this.#options;
    if (this.#calls.has(callId) || progress.hasEnded(callId) || this.#calls.size >= CALLS_MAX) return;
    const cursor = new CallCursor(progress.positionIn(callId));
    const readAtMs = clock.monotonicMs();
    const followed = {
      cursor,
      readAtMs,
      vainReadings,
      behindSinceMs: readAtMs,
      isTakenUp,
      isAdmitted: false,
    };
    this.#calls.set(callId, followed);
  }

  /** Something of the call is missing: its rows are read now, unless they were in vain a moment ago. */
  #hurry(callId: CallId): void {
    const followed = this.#calls.get(callId);
    if (followed === undefined) return;
    if (followed.behindSinceMs === undefined) {
      followed.behindSinceMs = this.#options.clock.monotonicMs();
      followed.readAtMs = followed.behindSinceMs;
    }
    this.#read();
  }

  #caughtUp(followed: Followed): void {
    followed.behindSinceMs = undefined;
    followed.vainReadings = 0;
  }

  #read(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    void this.#readAll().finally(() => {
      this.#isReading = false;
      this.#readLater();
    });
  }

  #readLater(): void {
    clearTimeout(this.#timer);
    const dueAtMs = Math.min(
      ...[...this.#calls.values()].flatMap(({ cursor, readAtMs }) => (cursor.isBehind ? [readAtMs] : [])),
    );
    if (this.#options.outlet.isClosed() || !Number.isFinite(dueAtMs)) return;
    const waitMs = Math.max(dueAtMs - this.#options.clock.monotonicMs(), 0);
    this.#timer = setTimeout(() => {
      this.#read();
    }, waitMs);
  }

  /** Reads the rows of each call that is behind and due. Never rejects. */
  async #readAll(): Promise<void> {
    const { outlet, clock, logger } = this.#options;
    for (;;) {
      if (!outlet.hasRoom && !outlet.isClosed()) await this.#room();
      if (outlet.isClosed()) return;
      const nowMs = clock.monotonicMs();
      const next = [...this.#calls].find(([, { cursor, readAtMs }]) => cursor.isBehind && readAtMs <= nowMs);
      if (next === undefined) return;
      await this.#readOne(...next).catch((error: unknown) => {
        logger.warn(
          { err: toError(error), callId: next[0] },
          'a live stream could not read rows; it tries again',
        );
        this.#inVain(next[1]);
      });
    }
  }

  async #readOne(callId: CallId, followed: Followed): Promise<void> {
    const { following, rows: reader, outlet, clock } = this.#options;
    const { cursor } = followed;
    const rows = await reader.read(callId, cursor.position);
    if (outlet.isClosed() || this.#calls.get(callId) !== followed) return;
    if (rows === undefined) {
      this.#inVain(followed);
      if (followed.vainReadings > NO_ROW_MAX) this.#leave(callId);
      return;
    }
    if (following.kind === 'many') {
      // The tenant always: the client may have named the call itself.
      const { tenant } = following.filter;
      const filter = followed.isTakenUp ? { ...NO_FILTER, tenant } : following.filter;
      if (!takesUp(filter, contextOf(rows.call))) {
        this.#calls.delete(callId);
        return;
      }
    }
    followed.isTakenUp = true;
    if (!followed.isAdmitted) {
      await this.#options.admit(callId);
      followed.isAdmitted = true;
      followed.vainReadings = 0;
      if (outlet.isClosed()) return;
    }
    this.#send(callId, cursor.fill(rows));
    if (cursor.hasEnded) {
      this.#leave(callId);
      return;
    }
    const nowMs = clock.monotonicMs();
    if (cursor.isBehind && !rows.hasMore && nowMs - (followed.behindSinceMs ?? nowMs) > EVENT_HOLE_MAX_MS) {
      this.#send(callId, cursor.passEventHole());
    }
    if (!cursor.isBehind) this.#caughtUp(followed);
    else if (!rows.hasMore) this.#inVain(followed);
  }

  #inVain(followed: Followed): void {
    const pauseMs = Math.min(RETRY_FIRST_MS * 2 ** followed.vainReadings, RETRY_MAX_MS);
    followed.vainReadings += 1;
    followed.readAtMs = this.#options.clock.monotonicMs() + pauseMs;
  }

  #leave(callId: CallId): void {
    this.#calls.delete(callId);
    if (this.#options.following.kind === 'call') this.close('ended');
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenRoom = () => {
        this.#whenRoom = undefined;
        resolve();
      };
    });
  }

  #send(callId: CallId, items: readonly LiveItem[]): void {
    const { following, outlet, encode, progress } = this.#options;
    for (const item of items) {
      const id = this.#note(callId, item);
      if (following.kind === 'many' && !wants(following.filter, item)) continue;
      outlet.send(item, encode(item), id);
      // What was not sent must not count as sent.
      if (outlet.isClosed() && id !== undefined) progress.goBackTo(progress.stepNo - 1);
      if (outlet.isClosed()) return;
    }
  }

  /** @returns what the client sends to go on after it; undefined where that is as before */
  #note(callId: CallId, item: LiveItem): string | undefined {
    const { following, progress } = this.#options;
    switch (item.type) {
      case 'sentence.partial':
        return undefined;
      case 'call':
        if (!isSettled(item.data.state) || !this.#calls.get(callId)?.cursor.hasEnded) return undefined;
        progress.ended(callId);
        break;
      case 'call.event':
        progress.event(callId, item.data.event_no);
        break;
      case 'sentence.final':
        progress.sentence(callId, item.data.leg_no, item.data.sentence_no);
        break;
      default:
        return item satisfies never;
    }
    if (following.kind === 'many') return `${following.sessionId}.${progress.stepNo}`;
    return writePosition(progress.positionIn(callId)) + (progress.hasEnded(callId) ? ENDED : '');
  }
}

/** Ends the id of a call's last item. */
export const ENDED = ';end';
