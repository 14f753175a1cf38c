import type { CallEvent, CallRecord, LegRecord } from '../../src/call/record.ts';
import type { CallId, LegId } from '../../src/ids.ts';
import { newCallId, newLegId } from '../../src/ids.ts';
import type { FinalSentence } from '../../src/transcript/sentence.ts';

const STARTED_AT = new Date('2026-03-01T08:00:00.000Z');

/** A call's snapshot with two legs; what matters to a test is handed in. */
export function aCall(over: Partial<CallRecord> = {}): CallRecord {
  const id = over.id ?? newCallId();
  return {
    id,
    revision: 1,
    state: 'active',
    sipCallId: 'a84b4c76e66710@pbx.example.com',
    tenant: 'default',
    direction: 'inbound',
    mapping: 'metadata',
    startedAt: STARTED_AT,
    answeredAt: new Date(STARTED_AT.getTime() + 40),
    endedAt: undefined,
    endReason: undefined,
    metadata: { group: 'sales' },
    identifiers: [{ kind: 'sip-call-id', value: 'a84b4c76e66710@pbx.example.com' }],
    legs: [aLeg({ id: newLegId(id), role: 'agent' }), aLeg({ id: newLegId(id), legNo: 1, role: 'customer' })],
    ...over,
  };
}

export function aLeg(over: Partial<LegRecord> = {}): LegRecord {
  return {
    id: newLegId(newCallId()),
    legNo: 0,
    label: '1',
    role: 'unknown',
    name: 'Anna',
    uri: 'sip:anna@example.com',
    roleEvidence: { mapping: 'metadata', rule: 'stated', saw: 'role agent' },
    codec: 'PCMA',
    model: 'paraformer-realtime-8k-v2',
    vocabularyId: undefined,
    startedAt: STARTED_AT,
    endedAt: undefined,
    media: undefined,
    sentenceCount: undefined,
    ...over,
  };
}

/** The call's last snapshot: every leg has ended and told how many sentences it gave. */
export function finishing(call: CallRecord, sentenceCounts: readonly number[]): CallRecord {
  const endedAt = new Date(call.startedAt.getTime() + 60_000);
  return {
    ...call,
    revision: call.revision + 1,
    state: 'finishing',
    endedAt,
    endReason: 'bye',
    legs: call.legs.map((leg, index) => ({
      ...leg,
      endedAt,
      media: { packets: 3000, lost: 0 },
      sentenceCount: sentenceCounts[index] ?? 0,
    })),
  };
}

export function aSentence(over: Partial<FinalSentence> & { callId: CallId; legId: LegId }): FinalSentence {
  const beginMs = ((over.sentenceNo ?? 1) - 1) * 2000;
  const endMs = beginMs + 1500;
  return {
    tenant: 'default',
    webhooks: undefined,
    legNo: 0,
    sentenceNo: 1,
    beginMs,
    endMs,
    beginAt: new Date(STARTED_AT.getTime() + beginMs),
    endAt: new Date(STARTED_AT.getTime() + endMs),
    text: '您好，请问有什么可以帮您？',
    words: [{ text: '您好', begin_ms: beginMs, end_ms: beginMs + 400, punctuation: '，' }],
    emoTag: undefined,
    emoConfidence: undefined,
    asrTaskId: '2bf83b9a-baeb-4fda-8d9a-000000000000',
    concealedMs: 0,
    ...over,
  };
}

export function anEvent(over: Partial<CallEvent> & { callId: CallId }): CallEvent {
  return { legId: undefined, eventNo: 1, at: STARTED_AT, kind: 'reinvite', detail: { lines: 2 }, ...over };
}
