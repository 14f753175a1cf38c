import type { CallView, EventView, LiveItem, SentenceView } from './items.ts';
import { Lane } from './lane.ts';
import type { CallPosition } from './position.ts';

/** What the tables hold of a call, from a position on. Read in this order, so that a complete call has all its sentences. */
export interface CallRows {
  readonly call: CallView;
  readonly events: readonly EventView[];
  /** By the time at which they were begun. */
  readonly sentences: readonly SentenceView[];
  /** Whether there is more than was read at once. */
  readonly hasMore: boolean;
}

export const isSettled = (state: CallView['state']): boolean => state === 'complete' || state === 'failed';

/**
 * One subscriber's place in one call. It takes what comes over the bus and what the tables hold, in any order and any
 * number of times, and gives out every final sentence of a leg, and every event, once and in the order of the numbers.
 * Until the rows were read for the first time nothing is given out: what was said before comes first.
 *
 *     joining ──first rows──▶ following ──rows of a settled call──▶ ended
 */
export class CallCursor {
  readonly #legs = new Map<number, Lane<LiveItem>>();
  readonly #events: Lane<LiveItem>;
  #state: 'joining' | 'following' | 'ended' = 'joining';
  #revision = 0;
  /** Something may have been missed of which nothing is known. */
  #isDoubtful = true;

  constructor({ eventNo, sentenceNos }: CallPosition) {
    this.#events = new Lane(eventNo);
    for (const [legNo, sentenceNo] of sentenceNos) this.#legs.set(legNo, new Lane(sentenceNo));
  }

  get position(): CallPosition {
    const sentenceNos = new Map([...this.#legs].map(([legNo, { doneNo }]) => [legNo, doneNo]));
    return { eventNo: this.#events.doneNo, sentenceNos };
  }

  /** Whether the rows are to be read: something is missing, or may be. */
  get isBehind(): boolean {
    if (this.#state === 'ended') return false;
    return (
      this.#isDoubtful || this.#events.isBehind || [...this.#legs.values()].some(({ isBehind }) => isBehind)
    );
  }

  /** Whether all of the call was given out. */
  get hasEnded(): boolean {
    return this.#state === 'ended';
  }

  /** Messages may have been lost, or rows have been written. */
  doubt(): void {
    this.#isDoubtful = true;
  }

  /** @returns what is due now */
  accept(item: LiveItem): readonly LiveItem[] {
    if (this.#state === 'ended') return [];
    switch (item.type) {
      case 'call':
        return this.#acceptCall(item.data);
      case 'call.event':
        this.#events.put(item.data.event_no, item);
        return this.#due([this.#events]);
      case 'sentence.final': {
        const lane = this.#leg(item.data.leg_no);
        lane.put(item.data.sentence_no, item);
        return this.#due([lane]);
      }
      case 'sentence.partial': {
        const lane = this.#leg(item.data.leg_no);
        lane.know(item.data.sentence_no - 1);
        const isStale = item.data.sentence_no <= lane.doneNo;
        return isStale || this.#state === 'joining' ? [] : [item];
      }
      default:
        return item satisfies never;
    }
  }

  /**
   * @param rows what the tables hold after {@link position}
   * @returns what is due now
   */
  fill({ call, events, sentences, hasMore }: CallRows): readonly LiveItem[] {
    if (this.#state === 'ended') return [];
    const isFirst = this.#state === 'joining';
    const settled = isSettled(call.state) && !hasMore;
    // That it is settled is told last, when all was said: it is what a screen waits for.
    const isNews = !isSettled(call.state) && (isFirst || call.revision > this.#revision);
    const due: LiveItem[] = isNews ? [this.#newestCall(call)] : [];
    this.#state = 'following';
    this.#isDoubtful = hasMore;
    for (const data of events) due.push(...this.accept({ type: 'call.event', data }));
    for (const data of sentences) due.push(...this.accept({ type: 'sentence.final', data }));
    due.push(...this.#due([this.#events, ...this.#legs.values()]));
    if (!settled) return due;
    while (this.isBehind) due.push(...this.passHoles());
    this.#state = 'ended';
    return [...due, { type: 'call', data: call }];
  }

  /** What is missing will never come. @returns what is due now */
  passHoles(): readonly LiveItem[] {
    const lanes = [this.#events, ...this.#legs.values()].filter(({ isBehind }) => isBehind);
    for (const lane of lanes) lane.passHole();
    return this.#due(lanes);
  }

  /** The same for events alone: their numbers may have holes after a crash. */
  passEventHole(): readonly LiveItem[] {
    if (this.#events.isBehind) this.#events.passHole();
    return this.#due([this.#events]);
  }

  #acceptCall(call: CallView): readonly LiveItem[] {
    for (const leg of call.legs) this.#leg(leg.leg_no).know(leg.sentence_count ?? 0);
    if (isSettled(call.state)) {
      this.#isDoubtful = true;
      return [];
    }
    if (this.#state === 'joining' || call.revision <= this.#revision) return [];
    return [this.#newestCall(call)];
  }

  #newestCall(call: CallView): LiveItem {
    this.#revision = call.revision;
    return { type: 'call', data: call };
  }

  #leg(legNo: number): Lane<LiveItem> {
    let lane = this.#legs.get(legNo);
    if (lane === undefined) this.#legs.set(legNo, (lane = new Lane(0)));
    return lane;
  }

  #due(lanes: readonly Lane<LiveItem>[]): readonly LiveItem[] {
    return this.#state === 'joining' ? [] : lanes.flatMap((lane) => lane.take());
  }
}
