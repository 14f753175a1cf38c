import type Srf from 'drachtio-srf';

import { CallscribeError, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { within } from '../within.ts';
import { readAuthorization } from './authorization.ts';
import { hasUnreadBody } from './body-rules.ts';
import { followDialog } from './dialog.ts';
import type { DialogUser, OwnFailure } from './dialog-user.ts';
import { requires } from './header-lines.ts';
import { IncomingInvite } from './incoming-invite.ts';
import {
  ACCEPTED_TYPES,
  isRecordingSession,
  readContent,
  type RequestContent,
  type RequestText,
} from './invite.ts';
import type { InviteGate } from './invite-gate.ts';
import {
  agreeSessionTimer,
  MIN_SESSION_SECONDS,
  type SessionTimer,
  sessionTimerHeaders,
} from './session-timer.ts';

/** An INVITE that asks for a new call, read. `content.offer` is missing where the peer wants ours. */
export interface InviteRequest {
  readonly sipCallId: string;
  readonly text: RequestText;
  readonly content: RequestContent;
  /** Whether the sender is a recording client (RFC 7866) rather than a caller. */
  readonly recording: boolean;
  readonly peerAddress: string;
}

export type InviteOutcome =
  | { readonly kind: 'answer'; readonly user: DialogUser }
  | {
      readonly kind: 'refuse';
      readonly status: 403 | 404 | 480 | 481 | 486 | 488 | 503 | 603;
      readonly retryAfterSeconds?: number;
    };

export interface InviteHandlerOptions {
  /** How fast new calls may come, and who may place plain ones. */
  readonly gate: Pick<InviteGate, 'takeCall' | 'authenticate'>;
  readonly onInvite: (request: InviteRequest) => Promise<InviteOutcome>;
  /** Whether new calls are taken now; told to peers that ask by OPTIONS. */
  readonly isAccepting: () => boolean;
  /** How every initial INVITE ended, by status. */
  readonly onInviteAnswered: (status: number) => void;
  /** What a peer said that was asked after a long silence. */
  readonly onProbe: (found: 'alive' | 'gone') => void;
  /** Our own code failed to answer a request; the peer got 500. */
  readonly onFailed?: (how: OwnFailure) => void;
  /**
   * Whether an INVITE that requires 100rel gets a reliable 183 before its 200. None is just as right: no provisional
   * response but the 100 has to be sent (RFC 3262 §3). Default: where required.
   */
  readonly reliableProvisional?: 'where-required' | 'never';
  /** After so long without a packet and a request, the peer of a call is asked whether it stands. */
  readonly quietLimitMs: number;
  /** How long our own code may take for an answer; the peer gets 500 then. Default: 5 s. */
  readonly answerTimeoutMs?: number;
  readonly logger: Logger;
}

/** What a peer that is refused for want of room should wait. */
export const RETRY_AFTER_SECONDS = 5;
const ANSWER_TIMEOUT_MS = 5_000;

/**
 * Takes an INVITE that asks for a call from its arrival to its final response: what can be refused without
 * asking anybody is, the rest is decided by `onInvite`; then the dialog is made and followed.
 */
export class InviteHandler {
  readonly #srf: Srf;
  readonly #options: InviteHandlerOptions;
  readonly #answerTimeoutMs: number;

  constructor(srf: Srf, options: InviteHandlerOptions) {
    this.#srf = srf;
    this.#options = options;
    this.#answerTimeoutMs = options.answerTimeoutMs ?? ANSWER_TIMEOUT_MS;
  }

  /** Never rejects. */
  async handle(request: Srf.SrfRequest, response: Srf.SrfResponse): Promise<void> {
    const { onInviteAnswered, logger } = this.#options;
    const invite = new IncomingInvite(request, response, { onAnswered: onInviteAnswered, logger });
    try {
      await this.#decide(invite);
    } catch (error) {
      const malformed = error instanceof CallscribeError && error.code === 'SIP_MALFORMED';
      if (!malformed) {
        this.#failed('threw');
        logger.error({ err: toError(error) }, 'INVITE could not be handled');
      }
      invite.refuse(malformed ? { status: 400 } : TRY_AGAIN);
    }
  }

  async #decide(invite: IncomingInvite): Promise<void> {
    const { request, text } = invite;
    // Before anything is read: whoever is full must say so fast, so that the peer tries the next one.
    if (!this.#options.isAccepting() || !this.#options.gate.takeCall()) {
      invite.refuse({ status: 503, headers: { 'Retry-After': String(RETRY_AFTER_SECONDS) } });
      return;
    }
    // RFC 3261 §8.1.1.8: an INVITE MUST have one; without it no dialog can be formed.
    if (!request.has('contact')) {
      invite.refuse({ status: 400 });
      return;
    }
    const timer = agreeSessionTimer(text);
    if (timer.kind === 'too-small') {
      invite.refuse({ status: 422, headers: { 'Min-SE': String(MIN_SESSION_SECONDS) } });
      return;
    }
    const content = readContent(text);
    if (hasUnreadBody(text, content)) {
      invite.refuse({ status: 415, headers: { Accept: ACCEPTED_TYPES } });
      return;
    }
    const recording = isRecordingSession(text, content);
    if (!recording) {
      const verdict = this.#options.gate.authenticate({
        method: request.method,
        peerAddress: request.source_address,
        authorization: readAuthorization(request),
      });
      if (verdict.kind === 'refuse') {
        invite.refuse(verdict);
        return;
      }
    }
    const asked = this.#options.onInvite({
      sipCallId: text.header('call-id') ?? '',
      text,
      content,
      recording,
      peerAddress: request.source_address,
    });
    if ((await within(this.#answerTimeoutMs, asked)) === 'too-late') {
      this.#failed('hung');
      this.#options.logger.error({ timeoutMs: this.#answerTimeoutMs }, 'INVITE took too long');
      invite.refuse(TRY_AGAIN);
      const late = await asked;
      if (late.kind === 'answer') late.user.abandoned();
      return;
    }
    const outcome = await asked;
    if (outcome.kind === 'answer') await this.#answer(invite, outcome.user, { recording, timer });
    else invite.refuse(refusal(outcome));
  }

  #failed(how: OwnFailure): void {
    this.#options.onFailed?.(how);
  }

  async #answer(
    invite: IncomingInvite,
    user: DialogUser,
    { recording, timer }: { readonly recording: boolean; readonly timer: SessionTimer },
  ): Promise<void> {
    const contact = invite.contact(recording);
    let sdp: string | undefined = user.localSdp;
    const isReliable = this.#options.reliableProvisional !== 'never';
    if (isReliable && invite.isOpen && requires(invite.text, '100rel')) {
      const outcome = await invite.sendReliably(sdp, contact);
      const content = outcome.kind === 'acknowledged' ? outcome.content : undefined;
      if (content?.offer !== undefined && user.awaitsAnswer) {
        try {
          await user.acceptAnswer(content.offer, content);
          // Offer and answer are done; another description would be another offer (RFC 3261 §13.2.1).
          sdp = undefined;
        } catch (error) {
          user.abandoned();
          if (!(error instanceof CallscribeError)) throw error;
          invite.refuse(refusal({ kind: 'refuse', status: 488 }));
          return;
        }
      }
    }
    const headers: Record<string, string> = { Contact: contact };
    const { Require: timerOption, ...expires } = sessionTimerHeaders(timer);
    const required = [requires(invite.text, 'siprec') ? 'siprec' : '', timerOption ?? ''].filter(Boolean);
    if (required.length > 0) headers['Require'] = required.join(', ');
    invite.accept(this.#srf, {
      sdp,
      headers: { ...headers, ...expires },
      onDialog: (dialog) => {
        const { quietLimitMs, onProbe, logger } = this.#options;
        const answerTimeoutMs = this.#answerTimeoutMs;
        user.answered(
          followDialog(dialog, user, {
            contact,
            timer,
            answerTimeoutMs,
            quietLimitMs,
            onProbe,
            onFailed: (how) => {
              this.#failed(how);
            },
            logger,
          }),
        );
      },
      onFailure: () => {
        user.abandoned();
      },
    });
  }
}

const TRY_AGAIN = { status: 500, headers: { 'Retry-After': String(RETRY_AFTER_SECONDS) } } as const;

function refusal({ status, retryAfterSeconds }: Extract<InviteOutcome, { kind: 'refuse' }>): {
  status: number;
  headers: Record<string, string>;
} {
  const headers: Record<string, string> = {};
  if (retryAfterSeconds !== undefined) headers['Retry-After'] = String(retryAfterSeconds);
  if (status === 488) headers['Accept'] = ACCEPTED_TYPES;
  return { status, headers };
}
