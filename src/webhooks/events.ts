import type { CallFigures } from '../figures/call-figures.ts';
import type { Voicemail } from '../voicemail/message.ts';

/** What an endpoint can be told of. */
export const WEBHOOK_EVENT_TYPES = [
  'call.started',
  'sentence.final',
  'call.complete',
  'qa.finding',
  'voicemail.ready',
] as const;
export type WebhookEventType = (typeof WEBHOOK_EVENT_TYPES)[number];

/** What a message tells. */
export type WebhookEvent =
  | { readonly type: 'call.started'; readonly data: ToldCall }
  | { readonly type: 'sentence.final'; readonly data: ToldSentence }
  | { readonly type: 'call.complete'; readonly data: ToldCall & { readonly figures: CallFigures | null } }
  | { readonly type: 'voicemail.ready'; readonly data: Voicemail & { readonly state: string } }
  | { readonly type: 'qa.finding'; readonly data: ToldOther }
  | { readonly type: 'webhook.test'; readonly data: { readonly endpointId: string } };

/** A call as it stands when the message is sent. */
export interface ToldCall {
  readonly callId: string;
  readonly tenant: string;
  readonly direction: string;
  /** `failed` in `call.complete`: not all of the call became text. */
  readonly state: 'active' | 'finishing' | 'complete' | 'failed';
  readonly startedAt: Date;
  readonly answeredAt: Date | null;
  readonly endedAt: Date | null;
  readonly endReason: string | null;
  readonly identifiers: readonly { readonly kind: string; readonly value: string }[];
  readonly legs: readonly {
    readonly legId: string;
    readonly legNo: number;
    readonly role: string;
    readonly name: string | null;
    readonly uri: string | null;
  }[];
}

/** A final sentence. Milliseconds count from the leg's first sample. */
export interface ToldSentence {
  readonly callId: string;
  readonly tenant: string;
  readonly legId: string;
  readonly legNo: number;
  readonly role: string;
  readonly sentenceNo: number;
  readonly beginMs: number;
  readonly endMs: number;
  readonly beginAt: Date;
  readonly endAt: Date;
  readonly text: string;
  readonly emoTag: string | null;
  readonly emoConfidence: number | null;
}

/** What the maker of the event gave, with the call that it belongs to. */
export type ToldOther = Readonly<Record<string, unknown>> & { readonly callId: string };

/**
 * The body of a message after Standard Webhooks, "Payload structure": type, timestamp, data. Names are written as in
 * the API and the tables (`begin_ms`); what the maker of an event gave stays as it is.
 *
 * @param at when it happened, not when it is sent
 */
export function encodeBody(event: WebhookEvent, at: Date): string {
  const data =
    event.type === 'qa.finding'
      ? { ...event.data, callId: undefined, call_id: event.data.callId }
      : snakeCased(event.data);
  return JSON.stringify({ type: event.type, timestamp: at, data });
}

function snakeCased(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeCased);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [snakeCase(name), snakeCased(inner)]),
  );
}

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
