import type { Clock } from '../clock.ts';
import type { CallId, LegId } from '../ids.ts';
import type { LiveHub } from '../live/hub.ts';
import type { CallJournal } from './journal.ts';
import type { Publisher } from './publisher.ts';
import type { CallEvent } from './record.ts';

export interface CallEventsOptions {
  readonly callId: CallId;
  readonly publisher: Pick<Publisher, 'publishEvent'>;
  readonly live: Pick<LiveHub, 'emit'>;
  readonly journal: Pick<CallJournal, 'event'>;
  readonly clock: Clock;
}

/** The events of one call, numbered from 1: to their rows, to those who listen live, and into the journal. */
export class CallEvents {
  readonly #options: CallEventsOptions;
  #lastNo = 0;
  /** Until the call is answered, because one that never is leaves no row. */
  #held: CallEvent[] | undefined = [];

  constructor(options: CallEventsOptions) {
    this.#options = options;
  }

  /** How many there were. */
  get lastNo(): number {
    return this.#lastNo;
  }

  add(
    kind: string,
    detail: Readonly<Record<string, unknown>>,
    legId?: LegId,
    at: Date = this.#options.clock.wallTime(),
  ): void {
    this.#lastNo += 1;
    const event: CallEvent = { callId: this.#options.callId, legId, eventNo: this.#lastNo, at, kind, detail };
    if (this.#held === undefined) this.#tell(event);
    else this.#held.push(event);
  }

  /** The call is answered. */
  answered(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const event of held) this.#tell(event);
  }

  #tell(event: CallEvent): void {
    const { publisher, live, journal } = this.#options;
    publisher.publishEvent(event);
    live.emit('event', event);
    journal.event(event.eventNo);
  }
}
