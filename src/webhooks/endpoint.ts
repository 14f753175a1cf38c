import { randomBytes } from 'node:crypto';

import { CallscribeError } from '../errors.ts';
import type { Secret } from '../secret.ts';
import { ENDPOINT_NAME, ENDPOINT_NAME_RULE } from './endpoint-name.ts';
import { WEBHOOK_EVENT_TYPES, type WebhookEventType } from './events.ts';

/** Where a tenant's messages go. */
export interface WebhookEndpoint {
  readonly id: string;
  readonly tenant: string;
  /** By which routing rules name it; unique in its tenant. */
  readonly name: string | null;
  readonly url: string;
  readonly eventTypes: readonly WebhookEventType[];
  readonly state: 'active' | 'disabled';
  readonly disabledReason: 'operator' | 'gone' | 'failing' | null;
  readonly createdAt: Date;
  /** In a row, without a success between. */
  readonly failures: number;
  readonly failingSince: Date | null;
  readonly lastFailure: string | null;
  readonly delivered: number;
  readonly deliveredAt: Date | null;
  readonly waiting: number;
  readonly dead: number;
}

/** What an operator gives; the rest is made. */
export interface NewEndpoint {
  readonly tenant: string;
  readonly name?: string | undefined;
  readonly url: string;
  readonly eventTypes: readonly WebhookEventType[];
  readonly secret: Secret<string>;
}

export const URL_MAX_CHARS = 2_048;
/** Standard Webhooks: 24 to 64 bytes. */
const SECRET_BYTES = 32;

/** Such as `whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw…`. */
export const newSecret = (): string => `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`;

/**
 * An address as it is kept. Where it leads is looked at when something is sent there.
 *
 * @throws {CallscribeError} WEBHOOK_INVALID
 */
export function parseEndpointUrl(text: string): string {
  const fail = (fault: string): CallscribeError =>
    new CallscribeError(
      'WEBHOOK_INVALID',
      `the address of a webhook endpoint ${fault}; expected https://HOST/PATH`,
    );
  if (text.length > URL_MAX_CHARS) {
    throw fail(`has ${text.length} characters, at most ${URL_MAX_CHARS} may be`);
  }
  if (!URL.canParse(text)) throw fail('is no URL');
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw fail('is neither https nor http');
  if (url.username !== '' || url.password !== '') throw fail('holds a user or a password, which is not sent');
  if (url.hash !== '') throw fail('has a fragment (#…), which is not sent');
  return url.href;
}

/** @throws {CallscribeError} WEBHOOK_INVALID */
export function parseEndpointName(text: string): string {
  if (ENDPOINT_NAME.test(text)) return text;
  throw new CallscribeError(
    'WEBHOOK_INVALID',
    `the name of a webhook endpoint: expected ${ENDPOINT_NAME_RULE}`,
  );
}

/** @throws {CallscribeError} WEBHOOK_INVALID */
export function parseEventTypes(names: readonly string[]): readonly WebhookEventType[] {
  const known = WEBHOOK_EVENT_TYPES.filter((type) => names.includes(type));
  const unknown = names.filter((name) => !WEBHOOK_EVENT_TYPES.some((type) => type === name));
  if (unknown.length === 0 && known.length > 0) return known;
  throw new CallscribeError(
    'WEBHOOK_INVALID',
    `events: found ${unknown.length === 0 ? 'none' : `${unknown.length} that are not known`}, allowed are ` +
      WEBHOOK_EVENT_TYPES.join(', '),
  );
}

/** After a change of the secret the one before signs as well, so that a receiver may change over in its own time. */
export const SECRET_OVERLAP_MS = 86_400_000;
