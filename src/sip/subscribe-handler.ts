import type Srf from 'drachtio-srf';

import { toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { readAuthorization } from './authorization.ts';
import { toText } from './dialog.ts';
import { edgeDialogId } from './dialog-place.ts';
import { PEER_OF_DIALOG, sendRequest } from './edge-request.ts';
import type { InviteGate } from './invite-gate.ts';
import { messageSummary, SUMMARY_TYPE } from './message-summary.ts';
import { ownContact } from './own-contact.ts';
import { ALLOW_EVENTS, readSubscribe, type SubscriptionSeconds } from './subscribe-request.ts';
import type { Notify } from './subscription.ts';
import { Subscriptions, type SubscriptionsOptions, type WaitingMailbox } from './subscriptions.ts';

/** A SUBSCRIBE as whoever knows the mailboxes looks at it. */
export interface MailboxRequest {
  readonly requestUri: string;
  /** The whole message. */
  readonly raw: string;
  readonly peerAddress: string;
}

export interface SubscribeHandlerOptions extends SubscriptionsOptions {
  /** Undefined: there is none of that name, or it is not that peer's to ask about. */
  readonly findMailbox: (request: MailboxRequest) => WaitingMailbox | undefined;
  readonly gate: Pick<InviteGate, 'authenticate'>;
  /** How each SUBSCRIBE was answered. */
  readonly onAnswered: (status: number) => void;
  readonly seconds?: SubscriptionSeconds;
  readonly logger: Logger;
}

/** Phones ask for an hour or less; who has gone away is found out about by then. */
const SECONDS: SubscriptionSeconds = { min: 60, max: 3_600 };
const FULL_RETRY_SECONDS = 60;
const CLOSING_RETRY_SECONDS = 5;
const ACCOUNT_CHARACTERS_MAX = 256;

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Message waiting indication (RFC 3842): takes SUBSCRIBE, and notifies of the counts of a mailbox. A subscription lives in
 * this process; where it is gone before its time, the peer's refresh gets 481, after which it subscribes anew.
 */
export class SubscribeHandler {
  readonly #srf: Srf;
  readonly #options: SubscribeHandlerOptions;
  readonly #subscriptions: Subscriptions;
  #isClosing = false;

  constructor(srf: Srf, options: SubscribeHandlerOptions) {
    this.#srf = srf;
    this.#options = options;
    this.#subscriptions = new Subscriptions(options);
  }

  /** Subscriptions now. */
  get count(): number {
    return this.#subscriptions.count;
  }

  /** Never rejects. */
  async handle(request: Srf.SrfRequest, response: Srf.SrfResponse): Promise<void> {
    try {
      await this.#decide(request, (answer) => this.#send(response, answer));
    } catch (error) {
      this.#options.logger.error({ err: toError(error) }, 'SUBSCRIBE could not be handled');
      await this.#send(response, { status: 500 });
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#subscriptions.close();
  }

  async #decide(request: Srf.SrfRequest, answer: (answer: Answer) => Promise<boolean>): Promise<void> {
    const text = toText(request);
    const asked = readSubscribe(text, this.#options.seconds ?? SECONDS);
    if (asked.kind === 'refuse') {
      await answer(asked);
      return;
    }
    const dialogId = dialogIdOf(request);
    const known = this.#subscriptions.find(dialogId);
    const accept: Answer = {
      status: 200,
      headers: { ...ALLOW_EVENTS, Contact: ownContact(request), Expires: String(asked.seconds) },
    };
    if (known !== undefined || hasToTag(request)) {
      if (known?.subscription.isActive !== true || known.event !== asked.event) {
        await answer({ status: 481 });
        return;
      }
      if (!(await answer(accept))) return;
      if (asked.seconds > 0) known.ask();
      if (known.isThere()) known.subscription.accepted(asked.seconds);
      else void known.subscription.end('noresource');
      return;
    }
    const mailboxRequest = { requestUri: request.uri, raw: text.raw, peerAddress: request.source_address };
    const findMailbox = (): WaitingMailbox | undefined => this.#options.findMailbox(mailboxRequest);
    const mailbox = findMailbox();
    // That there is no such mailbox is not told to whom we do not know.
    const refusal = this.#refusal(request);
    if (refusal !== undefined || mailbox === undefined) {
      await answer(refusal ?? { status: 404 });
      return;
    }
    if (!this.#subscriptions.hasRoomFor(request.source_address)) {
      // 503 would tell a proxy that it should send us nothing at all for a while.
      await answer({ status: 480, headers: { 'Retry-After': String(FULL_RETRY_SECONDS) } });
      return;
    }
    const { subscription } = this.#subscriptions.open({
      dialogId,
      peerAddress: request.source_address,
      event: asked.event,
      mailbox,
      isThere: () => findMailbox() !== undefined,
      send: (notify) => this.#notify(dialogId, { event: asked.event, account: accountOf(request) }, notify),
    });
    if (await answer(accept)) subscription.accepted(asked.seconds);
    else subscription.close();
  }

  /** Why no new subscription is taken, whatever it asks for. */
  #refusal(request: Srf.SrfRequest): Answer | undefined {
    if (this.#isClosing) return { status: 503, headers: { 'Retry-After': String(CLOSING_RETRY_SECONDS) } };
    const verdict = this.#options.gate.authenticate({
      method: request.method,
      peerAddress: request.source_address,
      authorization: readAuthorization(request),
    });
    return verdict.kind === 'refuse' ? verdict : undefined;
  }

  #notify(
    stackDialogId: string,
    { event, account }: { readonly event: string; readonly account: string },
    { state, counts }: Notify,
  ): Promise<number> {
    const headers = { Event: event, 'Subscription-State': state };
    return sendRequest(this.#srf, {
      uri: PEER_OF_DIALOG,
      method: 'NOTIFY',
      stackDialogId,
      // A body may be left out (RFC 6665 §4.2.2): whatever stood in it would be shown.
      ...(counts === undefined
        ? { headers }
        : {
            headers: { ...headers, 'Content-Type': SUMMARY_TYPE },
            body: messageSummary(account, counts),
          }),
    });
  }

  /** @returns whether it went out. Never rejects */
  #send(response: Srf.SrfResponse, { status, headers = {} }: Answer): Promise<boolean> {
    this.#options.onAnswered(status);
    return new Promise((resolve) => {
      const send = response.send.bind(response) as unknown as SendFinal;
      send(status, { headers }, (error) => {
        resolve(error === null || error === undefined);
      });
    });
  }
}

/** The form that tells what became of the response, which the library's types leave out. */
type SendFinal = (status: number, options: object, onSent: (error: unknown) => void) => void;

function dialogIdOf(request: Srf.SrfRequest): string {
  const remoteTag = tagIn(request.get('from'));
  return edgeDialogId({ sipCallId: request.get('call-id'), remoteTag, localTag: '' });
}

const hasToTag = (request: Srf.SrfRequest): boolean => tagIn(request.get('to')) !== '';
const tagIn = (address: string): string => /;\s*tag\s*=\s*([^;,\s]+)/i.exec(address)?.[1] ?? '';

/** The mailbox as the peer wrote it, without parameters. */
const accountOf = ({ uri }: Srf.SrfRequest): string =>
  uri.split(/[;?]/, 1)[0]!.slice(0, ACCOUNT_CHARACTERS_MAX);
