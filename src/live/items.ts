import type { CallEvent, CallRecord } from '../call/record.ts';
import type { CallId } from '../ids.ts';
import type { StoredCall, StoredEvent, StoredLeg, StoredSentence } from '../store/stored.ts';
import type { FinalSentence, PartialSentence, SentenceWord } from '../transcript/sentence.ts';

/**
 * What subscribers get, in the names of the tables; times are RFC 3339. The same fact has the same content whether it
 * came over the bus or was read from its row.
 */
export type LiveItem =
  /** A call as it stands; the newest replaces those before. */
  | { readonly type: 'call'; readonly data: CallView }
  /** Each replaces the one before on its leg, and the final sentence of its number replaces it. */
  | { readonly type: 'sentence.partial'; readonly data: PartialView }
  | { readonly type: 'sentence.final'; readonly data: SentenceView }
  /** A key, a hold, a gap, a pause …; see `call_events`. */
  | { readonly type: 'call.event'; readonly data: EventView };

export interface CallView {
  readonly call_id: string;
  readonly revision: number;
  readonly state: StoredCall['state'];
  readonly tenant: string | null;
  readonly direction: string | null;
  readonly started_at: string | null;
  readonly answered_at: string | null;
  readonly ended_at: string | null;
  readonly end_reason: string | null;
  readonly identifiers: readonly { readonly kind: string; readonly value: string }[];
  readonly legs: readonly LegView[];
}

export interface LegView {
  readonly leg_id: string;
  readonly leg_no: number;
  readonly label: string | null;
  readonly role: StoredLeg['role'];
  readonly name: string | null;
  readonly uri: string | null;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  /** How many final sentences it gave; null until it has ended. */
  readonly sentence_count: number | null;
}

export interface PartialView {
  readonly call_id: string;
  readonly leg_id: string;
  readonly leg_no: number;
  readonly role: StoredLeg['role'];
  /** The number that the final sentence will have. */
  readonly sentence_no: number;
  readonly begin_ms: number;
  readonly text: string;
}

export interface SentenceView extends PartialView {
  readonly end_ms: number;
  readonly begin_at: string;
  readonly end_at: string;
  readonly words: readonly SentenceWord[];
  readonly emo_tag: string | null;
  readonly emo_confidence: number | null;
  readonly concealed_ms: number;
}

export interface EventView {
  readonly call_id: string;
  readonly event_no: number;
  readonly leg_id: string | null;
  readonly at: string;
  readonly kind: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

const iso = (at: Date | null | undefined): string | null => at?.toISOString() ?? null;

type AnyLeg = CallRecord['legs'][number] | StoredLeg;

export function callView(call: CallRecord | StoredCall, legs: readonly AnyLeg[]): CallView {
  return {
    call_id: call.id,
    revision: call.revision,
    state: call.state,
    tenant: call.tenant,
    direction: call.direction,
    started_at: iso(call.startedAt),
    answered_at: iso(call.answeredAt),
    ended_at: iso(call.endedAt),
    end_reason: call.endReason ?? null,
    identifiers: call.identifiers.map(({ kind, value }) => ({ kind, value })),
    legs: legs.map((leg) => ({
      leg_id: leg.id,
      leg_no: leg.legNo,
      label: leg.label ?? null,
      role: leg.role,
      name: leg.name ?? null,
      uri: leg.uri ?? null,
      started_at: iso(leg.startedAt),
      ended_at: iso(leg.endedAt),
      sentence_count: leg.sentenceCount ?? null,
    })),
  };
}

export function partialView(
  { callId, legId, legNo, sentenceNo, beginMs, text }: PartialSentence,
  role: StoredLeg['role'],
): PartialView {
  return {
    call_id: callId,
    leg_id: legId,
    leg_no: legNo,
    role,
    sentence_no: sentenceNo,
    begin_ms: beginMs,
    text,
  };
}

export function sentenceView(
  callId: CallId,
  sentence: FinalSentence | StoredSentence,
  role: StoredLeg['role'],
): SentenceView {
  return {
    ...partialView({ ...sentence, callId }, role),
    end_ms: sentence.endMs,
    begin_at: sentence.beginAt.toISOString(),
    end_at: sentence.endAt.toISOString(),
    words: sentence.words,
    emo_tag: sentence.emoTag ?? null,
    emo_confidence: sentence.emoConfidence ?? null,
    concealed_ms: sentence.concealedMs,
  };
}

export function eventView(callId: CallId, event: CallEvent | StoredEvent): EventView {
  return {
    call_id: callId,
    event_no: event.eventNo,
    leg_id: event.legId ?? null,
    at: event.at.toISOString(),
    kind: event.kind,
    // As a row holds it: without what JSON does not know.
    detail: JSON.parse(JSON.stringify(event.detail)) as EventView['detail'],
  };
}
