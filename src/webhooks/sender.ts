import { Webhook } from 'standardwebhooks';
import { type Dispatcher, request } from 'undici';

import { CallscribeError, systemCode, toError } from '../errors.ts';

/** Where a message goes and what it is signed with. */
export interface Destination {
  readonly url: string;
  /** `whsec_…`, newest first; each gives a signature. */
  readonly secrets: readonly string[];
}

/** One message, ready to go. */
export interface OutgoingMessage {
  /** The same for every attempt. */
  readonly messageId: string;
  readonly body: string;
}

/**
 * - `delivered`: 2xx.
 * - `refused`: the endpoint works and does not take this message (400, 413, 415, 422).
 * - `gone`: 410, it wants no more messages.
 * - `failed`: everything else; others would fare no better now.
 * - `interrupted`: by us.
 *
 * `failure` says what happened, in words that hold nothing of the message or the answer.
 */
export type SendOutcome =
  | { readonly kind: 'delivered'; readonly status: number }
  | { readonly kind: 'refused' | 'gone'; readonly failure: string }
  | { readonly kind: 'failed'; readonly failure: string; readonly retryAfterMs: number | undefined }
  | { readonly kind: 'interrupted' };

export interface SenderOptions {
  readonly agent: Dispatcher;
  /** From the first byte sent to the last header of the answer, connecting included. */
  readonly timeoutMs: number;
  readonly now: () => Date;
}

export type Send = (
  destination: Destination,
  message: OutgoingMessage,
  signal: AbortSignal,
) => Promise<SendOutcome>;

/** What follows the headers is of no use to us; read only so far that the connection can be used again. */
const ANSWER_MAX_BYTES = 16_384;

const REFUSALS: ReadonlySet<number> = new Set([400, 413, 415, 422]);
const NO_LONGER_WANTED = 410;

/** Sends messages signed after Standard Webhooks 1.0. Never rejects. */
export function createSender({ agent, timeoutMs, now }: SenderOptions): Send {
  return async (destination, message, signal) => {
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const { statusCode, headers, body } = await request(destination.url, {
        method: 'POST',
        dispatcher: agent,
        headers: headersOf(destination, message, now()),
        body: message.body,
        signal: AbortSignal.any([timeout, signal]),
      });
      // An answer that never ends changes nothing about its status; the time-out ends it.
      void body.dump({ limit: ANSWER_MAX_BYTES }).catch(() => undefined);
      return outcomeOf(statusCode, headers['retry-after'], now());
    } catch (thrown) {
      if (signal.aborted) return { kind: 'interrupted' };
      return {
        kind: 'failed',
        failure: failureOf(thrown, timeout.aborted, timeoutMs),
        retryAfterMs: undefined,
      };
    }
  };
}

function headersOf(
  { secrets }: Destination,
  { messageId, body }: OutgoingMessage,
  at: Date,
): Record<string, string> {
  return {
    'content-type': 'application/json',
    'user-agent': 'Callscribe-Webhooks/1',
    'webhook-id': messageId,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(messageId, at, body)).join(' '),
  };
}

function outcomeOf(status: number, retryAfter: string | string[] | undefined, now: Date): SendOutcome {
  if (status >= 200 && status < 300) return { kind: 'delivered', status };
  const failure = status >= 300 && status < 400 ? `redirect ${status}, not followed` : `status ${status}`;
  if (status === NO_LONGER_WANTED) return { kind: 'gone', failure };
  if (REFUSALS.has(status)) return { kind: 'refused', failure };
  return { kind: 'failed', failure, retryAfterMs: parseRetryAfter(retryAfter, now) };
}

/** RFC 9110 §10.2.3: seconds, or a date. @returns undefined for anything else */
export function parseRetryAfter(value: string | string[] | undefined, now: Date): number | undefined {
  if (typeof value !== 'string') return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000;
  const atMs = /^[A-Z][a-z]{2,8}, /.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - now.getTime());
}

function failureOf(thrown: unknown, isTimeout: boolean, timeoutMs: number): string {
  const error = toError(thrown);
  const cause = error.cause instanceof CallscribeError ? error.cause : error;
  if (cause instanceof CallscribeError) return 'address not allowed';
  return isTimeout
    ? `no answer within ${timeoutMs} ms`
    : `no connection (${systemCode(error) ?? error.name})`;
}
