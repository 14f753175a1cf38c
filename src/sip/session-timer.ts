import { headerValues, requires, supports } from './header-lines.ts';
import type { RequestText } from './invite.ts';

/** RFC 4028 §5: nobody may ask for less. */
export const MIN_SESSION_SECONDS = 90;
/** Nobody means more than a day; and a timer cannot wait much longer. */
const MAX_SESSION_SECONDS = 86_400;

/** What we make of the session timer that a request asks for (RFC 4028 §9). */
export type SessionTimer =
  | { readonly kind: 'none' }
  /** To be answered 422 with Min-SE. */
  | { readonly kind: 'too-small' }
  | {
      readonly kind: 'agreed';
      readonly seconds: number;
      /** `uac` is who sent the request. */
      readonly refresher: 'uac' | 'uas';
      /** Whether the 2xx must say `Require: timer`. */
      readonly required: boolean;
    };

/**
 * Agrees to what the peer asks for; a session that it wants without an end gets none from us. The peer
 * refreshes, unless it says otherwise or does not know session timers (a proxy on the way asked then). The
 * timer itself runs in the edge, which starts it for a 2xx that names a refresher.
 */
export function agreeSessionTimer(request: RequestText): SessionTimer {
  const [asked] = headerValues(request, 'session-expires', 'x');
  const found = /^\s*(\d{1,10})(?!\d)/.exec(asked ?? '');
  if (asked === undefined || found === null) return { kind: 'none' };
  const knowsTimers = supports(request, 'timer');
  const seconds = Number(found[1]);
  if (seconds < MIN_SESSION_SECONDS && knowsTimers) return { kind: 'too-small' };
  const wanted = /;\s*refresher\s*=\s*(uac|uas)\b/i.exec(asked)?.[1]?.toLowerCase();
  const refresher = !knowsTimers ? 'uas' : wanted === 'uas' ? 'uas' : 'uac';
  return {
    kind: 'agreed',
    seconds: Math.min(Math.max(seconds, MIN_SESSION_SECONDS, minimumOf(request)), MAX_SESSION_SECONDS),
    refresher,
    // §9: MUST where the peer refreshes, SHOULD where we do and it knows of it.
    required: knowsTimers,
  };
}

/** Headers of the 2xx. */
export function sessionTimerHeaders(timer: SessionTimer): {
  readonly 'Session-Expires'?: string;
  readonly Require?: string;
} {
  if (timer.kind !== 'agreed') return {};
  const expires = { 'Session-Expires': `${timer.seconds};refresher=${timer.refresher}` };
  return timer.required ? { ...expires, Require: 'timer' } : expires;
}

/** Min-SE of the request: we may not agree on less (RFC 4028 §9). */
function minimumOf(request: RequestText): number {
  const [value] = headerValues(request, 'min-se');
  return Number(/^\s*(\d{1,6})/.exec(value ?? '')?.[1] ?? 0);
}

/** Whether provisional responses to this INVITE must be reliable (RFC 3262 §3). */
export const requiresReliable = (request: RequestText): boolean => requires(request, '100rel');
