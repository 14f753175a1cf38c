import { header, type SipRequest, type SipResponse } from '../sipstack/message.ts';
import type { Dialog } from './dialog.ts';

/** What a NOTIFY is answered with where the subscription is no more (RFC 6665 §4.2.2). */
const NOT_SUBSCRIBED: ReadonlySet<number> = new Set([408, 481]);

/**
 * Whether a response to a request of ours ends the dialog: to a BYE any that is final, since whoever hangs up has hung
 * up (RFC 3261 §15.1.1), other than a challenge, after which the app sends its BYE again. To a NOTIFY likewise, where it
 * told of the end, or the peer knows of no subscription.
 */
export function endsDialog(dialog: Dialog, request: SipRequest, { status }: SipResponse): boolean {
  if (status < 200 || status === 401 || status === 407) return false;
  if (request.method === 'BYE') return true;
  if (request.method !== 'NOTIFY' || dialog.usage !== 'subscribe') return false;
  const state = header(request, 'subscription-state') ?? '';
  return /^\s*terminated\b/i.test(state) || NOT_SUBSCRIBED.has(status);
}
