import type Srf from 'drachtio-srf';

import { CallscribeError, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { within } from '../within.ts';
import { ALLOW, SUPPORTED } from './capabilities.ts';
import type { DialogEnd, DialogUser, EstablishedDialog, FollowOptions } from './dialog-user.ts';
import { type InDialogAnswer, InDialogRequests } from './in-dialog.ts';
import { ACCEPTED_TYPES, readContent, type RequestText } from './invite.ts';
import { QuietWatch } from './quiet-watch.ts';

/** For the ACK that may be missing, and again for the answer to the BYE. */
const HANG_UP_TIMEOUT_MS = 1_000;

/**
 * Answers what the peer asks within a dialog and tells its user. All listeners are attached in this turn:
 * drachtio-srf answers by itself what finds none.
 */
export function followDialog(
  dialog: Srf.Dialog,
  user: DialogUser,
  options: FollowOptions,
): EstablishedDialog {
  const { answerTimeoutMs, onFailed, logger } = options;
  const requests = new InDialogRequests(user, options);
  let signs = 0;
  let over = false;
  const answer = (
    request: Srf.SrfRequest,
    response: Srf.SrfResponse,
    handle: (text: RequestText) => InDialogAnswer | Promise<InDialogAnswer>,
  ): void => {
    signs += 1;
    void answerOnce(response, { timeoutMs: answerTimeoutMs, onFailed, logger }, () =>
      handle(toText(request)),
    );
  };
  const plain = (status: number, headers: Record<string, string> = {}): InDialogAnswer => ({
    status,
    headers,
  });

  dialog.on('modify', (request, response) => {
    answer(request, response, (text) => requests.reinvite(text));
  });
  dialog.on('update', (request, response) => {
    answer(request, response, (text) => requests.update(text));
  });
  dialog.on('info', (request, response) => {
    answer(request, response, (text) => {
      user.informed('INFO', readContent(text));
      return plain(200);
    });
  });
  dialog.on('options', (request, response) => {
    answer(request, response, () =>
      plain(200, { Allow: ALLOW, Accept: ACCEPTED_TYPES, Supported: SUPPORTED }),
    );
  });
  for (const method of ['refer', 'message', 'publish', 'subscribe'] as const) {
    dialog.on(method as 'refer', (request, response) => {
      answer(request, response, () => plain(405, { Allow: ALLOW }));
    });
  }
  dialog.on('notify', (request, response) => {
    answer(request, response, () => plain(481));
  });

  const acknowledged = new Promise<void>((resolve) => {
    dialog.on('ack', (ack) => {
      signs += 1;
      resolve();
      void requests.acknowledged(toText(ack)).then((outcome) => {
        if (outcome === 'unusable' && !over) giveUp('no_media', NO_MEDIA_TEXT);
      });
    });
  });
  const established: EstablishedDialog = {
    tags: { sipCallId: dialog.sip.callId, localTag: dialog.sip.localTag, remoteTag: dialog.sip.remoteTag },
    hangUp: (reason) => {
      over = true;
      watch.stop();
      return hangUp(dialog, acknowledged, reason);
    },
  };
  /** Ends the dialog for a reason of ours. */
  const giveUp = (reason: DialogEnd, text: string): void => {
    established.hangUp(text).catch((error: unknown) => {
      logger.info({ err: toError(error), reason }, 'BYE was not answered');
    });
    user.ended(reason);
  };
  const { timer, quietLimitMs } = options;
  const watch = new QuietWatch({
    limitMs: () =>
      timer.kind === 'agreed' ? Math.min(quietLimitMs, SESSIONS_QUIET * 1_000 * timer.seconds) : quietLimitMs,
    signsOfLife: () => signs + user.packetsReceived,
    mediaEnded: () => user.mediaEnded,
    probe: async () => {
      const found = await probe(dialog);
      options.onProbe(found);
      return found;
    },
    onGone: () => {
      if (!over) giveUp('dialog_lost', 'No such dialog');
    },
  });
  dialog.on('destroy', (bye: Srf.SrfRequest) => {
    over = true;
    watch.stop();
    user.ended(endReasonOf(bye));
  });
  return established;
}

/** So many session intervals without a sign of life are suspicious also where the edge has not ended the call. */
const SESSIONS_QUIET = 2;
const NO_MEDIA_TEXT = 'No usable answer to the offer';

export interface AnswerOnceOptions {
  readonly timeoutMs: number;
  readonly onFailed: FollowOptions['onFailed'];
  readonly logger: Logger;
}

/** The one final response to an in-dialog request: what the handler gives, or 400, 488 or 500 in its place. */
export async function answerOnce(
  response: Srf.SrfResponse,
  { timeoutMs, onFailed, logger }: AnswerOnceOptions,
  handle: () => InDialogAnswer | Promise<InDialogAnswer>,
): Promise<void> {
  const handled = Promise.resolve().then(handle);
  let answer: InDialogAnswer;
  try {
    if ((await within(timeoutMs, handled)) === 'too-late') {
      onFailed('hung');
      logger.error({ timeoutMs }, 'in-dialog request took too long');
      answer = TRY_AGAIN;
    } else answer = await handled;
  } catch (error) {
    const code = error instanceof CallscribeError ? error.code : undefined;
    if (code === undefined) {
      onFailed('threw');
      logger.error({ err: toError(error) }, 'in-dialog request failed');
    }
    if (code === 'SIP_NO_COMMON_CODEC') answer = { status: 488, headers: { Accept: ACCEPTED_TYPES } };
    else if (code === 'SIP_MALFORMED') answer = { status: 400, headers: {} };
    else answer = TRY_AGAIN;
  }
  const { status, headers, body } = answer;
  response.send(status, body === undefined ? { headers } : { headers, body });
}

const TRY_AGAIN: InDialogAnswer = { status: 500, headers: { 'Retry-After': '5' } };

/** A request as the pure readers want it. */
export function toText(message: Srf.SipMessage | Srf.SrfRequest): RequestText {
  const raw = 'msg' in message ? message.msg.raw : message.raw;
  return { raw, header: (name) => message.get(name) };
}

/** RFC 3261 §15: no BYE before the ACK. @throws {Error} when the BYE was not answered within a bounded time */
async function hangUp(dialog: Srf.Dialog, acknowledged: Promise<unknown>, reason: string): Promise<void> {
  await within(HANG_UP_TIMEOUT_MS, acknowledged);
  const answered = new Promise<void>((resolve, reject) => {
    const headers = { Reason: `SIP;cause=200;text="${reason}"` };
    dialog.destroy({ headers }, (error: unknown) => {
      if (error === null || error === undefined) resolve();
      else reject(toError(error));
    });
  });
  const outcome = await within(HANG_UP_TIMEOUT_MS, answered);
  if (outcome === 'too-late') throw new Error(`no answer to the BYE within ${HANG_UP_TIMEOUT_MS} ms`);
}

/** RFC 5057 §5: whatever is answered, the dialog stands, save 481; and 408, which also the edge gives. */
async function probe(dialog: Srf.Dialog): Promise<'alive' | 'gone'> {
  try {
    const response = await dialog.request({ method: 'OPTIONS', headers: {} } as unknown as Srf.SrfRequest);
    return response.status === 481 || response.status === 408 ? 'gone' : 'alive';
  } catch (error) {
    // The edge does not know the dialog either; any other fault is ours and proves nothing.
    return (error as { code?: unknown }).code === 'ENODIALOG' ? 'gone' : 'alive';
  }
}

/** The edge ends a dialog itself, too, and says why in a Reason header. */
function endReasonOf(bye: Srf.SrfRequest): DialogEnd {
  const reason = bye.has('reason') ? bye.get('reason') : '';
  if (/ACK timeout/i.test(reason)) return 'ack_timeout';
  return /session timer expired/i.test(reason) ? 'session_expired' : 'bye';
}
