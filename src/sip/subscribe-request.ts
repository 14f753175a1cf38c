import { headerValues } from './header-lines.ts';
import type { RequestText } from './invite.ts';
import { MESSAGE_SUMMARY, SUMMARY_TYPE } from './message-summary.ts';

/** What a SUBSCRIBE asks for, or the final response that it gets. RFC 6665 §4.2.1, RFC 3842 §3. */
export type SubscribeReading =
  | {
      readonly kind: 'subscribe';
      /** The Event header of each NOTIFY: the package, and the id that the peer gave. */
      readonly event: string;
      /** How long from now; 0: the counts once, or no longer. */
      readonly seconds: number;
    }
  | {
      readonly kind: 'refuse';
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
    };

export interface SubscriptionSeconds {
  /** Who asks for less gets 423. */
  readonly min: number;
  /** Who asks for more, or for nothing, gets this much. */
  readonly max: number;
}

/** RFC 6665 §8.2.2: what we notify of. */
export const ALLOW_EVENTS = { 'Allow-Events': MESSAGE_SUMMARY } as const;

const ACCEPTED: ReadonlySet<string> = new Set([SUMMARY_TYPE, 'application/*', '*/*']);

export function readSubscribe(request: RequestText, { min, max }: SubscriptionSeconds): SubscribeReading {
  const refuse = (status: number, headers: Readonly<Record<string, string>> = {}): SubscribeReading => ({
    kind: 'refuse',
    status,
    headers,
  });
  const [event = ''] = headerValues(request, 'event', 'o');
  const [name = '', ...parameters] = event.split(';').map((part) => part.trim());
  if (name.toLowerCase() !== MESSAGE_SUMMARY) return refuse(489, ALLOW_EVENTS);
  if (headerValues(request, 'contact', 'm').length === 0) return refuse(400);
  const types = headerValues(request, 'accept').flatMap((value) => value.split(','));
  const isAccepted = types.some((type) => ACCEPTED.has(type.split(';', 1)[0]!.trim().toLowerCase()));
  if (types.length > 0 && !isAccepted) return refuse(406);
  const [expires] = headerValues(request, 'expires');
  if (expires !== undefined && !/^\d{1,10}$/.test(expires.trim())) return refuse(400);
  const asked = expires === undefined ? max : Number(expires);
  if (asked > 0 && asked < min) return refuse(423, { 'Min-Expires': String(min) });
  const id = parameters.find((parameter) => /^id=[\w.!%*+`'~-]{1,64}$/i.test(parameter));
  return {
    kind: 'subscribe',
    event: id === undefined ? MESSAGE_SUMMARY : `${MESSAGE_SUMMARY};${id}`,
    seconds: Math.min(asked, max),
  };
}
