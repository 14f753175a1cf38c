import { randomUUID } from 'node:crypto';

import type { Bus, BusListener, Unsubscribe } from '../bus/bus.ts';
import type { Clock } from '../clock.ts';
import type { CallId } from '../ids.ts';
import type { Logger } from '../log.ts';
import { Encoded } from './encoded.ts';
import type { Following, ManyStart } from './following.ts';
import type { LiveItem } from './items.ts';
import { LIVE_CHANNEL, type LiveFilter, readLiveMessage } from './message.ts';
import { type CloseReason, Outlet, type Sink } from './outlet.ts';
import type { CallPosition } from './position.ts';
import { Progress } from './progress.ts';
import { type LiveStore, RowReader } from './rows.ts';
import { LiveSessions } from './sessions.ts';
import { Subscription } from './subscription.ts';

export interface LiveFeedOptions {
  readonly bus: Pick<Bus, 'subscribe'>;
  readonly store: LiveStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onOutcome: (outcome: LiveOutcome) => void;
}

/**
 * - `partial_dropped`: a slow subscriber did not get a partial sentence; `too_slow`: it was disconnected;
 * - `revoked`: a subscriber was disconnected, whose credential holds no more;
 * - `reset`: a subscriber that came back could not go on where it was; `malformed`: a message that could not be read.
 */
export type LiveOutcome = 'partial_dropped' | 'too_slow' | 'revoked' | 'reset' | 'malformed';

export const BEAT_EVERY_MS = 15_000;
/** A last message that was lost with nothing after it shows at the latest now. */
const DOUBT_EVERY_BEATS = 2;

/** Who follows, and how they are reached. */
export interface Subscriber {
  /** Only they may go on with what they began. */
  readonly owner: string;
  readonly sink: Sink;
  /** Awaited before anything of a call is sent, once for each; where it rejects, it is asked again. */
  readonly admit: (callId: CallId) => Promise<void>;
}

/** A subscriber's connection, as whoever holds the socket sees it. */
export interface Connection {
  /** The socket has room again. */
  readonly drained: () => void;
  /** The socket is gone. */
  readonly gone: () => void;
  /** It is to end. */
  readonly close: (reason: CloseReason) => void;
}

/** The subscribers of this process: hears the bus once, for all of them. */
export class LiveFeed {
  readonly #options: LiveFeedOptions;
  readonly #rows: RowReader;
  readonly #sessions: LiveSessions;
  readonly #all = new Map<Subscription, Outlet>();
  readonly #many = new Set<Subscription>();
  readonly #byCall = new Map<CallId, Set<Subscription>>();
  readonly #encoded = new WeakMap<LiveItem, Encoded>();
  readonly #beat: NodeJS.Timeout;
  #beats = 0;
  #unsubscribe: Unsubscribe = () => Promise.resolve();
  #isClosed = false;

