import type Srf from 'drachtio-srf';

import { CallscribeError, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { within } from '../within.ts';
import { ACCEPTED_TYPES, readContent, type RequestContent, type RequestText } from './invite.ts';
import type { SdpOffer } from './sdp.ts';

/** Who ended the dialog: the peer, or the edge because the ACK never came. */
export type DialogEnd = 'bye' | 'ack_timeout';

/** What the listener drives: one call, as the dialog sees it. */
export interface DialogUser {
  /** Our session description, to be sent in the 200. */
  readonly localSdp: string;
  /** The 200 was sent; `hangUp` ends the dialog from our side. */
  answered(hangUp: () => Promise<void>): void;
  /** The INVITE was cancelled, or the answer could not be sent. */
  abandoned(): void;
  /** @returns the new answer. @throws {CallscribeError} SIP_NO_COMMON_CODEC */
  reoffered(offer: SdpOffer, content: RequestContent): Promise<string>;
  /** A request without an offer, which may carry metadata. */
  informed(method: string, content: RequestContent): void;
  ended(reason: DialogEnd): void;
}

/** Methods that we answer with more than 405. */
export const ALLOW = 'INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE';
/** For the ACK that may be missing, and again for the answer to the BYE. */
const HANG_UP_TIMEOUT_MS = 1_000;

/**
 * Answers what the peer asks within a dialog, each request exactly once, and tells its user. All listeners are
 * attached in this turn: drachtio-srf answers by itself what finds none.
 */
export function followDialog(dialog: Srf.Dialog, user: DialogUser, contact: string, logger: Logger): void {
  const withSdp = (sdp: string): object => ({
    body: sdp,
    headers: { Contact: contact, 'Content-Type': 'application/sdp', Allow: ALLOW },
  });
  dialog.on('modify', (request, response) => {
    void answerOnce(response, logger, async () => {
      const content = readContent(toText(request));
      // A re-INVITE without an offer asks for ours (RFC 3261 §14.2); ours has not changed.
      if (content.offer === undefined) {
        user.informed('INVITE', content);
        response.send(200, withSdp(user.localSdp));
      } else {
        response.send(200, withSdp(await user.reoffered(content.offer, content)));
      }
    });
  });
  dialog.on('update', (request, response) => {
    void answerOnce(response, logger, async () => {
      const content = readContent(toText(request));
      if (content.offer === undefined) {
        user.informed('UPDATE', content);
        response.send(200, { headers: { Contact: contact } });
      } else {
        response.send(200, withSdp(await user.reoffered(content.offer, content)));
      }
    });
  });
  dialog.on('info', (request, response) => {
    void answerOnce(response, logger, () => {
      user.informed('INFO', readContent(toText(request)));
      response.send(200);
    });
  });
  dialog.on('options', (_request, response) => {
    response.send(200, { headers: { Allow: ALLOW, Accept: ACCEPTED_TYPES } });
  });
  for (const method of ['refer', 'message'] as const) {
    dialog.on(method as 'refer', (_request, response) => {
      response.send(405, { headers: { Allow: ALLOW } });
    });
  }
  dialog.on('notify', (_request, response) => {
    response.send(481);
  });
  dialog.on('destroy', (bye: Srf.SrfRequest) => {
    user.ended(endReasonOf(bye));
  });
}

/** Runs a handler that answers; where it throws instead, the answer is 400, 488 or 500. */
async function answerOnce(
  response: Srf.SrfResponse,
  logger: Logger,
  handle: () => void | Promise<void>,
): Promise<void> {
  try {
    await handle();
  } catch (error) {
    const code = error instanceof CallscribeError ? error.code : undefined;
    if (code === undefined) logger.error({ err: toError(error) }, 'in-dialog request failed');
    if (response.finalResponseSent) return;
    if (code === 'SIP_NO_COMMON_CODEC') response.send(488, { headers: { Accept: ACCEPTED_TYPES } });
    else response.send(code === 'SIP_MALFORMED' ? 400 : 500);
  }
}

/** A request as the pure readers want it. */
export function toText(message: Srf.SipMessage | Srf.SrfRequest): RequestText {
  const raw = 'msg' in message ? message.msg.raw : message.raw;
  return { raw, header: (name) => message.get(name) };
}

/** Resolves when the BYE was answered. @throws {Error} when it was not, within a bounded time */
export async function hangUp(dialog: Srf.Dialog, acknowledged: Promise<unknown>): Promise<void> {
  await within(HANG_UP_TIMEOUT_MS, acknowledged);
  const answered = new Promise<void>((resolve, reject) => {
    dialog.destroy({ headers: {} }, (error: unknown) => {
      if (error === null || error === undefined) resolve();
      else reject(toError(error));
    });
  });
  const outcome = await within(HANG_UP_TIMEOUT_MS, answered);
  if (outcome === 'too-late') throw new Error(`no answer to the BYE within ${HANG_UP_TIMEOUT_MS} ms`);
}

/** The edge ends a dialog itself when the ACK never came, and says so in a Reason header (RFC 3326). */
function endReasonOf(bye: Srf.SrfRequest): DialogEnd {
  const unacknowledged = /ACK timeout/i.test(bye.has('reason') ? bye.get('reason') : '');
  return unacknowledged ? 'ack_timeout' : 'bye';
}
