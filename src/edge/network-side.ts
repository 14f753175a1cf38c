import { randomUUID } from 'node:crypto';

import type { Clock } from '../clock.ts';
import { readCSeq, readNameAddr, readSipUri, splitList, uriHost } from '../sipstack/fields.ts';
import type { SipFlow } from '../sipstack/flow.ts';
import { formatSipMessage, header, type SipRequest } from '../sipstack/message.ts';
import type { ServerTransaction } from '../sipstack/server-transaction.ts';
import { sipTimers } from '../sipstack/sipjs.ts';
import type { TransactionUser } from '../sipstack/transactions.ts';
import type { AppClient } from './app-client.ts';
import { ownContact } from './app-headers.ts';
import { answer, type Calls, type Pending } from './calls.ts';
import { type Dialog, dialogIdOf, type DialogTags, dialogTags, uasDialog } from './dialog.ts';
import { MIN_SESSION_SECONDS, readSessionExpires } from './session-timer.ts';
import { encodeKnown, encodeNewRequest, metaOf } from './wire-message.ts';

export interface NetworkSideOptions {
  readonly calls: Calls;
  /** The next client, in turn, that asked for requests of that method. */
  readonly pick: (method: string) => AppClient | undefined;
  readonly clock: Clock;
}

/** Methods that drachtio-server hands to an app outside a dialog, and REFER, which it drops without an answer. */
const ROUTED: ReadonlySet<string> = new Set([
  'REGISTER',
  'MESSAGE',
  'OPTIONS',
  'INFO',
  'NOTIFY',
  'SUBSCRIBE',
  'PUBLISH',
  'REFER',
]);
/** What drachtio-srf hands to an app inside a dialog; it answers others by itself, with a line on standard error for each. */
const HANDLED_IN_DIALOG: ReadonlySet<string> = new Set([
  ...['INVITE', 'BYE', 'UPDATE', 'PRACK'],
  ...[...ROUTED].filter((method) => method !== 'REGISTER'),
]);
/** Methods that mean nothing outside a dialog. */
const IN_DIALOG_ONLY: ReadonlySet<string> = new Set(['BYE', 'UPDATE', 'PRACK']);
/** Methods that mean nothing in a dialog without a session (RFC 5057 §5.2). */
const OF_SESSIONS: ReadonlySet<string> = new Set(['INVITE', ...IN_DIALOG_ONLY]);

/** drachtio-server forgets a new request after 64 s, here 128·T1. Unlike it, we then tell the peer. */
const newRequestDeadlineMs = (): number => 128 * sipTimers().t1Ms;
/** A re-INVITE has its 100 and may wait for a person; any other request is given up by its sender after 64·T1. */
const inDialogDeadlineMs = (method: string): number => (method === 'INVITE' ? 384 : 64) * sipTimers().t1Ms;

/** From the network to the app: decides what a request means, and whose it is. */
export class NetworkSide implements TransactionUser {
  readonly #options: NetworkSideOptions;
  readonly #calls: Calls;

  constructor(options: NetworkSideOptions) {
    this.#options = options;
    this.#calls = options.calls;
  }

  onRequest(transaction: ServerTransaction): void {
    const tags = dialogTags(transaction.request);
    const dialog = tags.toTag === undefined ? undefined : this.#calls.find(tags);
    if (dialog !== undefined && dialog.state !== 'pending') this.#inDialog(transaction, dialog);
    else if (transaction.request.method === 'INVITE') this.#invite(transaction, tags);
    else if (transaction.request.method === 'SUBSCRIBE' && tags.toTag === undefined) {
      this.#subscribe(transaction, tags);
    } else this.#outsideDialog(transaction, tags);
  }

