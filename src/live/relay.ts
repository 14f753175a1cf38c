import type { Bus } from '../bus/bus.ts';
import type { CallEvent, CallRecord, LegRecord } from '../call/record.ts';
import type { CallId } from '../ids.ts';
import type { TranscriptEvent } from '../transcript/sentence.ts';
import type { LiveHub } from './hub.ts';
import { callView, eventView, type LiveItem, partialView, sentenceView } from './items.ts';
import { type CallContext, contextOf, LIVE_CHANNEL, type LiveMessage } from './message.ts';

interface KnownCall {
  readonly context: CallContext;
  readonly roles: ReadonlyMap<number, LegRecord['role']>;
}

/** Calls of which the relay knows whose they are; the one that changed longest ago is forgotten first. */
const CALLS_MAX = 10_000;

/**
 * Takes what happens in the calls of this process to the bus. What is said before a call has its first record is left
 * out: who follows it sees by the numbers that it is missing, and reads it from the rows.
 */
export class LiveRelay {
  readonly #hub: LiveHub;
  readonly #bus: Pick<Bus, 'publish'>;
  readonly #calls = new Map<CallId, KnownCall>();
  readonly #listeners = {
    call: (record: CallRecord) => {
      this.#call(record);
    },
    transcript: (event: TranscriptEvent) => {
      this.#transcript(event);
    },
    event: (event: CallEvent) => {
      this.#publish(event.callId, () => ({ type: 'call.event', data: eventView(event.callId, event) }));
    },
  };

  constructor(hub: LiveHub, bus: Pick<Bus, 'publish'>) {
    this.#hub = hub;
    this.#bus = bus;
    hub.on('call', this.#listeners.call);
    hub.on('transcript', this.#listeners.transcript);
    hub.on('event', this.#listeners.event);
  }

  close(): void {
    this.#hub.off('call', this.#listeners.call);
    this.#hub.off('transcript', this.#listeners.transcript);
    this.#hub.off('event', this.#listeners.event);
  }

  #call(record: CallRecord): void {
    const view = callView(record, record.legs);
    const roles = new Map(record.legs.map(({ legNo, role }) => [legNo, role]));
    this.#calls.delete(record.id);
    this.#calls.set(record.id, { context: contextOf(view), roles });
    if (this.#calls.size > CALLS_MAX) {
      const [oldest] = this.#calls.keys();
      if (oldest !== undefined) this.#calls.delete(oldest);
    }
    this.#publish(record.id, () => ({ type: 'call', data: view }));
  }

  #transcript({ kind, sentence }: TranscriptEvent): void {
    this.#publish(sentence.callId, ({ roles }) => {
      const role = roles.get(sentence.legNo) ?? 'unknown';
      return kind === 'final'
        ? { type: 'sentence.final', data: sentenceView(sentence.callId, sentence, role) }
        : { type: 'sentence.partial', data: partialView(sentence, role) };
    });
  }

  #publish(callId: CallId, itemOf: (call: KnownCall) => LiveItem): void {
    const call = this.#calls.get(callId);
    if (call === undefined) return;
    const message: LiveMessage = { call: call.context, item: itemOf(call) };
    this.#bus.publish(LIVE_CHANNEL, JSON.stringify(message));
  }
}

/** Rows of a call have changed in a way that only the store knows of, such as its being complete. */
export function tellRowsChanged(bus: Pick<Bus, 'publish'>, callId: CallId): void {
  bus.publish(LIVE_CHANNEL, JSON.stringify({ rowsOf: callId } satisfies LiveMessage));
}
