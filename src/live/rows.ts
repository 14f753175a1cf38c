import type { CallId } from '../ids.ts';
import type { StoredCall, StoredEvent, StoredLeg, StoredSentence } from '../store/stored.ts';
import type { CallRows } from './call-cursor.ts';
import { callView, eventView, sentenceView } from './items.ts';
import { type CallPosition, writePosition } from './position.ts';

/** What live streams read from the tables; a root binds it to src/store. */
export interface LiveStore {
  loadCall(callId: CallId): Promise<StoredCall | undefined>;
  loadLegs(callId: CallId): Promise<readonly StoredLeg[]>;
  sentencesSince(
    callId: CallId,
    nos: ReadonlyMap<number, number>,
    limit: number,
  ): Promise<readonly StoredSentence[]>;
  eventsSince(callId: CallId, eventNo: number, limit: number): Promise<readonly StoredEvent[]>;
  unfinishedCalls(tenant: string | undefined, limit: number): Promise<readonly CallId[]>;
  callsBegunSince(tenant: string | undefined, since: Date, limit: number): Promise<readonly CallId[]>;
}

/** Sentences, and events, of one reading. */
const PAGE_MAX = 300;
/** Readings at a time, so that streams leave sessions of the pool to others. */
const READINGS_MAX = 4;

/** Reads rows for streams: the same reading that several ask for before it begins is done once. */
export class RowReader {
  readonly #store: LiveStore;
  readonly #notBegun = new Map<string, Promise<CallRows | undefined>>();
  readonly #waiting: (() => void)[] = [];
  #readings = 0;

  constructor(store: LiveStore) {
    this.#store = store;
  }

  /** @returns undefined where there is no such call. @throws what the store throws */
  read(callId: CallId, position: CallPosition): Promise<CallRows | undefined> {
    const key = `${callId} ${writePosition(position)}`;
    let reading = this.#notBegun.get(key);
    if (reading === undefined) {
      reading = this.#inTurn(() => {
        // From here on it may be older than what somebody else has heard.
        this.#notBegun.delete(key);
        return this.#read(callId, position);
      });
      this.#notBegun.set(key, reading);
    }
    return reading;
  }

  /**
   * Calls that go on, and those that began since then, newest first.
   *
   * @throws what the store throws
   */
  async callsToFollow(
    tenant: string | undefined,
    since: Date | undefined,
    limit: number,
  ): Promise<Iterable<CallId>> {
    const found = await Promise.all([
      this.#store.unfinishedCalls(tenant, limit),
      since === undefined ? [] : this.#store.callsBegunSince(tenant, since, limit),
    ]);
    return new Set(found.flat());
  }

  async #read(callId: CallId, { eventNo, sentenceNos }: CallPosition): Promise<CallRows | undefined> {
    // The call first: when it is complete, all its sentences are there.
    const call = await this.#store.loadCall(callId);
    if (call === undefined) return undefined;
    const [legs, events, sentences] = await Promise.all([
      this.#store.loadLegs(callId),
      this.#store.eventsSince(callId, eventNo, PAGE_MAX),
      this.#store.sentencesSince(callId, sentenceNos, PAGE_MAX),
    ]);
    return {
      call: callView(call, legs),
      events: events.map((event) => eventView(callId, event)),
      sentences: sentences.map((sentence) => sentenceView(callId, sentence, sentence.role)),
      hasMore: events.length === PAGE_MAX || sentences.length === PAGE_MAX,
    };
  }

  /** Never at once, so that whoever asks next finds what has not begun. */
  async #inTurn<T>(read: () => Promise<T>): Promise<T> {
    await this.#turn();
    try {
      return await read();
    } finally {
      // The turn goes on to the next, or is given back.
      const next = this.#waiting.shift();
      if (next === undefined) this.#readings -= 1;
      else next();
    }
  }

  #turn(): Promise<void> {
    if (this.#readings >= READINGS_MAX) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#readings += 1;
    return Promise.resolve();
  }
}
