import type { IncomingResponse, Session } from 'sip.js/lib/core/index.js';

import { CallscribeError, toError } from '../errors.ts';
import type { ByeOutcome } from './call-report.ts';
import type { InviteBody } from './invite-body.ts';
import { type SipTarget, targetUri } from './sip-target.ts';
import { type CallerUserAgent, parseUri } from './user-agent.ts';

export interface OutgoingCallOptions {
  readonly userAgent: CallerUserAgent;
  readonly target: SipTarget;
  /** SIP Call-ID, chosen by the caller so that a refused call has one too. */
  readonly callId: string;
  /** Address of record for From; our Contact where none is given. */
  readonly from: string | undefined;
  /** Header lines besides those that every INVITE has; Contact is added here. */
  readonly headers: readonly string[];
  readonly contactParameters: string;
  readonly body: InviteBody;
  readonly answerTimeoutMs: number;
  readonly signal: AbortSignal;
  readonly onProvisional: (status: number) => void;
}

/** A call that the peer has answered. */
export interface OutgoingCall {
  /** The body of the 200. */
  readonly answer: string;
  /** Aborted when the peer hangs up. */
  readonly peerEnded: AbortSignal;
  /** Sends BYE, unless the peer did, then undefined. Never rejects; without an answer it is given up after ten seconds. */
  hangUp(): Promise<ByeOutcome | undefined>;
}

/** The peer answered the INVITE with a final response other than 2xx. */
export class CallRefused extends CallscribeError {
  readonly status: number;
  readonly retryAfter: string | undefined;

  constructor(status: number, reason: string, retryAfter: string | undefined) {
    const later = retryAfter === undefined ? '' : `, Retry-After ${retryAfter}`;
    super('SIP_REFUSED', `the peer answered INVITE with ${status} ${reason}${later}`, {
      retryable: status === 503 || status === 486,
    });
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** How long a cancelled INVITE may take to its 487. */
const CANCEL_TIMEOUT_MS = 2_000;
/** How long a BYE may take to its 200; over UDP it is sent six times meanwhile. */
const BYE_TIMEOUT_MS = 10_000;

/**
 * Sends an INVITE and waits for its end (RFC 3261 §13.2). Every 2xx is acknowledged, retransmitted ones too; one
 * that comes after the call was given up, or from a second fork, is hung up at once.
 *
 * @throws {CallRefused} for 3xx to 6xx
 * @throws {CallscribeError} `SIP_NO_ANSWER` when nothing final came in time, or the peer cannot be reached
 * @throws the signal's reason when it was aborted
 */
export function placeOutgoingCall(options: OutgoingCallOptions): Promise<OutgoingCall> {
  const { userAgent, signal } = options;
  return new Promise<OutgoingCall>((resolve, reject) => {
    let provisional = false;
    let given: { up: Error } | undefined;
    let settled = false;
    let deadline: NodeJS.Timeout | undefined;

    const settle = (act: () => void): void => {
      if (settled) return;
      settled = true;
      clearTimeout(deadline);
      signal.removeEventListener('abort', onAbort);
      act();
    };
    const giveUp = (reason: Error): void => {
      if (settled || given !== undefined) return;
      given = { up: reason };
      clearTimeout(deadline);
      // RFC 3261 §9.1: CANCEL waits for a provisional response; without one the peer may not even be there.
      request.cancel();
      const wait = provisional ? CANCEL_TIMEOUT_MS : 0;
      deadline = setTimeout(() => {
        settle(() => {
          reject(reason);
        });
      }, wait);
    };
    const onAbort = (): void => {
      giveUp(toError(signal.reason));
    };
    const onRefused = ({ message }: IncomingResponse): void => {
      const status = message.statusCode ?? 0;
      settle(() => {
        // What sip.js makes up itself for time-outs (408) and dead transports (503) has no headers.
        if (given !== undefined) reject(given.up);
        else if (message.hasHeader('via')) {
          reject(new CallRefused(status, message.reasonPhrase ?? '', message.getHeader('retry-after')));
        } else reject(noAnswer(options.target, status === 503 ? 'cannot be reached' : 'does not answer'));
      });
    };

    const { core } = userAgent;
    const uri = parseUri(targetUri(options.target));
    const from = options.from === undefined ? core.configuration.aor : parseUri(options.from);
    const message = core.makeOutgoingRequestMessage(
      'INVITE',
      uri,
      from,
      uri,
      { callId: options.callId },
      [
        `Contact: <${userAgent.contactUri}>${options.contactParameters}`,
        'Allow: INVITE, ACK, CANCEL, BYE, OPTIONS',
        ...options.headers,
      ],
      { contentDisposition: 'session', ...options.body },
    );
    const request = core.invite(message, {
      onTrying: () => {
        provisional = true;
        options.onProvisional(100);
      },
      onProgress: (response) => {
        provisional = true;
        options.onProvisional(response.message.statusCode ?? 0);
      },
      onAccept: (response) => {
        const call = new AnsweredCall(response.session, response.message.body);
        response.ack();
        if (settled || given !== undefined) {
          void call.hangUp().then(() => {
            settle(() => {
              reject(
                given?.up ?? new CallscribeError('SIP_NO_ANSWER', 'answered after the call was given up'),
              );
            });
          });
          return;
        }
        settle(() => {
          resolve(call);
        });
      },
      onRedirect: onRefused,
      onReject: onRefused,
    });
    deadline = setTimeout(() => {
      giveUp(noAnswer(options.target, `did not answer within ${options.answerTimeoutMs} ms`));
    }, options.answerTimeoutMs);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort);
  });
}

function noAnswer({ host, port }: SipTarget, found: string): CallscribeError {
  return new CallscribeError('SIP_NO_ANSWER', `${host}:${port} ${found}`, { retryable: true });
}

class AnsweredCall implements OutgoingCall {
  readonly answer: string;
  readonly #session: Session;
  readonly #peerEnded = new AbortController();
  #hangUp: Promise<ByeOutcome | undefined> | undefined;

  constructor(session: Session, answer: string) {
    this.#session = session;
    this.answer = answer;
    session.delegate = {
      onBye: (request) => {
        request.accept();
        this.#peerEnded.abort();
      },
    };
  }

  get peerEnded(): AbortSignal {
    return this.#peerEnded.signal;
  }

  hangUp(): Promise<ByeOutcome | undefined> {
    this.#hangUp ??= this.#peerEnded.signal.aborted ? Promise.resolve(undefined) : this.#sendBye();
    return this.#hangUp;
  }

  #sendBye(): Promise<ByeOutcome> {
    return new Promise((resolve) => {
      const deadline = setTimeout(() => {
        resolve({ kind: 'unanswered' });
      }, BYE_TIMEOUT_MS);
      const onAnswer = ({ message }: IncomingResponse): void => {
        clearTimeout(deadline);
        // What sip.js makes up itself has no headers.
        const isAnswer = message.hasHeader('via');
        resolve(isAnswer ? { kind: 'answered', status: message.statusCode ?? 0 } : { kind: 'unanswered' });
      };
      this.#session.bye({ onAccept: onAnswer, onReject: onAnswer, onRedirect: onAnswer });
    });
  }
}
