import { CallscribeError, systemCode, toError } from '../errors.ts';
import { requires } from '../sip/header-lines.ts';
import type { CallIdentifier } from '../sip/identifiers.ts';
import type { InviteOutcome, InviteRequest } from '../sip/invite-handler.ts';
import { type JoinKey, joinKeyOf } from '../sip/join.ts';
import { readReplaces, type Replaces } from '../sip/replaces.ts';
import { Call, type CallServices } from './call.ts';
import type { CallPolicy, RouteCall } from './policy.ts';
import type { CallRegistry } from './registry.ts';

export interface IntakeServices extends CallServices {
  readonly registry: CallRegistry;
  readonly route: RouteCall;
  /** Headers by which INVITEs are joined to one call; lower case. */
  readonly joinHeaders: readonly string[];
  /** Our address as this peer reaches it; stands in the answers. */
  readonly mediaAddressFor: (peerAddress: string) => Promise<string>;
  /** Whether what calls give can be kept; while it cannot, new calls are refused. */
  readonly canPublish: () => boolean;
}

const RETRY_AFTER_SECONDS = 5;
const BUSY: InviteOutcome = { kind: 'refuse', status: 503, retryAfterSeconds: RETRY_AFTER_SECONDS };

/** Whether a new call would be taken now. */
export function isAccepting({ registry, canPublish }: IntakeServices): boolean {
  return !registry.draining && registry.hasRoom() && registry.keepsPace && canPublish();
}

/**
 * Decides on a new INVITE: opens a call, or one more dialog of a call that stands, with its legs, whose ports
 * are bound when this resolves. Or refuses: 488 without a common codec, 503 with Retry-After while draining or
 * full, so that the peer tries the next recorder.
 */
export async function openCall(services: IntakeServices, request: InviteRequest): Promise<InviteOutcome> {
  const { registry } = services;
  if (!isAccepting(services)) return BUSY;

  const replaces = readReplaces(request.text);
  const replaced = replaces === undefined ? undefined : registry.findDialog(replaces);
  // RFC 3891 §3: 481 where it stands nowhere. Where the peer does not insist, a recorder rather takes the call:
  // the other one may be with another process, and is linked by its Call-ID.
  if (replaced === undefined && requires(request.text, 'replaces')) return { kind: 'refuse', status: 481 };
  if (replaced !== undefined && replaces?.earlyOnly === true) return { kind: 'refuse', status: 486 };

  const mediaAddress = await services.mediaAddressFor(request.peerAddress);
  const key = joinKeyOf(request.text, services.joinHeaders);
  // From here to the dialog nothing is waited for: the other INVITE of the pair may come in any moment.
  let call = key === undefined ? undefined : registry.join(key);
  if (call === undefined) {
    const decision = services.route(request, services.clock.wallTime());
    if (decision.kind === 'refuse') return { kind: 'refuse', status: decision.status };
    const { tenant, tenantCallsMax = Infinity } = decision.policy;
    if (registry.callsOf(tenant) >= tenantCallsMax) return BUSY;
    // A caller who leaves a message is alone in the call.
    call = newCall(services, decision.policy, decision.policy.voicemail === undefined ? key : undefined);
  }
  try {
    const dialog = await call.addDialog({
      sipCallId: request.sipCallId,
      request: request.text,
      content: {
        ...request.content,
        identifiers: [...request.content.identifiers, ...identifiersOf(key, replaces)],
      },
      recording: request.recording,
      mediaAddress,
      peerAddress: request.peerAddress,
      onGone: () => {
        if (key !== undefined) registry.leave(key, call);
      },
      onAnswered: () => {
        if (replaced === undefined) return;
        replaced.call.event('replaced', { by: call.id });
        void replaced.call.hangUpDialog(replaced.dialog, 'replaced');
      },
    });
    registry.noteRoom();
    return { kind: 'answer', user: dialog };
  } catch (error) {
    if (error instanceof CallscribeError && error.code === 'SIP_NO_COMMON_CODEC') {
      return { kind: 'refuse', status: 488 };
    }
    const isShortage = error instanceof CallscribeError && error.code === 'RTP_PORTS_EXHAUSTED';
    if (isShortage && !registry.noteFull()) return BUSY;
    services.logger.error({ err: toError(error), systemCode: systemCode(error) }, 'call could not be opened');
    return BUSY;
  }
}

function newCall(services: IntakeServices, policy: CallPolicy, key: JoinKey | undefined): Call {
  const { registry } = services;
  const call: Call = new Call(services, policy, {
    mayOpenLeg: () => registry.hasRoom(),
    onClosed: () => {
      registry.remove(call);
    },
    onLeaving: (left) => {
      registry.leaving(left);
    },
  });
  registry.add(call);
  if (key !== undefined) registry.expect(key, call);
  return call;
}

/** What links this call to another, where both are looked for later. */
function identifiersOf(key: JoinKey | undefined, replaces: Replaces | undefined): CallIdentifier[] {
  return [
    ...(key === undefined ? [] : [{ kind: 'join-key', value: `${key.kind}:${key.value}` }]),
    ...(replaces === undefined ? [] : [{ kind: 'replaces', value: replaces.sipCallId }]),
  ];
}