  /** @throws {CallscribeError} BUS_UNREACHABLE */
  static async open(options: LiveFeedOptions): Promise<LiveFeed> {
    const feed = new LiveFeed(options);
    try {
      feed.#unsubscribe = await options.bus.subscribe(LIVE_CHANNEL, feed.#listener());
    } catch (error) {
      clearInterval(feed.#beat);
      throw error;
    }
    return feed;
  }

  private constructor(options: LiveFeedOptions) {
    this.#options = options;
    this.#rows = new RowReader(options.store);
    this.#sessions = new LiveSessions(options.clock);
    this.#beat = setInterval(() => {
      this.#beatAll();
    }, BEAT_EVERY_MS);
    this.#beat.unref();
  }

  get subscribers(): number {
    return this.#all.size;
  }

  /** Sends all of one call, from that position to its end. */
  async followCall(callId: CallId, position: CallPosition, subscriber: Subscriber): Promise<Connection> {
    const progress = new Progress();
    progress.startAt(callId, position);
    return this.#start({ kind: 'call', callId }, progress, subscriber);
  }

  /**
   * Sends all of the calls that the filter takes up: what was said of those that go on, then everything to their ends.
   */
  async followMany(filter: LiveFilter, start: ManyStart, subscriber: Subscriber): Promise<Connection> {
    const { owner, sink } = subscriber;
    const session = start.kind === 'after' ? this.#resume(start.lastId, filter, owner) : undefined;
    if (start.kind === 'after' && session === undefined) {
      this.#options.onOutcome('reset');
      sink.send(new Encoded('reset', { reason: 'unknown_position' }), undefined);
    }
    const { id: sessionId, progress } = session ?? { id: randomUUID(), progress: new Progress() };
    if (start.kind === 'positions') {
      for (const [callId, position] of start.calls) progress.startAt(callId, position);
    }
    const since = start.kind === 'positions' ? start.since : session?.since;
    return this.#start({ kind: 'many', filter, since, sessionId, owner }, progress, subscriber);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#beat);
    for (const subscription of this.#all.keys()) subscription.close('shutdown');
    await this.#unsubscribe();
  }

  #resume(lastId: string, filter: LiveFilter, owner: string): ReturnType<LiveSessions['resume']> {
    // The client may be back before its old connection is known to be gone.
    for (const subscription of this.#many) {
      const { following } = subscription;
      if (following.kind !== 'many' || following.owner !== owner) continue;
      if (lastId.startsWith(`${following.sessionId}.`)) subscription.close('replaced');
    }
    return this.#sessions.resume(lastId, filter, owner);
  }

  async #start(following: Following, progress: Progress, subscriber: Subscriber): Promise<Connection> {
    const { sink, admit } = subscriber;
    const { clock, logger, onOutcome } = this.#options;
    const remove = (): void => {
      this.#all.delete(subscription);
      this.#many.delete(subscription);
      if (following.kind === 'many') {
        const { sessionId: id, filter, owner } = following;
        this.#sessions.keep({ id, progress, filter, owner });
        return;
      }
      const ofCall = this.#byCall.get(following.callId);
      ofCall?.delete(subscription);
      if (ofCall?.size === 0) this.#byCall.delete(following.callId);
    };
    const outlet = new Outlet(
      {
        send: (encoded, id) => {
          sink.send(encoded, id);
        },
        bytesOf: (encoded) => sink.bytesOf(encoded),
        get waitingBytes() {
          return sink.waitingBytes;
        },
        beat: () => {
          sink.beat();
        },
        close: (reason) => {
          if (reason === 'too_slow' || reason === 'revoked') onOutcome(reason);
          remove();
          sink.close(reason);
        },
      },
      () => {
        onOutcome('partial_dropped');
      },
    );
    const encode = (item: LiveItem): Encoded => this.#encode(item);
    const rows = this.#rows;
    const subscription = new Subscription({
      following,
      progress,
      outlet,
      rows,
      encode,
      admit,
      clock,
      logger,
    });
    // Before anything is read, so that nothing falls between.
    this.#all.set(subscription, outlet);
    if (following.kind === 'many') this.#many.add(subscription);
    else {
      this.#byCall.set(following.callId, (this.#byCall.get(following.callId) ?? new Set()).add(subscription));
    }
    const connection: Connection = {
      drained: () => {
        subscription.drained();
      },
      gone: () => {
        if (!this.#all.has(subscription)) return;
        subscription.close('gone');
        remove();
      },
      close: (reason) => {
        subscription.close(reason);
      },
    };
    try {
      await subscription.start();
    } catch (error) {
      connection.gone();
      throw error;
    }
    if (this.#isClosed) subscription.close('shutdown');
    return connection;
  }

  #listener(): BusListener {
    return {
      onMessage: (text) => {
        const message = readLiveMessage(text);
        if (message === undefined) {
          this.#options.onOutcome('malformed');
          return;
        }
        const callId = 'rowsOf' in message ? message.rowsOf : message.call.id;
        for (const subscription of this.#byCall.get(callId) ?? []) subscription.accept(message);
        for (const subscription of this.#many) subscription.accept(message);
      },
      onLost: () => {
        this.#doubtAll();
      },
    };
  }

  #encode(item: LiveItem): Encoded {
    let encoded = this.#encoded.get(item);
    if (encoded === undefined) this.#encoded.set(item, (encoded = new Encoded(item.type, item.data)));
    return encoded;
  }

  #beatAll(): void {
    this.#beats += 1;
    for (const outlet of this.#all.values()) outlet.beat();
    if (this.#beats % DOUBT_EVERY_BEATS === 0) this.#doubtAll();
  }

  #doubtAll(): void {
    for (const subscription of this.#all.keys()) subscription.doubt();
  }
}
