import { expect } from 'vitest';

import type { CallId } from '../../src/ids.ts';
import { eventView, sentenceView } from '../../src/live/items.ts';
import { loadEvents } from '../../src/store/load-events.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import type { StoredEvent } from '../../src/store/stored.ts';
import { type MadeSentence, makeCodes } from './captioned-audio.ts';
import type { LiveClient } from './live-clients.ts';
import { placeCalls, type PlannedLeg } from './place-calls.ts';
import type { TestService } from './service.ts';

/** Of each of two legs. */
export const SENTENCES = 6;
const EVERY_MS = 1_700;

/** Both sides speak in turn. */
function legOf(role: 'agent' | 'customer', legNo: number, sentenceCount: number): PlannedLeg {
  const sentences = Array.from({ length: sentenceCount }, (_, index): MadeSentence => {
    const beginMs = 300 + legNo * 400 + index * EVERY_MS;
    return { beginMs, endMs: beginMs + 600, text: `${role === 'agent' ? '坐席' : '客户'}第${index + 1}句` };
  });
  const codes = makeCodes('PCMA', 300 + sentenceCount * EVERY_MS + 800, sentences);
  return {
    codec: 'PCMA',
    codesBase64: Buffer.from(codes).toString('base64'),
    label: String(legNo + 1),
    party: { name: role, aor: `sip:${role}@pbx.example`, role },
  };
}

/** Resolves when the call has been ended. */
export function placeTalk(test: TestService, sentenceCount = SENTENCES): Promise<unknown> {
  const legs = [legOf('agent', 0, sentenceCount), legOf('customer', 1, sentenceCount)];
  return placeCalls({
    target: test.target('udp'),
    transport: 'udp',
    calls: [{ mode: 'siprec', seed: 1, legs }],
  });
}

/** Of the call that goes on, once it has a row. */
export async function runningCall(test: TestService): Promise<CallId> {
  for (;;) {
    const { rows } = await test.pool.query<{ id: CallId }>("select id from calls where state = 'active'");
    if (rows[0] !== undefined) return rows[0].id;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Every sentence and event of the rows once, in order on each leg, and with the same content. */
export async function expectAllOf(
  test: TestService,
  callId: CallId,
  client: LiveClient,
  sentenceCount = SENTENCES,
): Promise<void> {
  const rows = await loadTranscript(test.pool, callId);
  expect(rows).toHaveLength(2 * sentenceCount);
  const ofCall = (type: string): readonly Record<string, unknown>[] =>
    client.of(type).filter(({ call_id }) => call_id === callId);
  for (const legNo of [0, 1]) {
    const ofLeg = ofCall('sentence.final').filter(({ leg_no }) => leg_no === legNo);
    const stored = rows.filter((row) => row.legNo === legNo);
    expect(ofLeg).toEqual(stored.map((row) => sentenceView(callId, row, row.role)));
  }
  const nos = ofCall('call.event').map(({ event_no }) => event_no as number);
  expect(nos).toEqual([...new Set(nos)].sort((a, b) => a - b));
  // The last ones are live before they are rows.
  const events = await eventsUpTo(test, callId, nos.at(-1) ?? 0);
  for (const event of ofCall('call.event')) {
    const stored = events.find(({ eventNo }) => eventNo === event['event_no']);
    expect(event).toEqual(stored && eventView(callId, stored));
  }
}

async function eventsUpTo(
  test: TestService,
  callId: CallId,
  eventNo: number,
): Promise<readonly StoredEvent[]> {
  for (;;) {
    const events = await loadEvents(test.pool, callId);
    if ((events.at(-1)?.eventNo ?? 0) >= eventNo) return events;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
