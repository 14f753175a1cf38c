import { randomInt } from 'node:crypto';

import { CallscribeError } from '../errors.ts';
import { hasUnreadBody } from './body-rules.ts';
import { ALLOW, SUPPORTED } from './capabilities.ts';
import type { DialogUser, FollowOptions } from './dialog-user.ts';
import { ACCEPTED_TYPES, readContent, type RequestText } from './invite.ts';
import { agreeSessionTimer, sessionTimerHeaders } from './session-timer.ts';

/** The final response to a request. */
export interface InDialogAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** RFC 3261 §14.2: between 0 and 10 seconds, chosen at random. */
const RETRY_AFTER_MAX_SECONDS = 10;
/** 64·T1, after which no ACK is to be expected. */
const ACK_TIMEOUT_MS = 32_000;

/**
 * The offers and answers of one dialog after its first INVITE (RFC 3261 §14, 3311, 6337): one exchange at a
 * time, and an offer of ours is answered by the ACK of the request that asked for it.
 */
export class InDialogRequests {
  readonly #user: DialogUser;
  readonly #options: FollowOptions;
  /** A re-INVITE or UPDATE with an offer is being answered. */
  #busy = false;
  /** Our offer stands in the 2xx to the INVITE with this CSeq number; 'initial': the one that made the dialog. */
  #offered: { readonly of: number | 'initial' } | undefined;

  constructor(user: DialogUser, options: FollowOptions) {
    this.#user = user;
    this.#options = options;
    if (user.awaitsAnswer) this.#offered = { of: 'initial' };
  }

  async reinvite(request: RequestText): Promise<InDialogAnswer> {
    if (this.#busy) return tryLater();
    const content = readContent(request);
    // Not after our own offer has its answer in an ACK that was lost: an INVITE ends the wait (RFC 3261 §14.1).
    if (content.offer !== undefined && this.#offered?.of === 'initial') return requestPending();
    if (hasUnreadBody(request, content)) return unreadBody();
    return this.#exclusively(async () => {
      if (content.offer !== undefined) {
        return this.#withSdp(request, await this.#user.reoffered(content.offer, content));
      }
      // RFC 3261 §14.2: without an offer it asks for ours, and the ACK brings the answer. Where it came with
      // metadata alone nothing else is meant to change, and what stands is offered as it is.
      if (content.metadata !== undefined || content.metadataFault !== undefined) {
        this.#user.informed('INVITE', content);
        return this.#withSdp(request, this.#user.localSdp);
      }
      const sdp = await this.#user.offerAnew(content);
      this.#offer({ of: numberOf(request) });
      return this.#withSdp(request, sdp);
    });
  }

  async update(request: RequestText): Promise<InDialogAnswer> {
    const content = readContent(request);
    const { offer } = content;
    if (offer === undefined) {
      if (hasUnreadBody(request, content)) return unreadBody();
      this.#user.informed('UPDATE', content);
      return { status: 200, headers: this.#headers(request) };
    }
    // RFC 3311 §5.2
    if (this.#offered !== undefined) return requestPending();
    if (this.#busy) return tryLater();
    return this.#exclusively(async () => this.#withSdp(request, await this.#user.reoffered(offer, content)));
  }

  /** @returns `unusable` when the dialog's first offer is ours and got no answer that leaves a line. Never rejects. */
  async acknowledged(ack: RequestText): Promise<'fine' | 'unusable'> {
    const offered = this.#offered;
    if (offered === undefined) return 'fine';
    if (offered.of !== 'initial' && offered.of !== numberOf(ack)) return 'fine';
    this.#offered = undefined;
    try {
      const content = readContent(ack);
      const answer = content.offer;
      if (answer === undefined) {
        throw new CallscribeError('SIP_MALFORMED', 'ACK: found no answer to our offer');
      }
      await this.#user.acceptAnswer(answer, content);
      return 'fine';
    } catch (error) {
      const code = error instanceof CallscribeError ? error.code : undefined;
      if (code === undefined) this.#options.logger.error({ err: error }, 'answer could not be applied');
      // A call that stands is not ended because one of its later exchanges failed: the session stays as it was.
      this.#user.noted('answer_unusable', { code, first: offered.of === 'initial' });
      return offered.of === 'initial' ? 'unusable' : 'fine';
    }
  }

  /** An ACK that never comes does not keep the dialog from further offers; to a re-INVITE nobody waits for it. */
  #offer(offered: { readonly of: number }): void {
    this.#offered = offered;
    setTimeout(() => {
      if (this.#offered === offered) this.#offered = undefined;
    }, ACK_TIMEOUT_MS).unref();
  }

  async #exclusively(handle: () => Promise<InDialogAnswer>): Promise<InDialogAnswer> {
    this.#busy = true;
    this.#offered = undefined;
    try {
      return await handle();
    } finally {
      this.#busy = false;
    }
  }

  #withSdp(request: RequestText, body: string): InDialogAnswer {
    return {
      status: 200,
      headers: { ...this.#headers(request), 'Content-Type': 'application/sdp' },
      body,
    };
  }

  #headers(request: RequestText): Record<string, string> {
    return {
      Contact: this.#options.contact,
      Allow: ALLOW,
      Supported: SUPPORTED,
      ...sessionTimerHeaders(agreeSessionTimer(request)),
    };
  }
}

function tryLater(): InDialogAnswer {
  return { status: 500, headers: { 'Retry-After': String(randomInt(0, RETRY_AFTER_MAX_SECONDS + 1)) } };
}

const requestPending = (): InDialogAnswer => ({ status: 491, headers: {} });

const unreadBody = (): InDialogAnswer => ({ status: 415, headers: { Accept: ACCEPTED_TYPES } });

/** CSeq number of a request. */
function numberOf(request: RequestText): number {
  return Number(/^\s*(\d+)/.exec(request.header('cseq') ?? '')?.[1] ?? -1);
}
