import { CallscribeError, systemCode, toError } from '../errors.ts';
import type { DialogUser } from '../sip/dialog.ts';
import type { InviteOutcome, InviteRequest } from '../sip/listener.ts';
import { Call, type CallServices } from './call.ts';
import type { CallRegistry } from './registry.ts';

export interface IntakeServices extends CallServices {
  readonly registry: CallRegistry;
  /** Our address as this peer reaches it; stands in the answers. */
  readonly mediaAddressFor: (peerAddress: string) => Promise<string>;
  /** Whether what calls give can be kept; while it cannot, new calls are refused. */
  readonly canPublish: () => boolean;
}

const RETRY_AFTER_SECONDS = 5;

/** Whether a new call would be taken now. */
export function isAccepting({ registry, canPublish }: IntakeServices): boolean {
  return !registry.draining && registry.hasRoom() && canPublish();
}

/**
 * Decides on a new INVITE: opens the call with its legs, whose ports are bound when this resolves, or refuses:
 * 488 without a common codec, 503 with Retry-After while draining or full, so that the peer tries the next
 * recorder.
 */
export async function openCall(services: IntakeServices, request: InviteRequest): Promise<InviteOutcome> {
  const { registry } = services;
  const busy: InviteOutcome = { kind: 'refuse', status: 503, retryAfterSeconds: RETRY_AFTER_SECONDS };
  if (!isAccepting(services)) return busy;

  const call: Call = new Call(services, {
    sipCallId: request.sipCallId,
    request: request.text,
    content: request.content,
    recording: request.recording,
    mediaAddress: await services.mediaAddressFor(request.peerAddress),
    mayOpenLeg: () => registry.hasRoom(),
    onClosed: () => {
      registry.remove(call);
    },
  });
  registry.add(call);
  try {
    await call.applyOffer(request.offer, request.content);
  } catch (error) {
    await call.abandon();
    if (error instanceof CallscribeError && error.code === 'SIP_NO_COMMON_CODEC') {
      return { kind: 'refuse', status: 488 };
    }
    services.logger.error({ err: toError(error), systemCode: systemCode(error) }, 'call could not be opened');
    return busy;
  }
  return { kind: 'answer', user: new CallDialogUser(call) };
}

/** A call as its dialog drives it. */
class CallDialogUser implements DialogUser {
  readonly #call: Call;

  constructor(call: Call) {
    this.#call = call;
  }

  get localSdp(): string {
    return this.#call.localSdp ?? '';
  }

  answered(hangUp: () => Promise<void>): void {
    this.#call.answered(hangUp);
  }

  abandoned(): void {
    void this.#call.abandon();
  }

  async reoffered(...[offer, content]: Parameters<DialogUser['reoffered']>): Promise<string> {
    const answer = await this.#call.applyOffer(offer, content);
    this.#call.note('reoffer', { directions: offer.lines.map(({ direction }) => direction) });
    return answer;
  }

  informed(...[method, content]: Parameters<DialogUser['informed']>): void {
    this.#call.applyMetadata(content);
    if (content.metadata !== undefined) this.#call.note('metadata', { method });
  }

  ended(...[reason]: Parameters<DialogUser['ended']>): void {
    void this.#call.end(reason);
  }
}