  #invite(transaction: ServerTransaction, tags: DialogTags): void {
    const fault = findInviteFault(transaction.request);
    if (fault !== undefined) {
      answer(transaction, 400, fault);
      return;
    }
    if (tags.toTag !== undefined) {
      answer(transaction, 481, 'Call/Transaction Does Not Exist');
      return;
    }
    const existing = this.#calls.dialog(dialogIdOf(tags.callId, tags.fromTag));
    if (existing !== undefined) {
      refuseSecond(transaction, existing);
      return;
    }
    // sofia-sip says it at once; the app need not.
    answer(transaction, 100, 'Trying');
    this.#open(transaction);
  }

  #subscribe(transaction: ServerTransaction, tags: DialogTags): void {
    const existing = this.#calls.dialog(dialogIdOf(tags.callId, tags.fromTag));
    if (existing === undefined) this.#open(transaction);
    // A phone that has forgotten its subscription, and begins it anew under the old name: to drachtio-server a refresh.
    else if (
      existing.usage === 'subscribe' &&
      existing.state === 'confirmed' &&
      cseqNumber(transaction.request) > existing.remoteNumber
    ) {
      this.#inDialog(transaction, existing);
    } else refuseSecond(transaction, existing);
  }

  /** Hands over a request that may become a dialog. */
  #open(transaction: ServerTransaction): void {
    const { request, flow } = transaction;
    const client = this.#calls.isFull ? undefined : this.#options.pick(request.method);
    if (client === undefined) {
      answer(transaction, 503, 'Service Unavailable');
      return;
    }
    const transactionId = randomUUID();
    const localContact = ownContact(flow.local, flow.protocol);
    const dialog = uasDialog(transaction, { client, transactionId, localContact });
    this.#calls.add(dialog);
    this.#deliverNew({ transactionId, transaction, client, dialog });
  }

  #outsideDialog(transaction: ServerTransaction, tags: DialogTags): void {
    const { method } = transaction.request;
    const isInDialog = tags.toTag !== undefined;
    const client = ROUTED.has(method) ? this.#options.pick(method) : undefined;
    if (client !== undefined) {
      this.#deliverNew({ transactionId: randomUUID(), transaction, client, dialog: undefined });
    } else if (IN_DIALOG_ONLY.has(method) || isInDialog) {
      answer(transaction, 481, 'Call/Transaction Does Not Exist');
    } else if (ROUTED.has(method)) answer(transaction, 503, 'Service Unavailable');
    else answer(transaction, 501, 'Not Implemented');
  }

  #deliverNew(pending: Pending): void {
    const { transaction, transactionId, client } = pending;
    const { flow } = transaction;
    this.#calls.open(pending, newRequestDeadlineMs());
    const bytes = formatSipMessage(transaction.request);
    const receivedOn = { host: uriHost(flow.local.host), port: flow.local.port };
    client.send(encodeNewRequest(this.#meta(bytes, flow), { transactionId, receivedOn }, bytes));
  }

  #inDialog(transaction: ServerTransaction, dialog: Dialog): void {
    const { request, flow } = transaction;
    const { method } = request;
    const number = cseqNumber(request);
    if (number < dialog.remoteNumber) {
      // RFC 3261 §12.2.2: out of order, MUST be rejected with 500.
      answer(transaction, 500, 'Internal Server Error', dialog);
      return;
    }
    dialog.remoteNumber = number;
    dialog.flow = flow;
    if (!HANDLED_IN_DIALOG.has(method)) {
      answer(transaction, 501, 'Not Implemented', dialog);
      return;
    }
    if (dialog.usage === 'subscribe' && OF_SESSIONS.has(method)) {
      answer(transaction, 481, 'Call/Transaction Does Not Exist', dialog);
      return;
    }
    const isRefresh = method === 'INVITE' || method === 'UPDATE';
    const session = isRefresh ? readSessionExpires(request.headers) : undefined;
    if (session !== undefined && session.seconds < MIN_SESSION_SECONDS) {
      const minimum = { name: 'Min-SE', value: String(MIN_SESSION_SECONDS) };
      answer(transaction, 422, 'Session Interval Too Small', dialog, [minimum]);
      return;
    }
    if (dialog.state === 'early') {
      if (method === 'BYE') {
        // RFC 3261 §15: a caller may end an early dialog with BYE; the INVITE gets its 487 when the dialog ends.
        answer(transaction, 200, 'OK', dialog);
        this.#calls.end(dialog);
        return;
      }
      if (ROUTED.has(method)) {
        // To drachtio-server these belong to no dialog yet. 481 would end the early dialog (RFC 5057 §5.1).
        const client = this.#options.pick(method);
        if (client === undefined) answer(transaction, 503, 'Service Unavailable', dialog);
        else this.#deliverNew({ transactionId: randomUUID(), transaction, client, dialog: undefined });
        return;
      }
    }
    if (method === 'INVITE' && dialog.refreshing) {
      // RFC 3261 §14.2, where only we know of our INVITE. (drachtio-server hands it to the app.)
      answer(transaction, 491, 'Request Pending', dialog);
      return;
    }
    if (method === 'INVITE') answer(transaction, 100, 'Trying', dialog);
    if (method === 'PRACK') {
      if (dialog.reliable?.isMeantBy(header(request, 'rack') ?? '') !== true) {
        answer(transaction, 481, 'Call/Transaction Does Not Exist', dialog);
        return;
      }
      dialog.reliable.stop();
      dialog.reliable = undefined;
    }
    const { client } = dialog;
    if (!client.isOpen) {
      answer(transaction, 481, 'Call/Transaction Does Not Exist', dialog);
      if (method === 'BYE') this.#calls.end(dialog);
      return;
    }
    const pending: Pending = { transactionId: randomUUID(), transaction, client, dialog };
    this.#calls.open(pending, inDialogDeadlineMs(method));
    this.#deliverKnown(client, pending.transactionId, dialog.id, request, flow);
    if (method === 'BYE') this.#calls.end(dialog, pending);
  }

  onAck(ack: SipRequest, flow: SipFlow): void {
    const dialog = this.#calls.find(dialogTags(ack));
    if (dialog === undefined) return;
    const number = cseqNumber(ack);
    const awaited = dialog.unacknowledged;
    let transactionId: string = randomUUID();
    if (awaited !== undefined && awaited.number === number) {
      dialog.unacknowledged = undefined;
      awaited.transaction.acknowledged();
      const pending = this.#calls.pendingOf(awaited.transaction);
      if (pending !== undefined) this.#calls.close(pending);
      if (number === dialog.inviteNumber) transactionId = dialog.transactionId;
    }
    this.#deliverKnown(dialog.client, transactionId, dialog.id, ack, flow);
  }

  onCancel(transaction: ServerTransaction, invite: ServerTransaction | undefined): void {
    // As sofia-sip and drachtio-server: 481 also where the INVITE was accepted (RFC 3261 §9.2 has 200 there).
    if (invite === undefined || invite.isAccepted) {
      answer(transaction, 481, 'Call/Transaction Does Not Exist');
      return;
    }
    const pending = this.#calls.pendingOf(invite);
    const dialog = pending?.dialog;
    answer(transaction, 200, 'OK', dialog);
    if (invite.isAnswered) return;
    answer(invite, 487, 'Request Terminated', dialog);
    if (pending === undefined || dialog === undefined) return;
    const dialogId = dialog.state === 'pending' ? '' : dialog.id;
    const { request, flow } = transaction;
    this.#deliverKnown(pending.client, pending.transactionId, dialogId, request, flow);
    this.#calls.close(pending);
    if (dialog.state !== 'confirmed') this.#calls.end(dialog);
  }

  #deliverKnown(
    client: AppClient,
    transactionId: string,
    dialogId: string,
    request: SipRequest,
    flow: SipFlow,
  ): void {
    const bytes = formatSipMessage(request);
    client.send(encodeKnown(this.#meta(bytes, flow), { transactionId, dialogId }, bytes));
  }

  #meta(bytes: Buffer, flow: SipFlow): ReturnType<typeof metaOf> {
    return metaOf('network', bytes, flow, this.#options.clock.wallTime());
  }
}

const cseqNumber = (request: SipRequest): number => readCSeq(header(request, 'cseq') ?? '')?.number ?? 0;

function refuseSecond(transaction: ServerTransaction, existing: Dialog): void {
  // RFC 3261 §8.2.2.2: the same request over another path. (drachtio-server gives the app a second call.)
  const isMerged = existing.role === 'uas' && existing.inviteNumber === cseqNumber(transaction.request);
  if (isMerged) answer(transaction, 482, 'Loop Detected');
  else answer(transaction, 491, 'Request Pending');
}

/** What can be absent from an INVITE, but not be unreadable. The reason phrases are those of sofia-sip. */
function findInviteFault(request: SipRequest): string | undefined {
  const contact = header(request, 'contact');
  if (contact !== undefined) {
    const uri = readNameAddr(splitList(contact)[0] ?? '')?.uri;
    if (uri === undefined || (/^sips?:/i.test(uri) && readSipUri(uri) === undefined)) {
      return 'Bad Contact Header';
    }
  }
  const timer = header(request, 'session-expires');
  return timer === undefined || readSessionExpires(request.headers) !== undefined
    ? undefined
    : 'Bad Session-Expires Header';
}
