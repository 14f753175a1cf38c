import { randomUUID } from 'node:crypto';

import type { Clock } from '../clock.ts';
import { toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { readCSeq, readNameAddr, uriHost } from '../sipstack/fields.ts';
import type { SipFlow } from '../sipstack/flow.ts';
import {
  formatSipMessage,
  header,
  headers,
  type SipHeader,
  type SipRequest,
  type SipResponse,
} from '../sipstack/message.ts';
import { newBranch, newTag, reply } from '../sipstack/reply.ts';
import type { Transactions } from '../sipstack/transactions.ts';
import type { AppClient, SipFromApp } from './app-client.ts';
import { ownContact, readAppHeaders, withRealHost } from './app-headers.ts';
import type { Calls } from './calls.ts';
import { type Dialog, dialogRequest, refreshByResponse, uacDialog } from './dialog.ts';
import { endsDialog } from './dialog-end.ts';
import type { NextHop } from './next-hop.ts';
import { OutgoingInvites } from './outgoing-invites.ts';
import {
  encodeAnswer,
  encodeKnown,
  encodeRequestSent,
  metaOf,
  metaOfRequest,
  type WireMeta,
} from './wire-message.ts';

export interface AppRequestsOptions {
  readonly calls: Calls;
  readonly transactions: Transactions;
  readonly nextHop: NextHop;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Requests whose Contact tells the peer where to send the rest. */
const CONTACT_METHODS: ReadonlySet<string> = new Set(['INVITE', 'SUBSCRIBE', 'REFER']);

/** One request of the app on its way: everything that its answers need. */
interface Outgoing {
  readonly transactionId: string;
  readonly message: SipFromApp;
  readonly request: SipRequest;
  readonly client: AppClient;
  readonly dialog: Dialog | undefined;
}

/** The app's own requests, inside a dialog and outside, and what comes back. */
export class AppRequests {
  readonly #options: AppRequestsOptions;
  readonly #calls: Calls;
  readonly #invites: OutgoingInvites;

  constructor(options: AppRequestsOptions) {
    this.#options = options;
    this.#calls = options.calls;
    this.#invites = new OutgoingInvites(options.transactions);
  }

  async handle(message: SipFromApp, request: SipRequest, client: AppClient): Promise<void> {
    const dialogId = message.dialogId;
    if (request.method === 'CANCEL' && dialogId === '') this.#cancel(message, request, client);
    else if (dialogId !== '') await this.#inDialog(message, request, client);
    else await this.#outsideDialog(message, request, client);
  }

  async #inDialog(message: SipFromApp, request: SipRequest, client: AppClient): Promise<void> {
    const { id } = message;
    const dialog = this.#calls.dialog(message.dialogId);
    // A dialog whose app is gone is anybody's to end, as with drachtio-server, which asks no app whose it is.
    const isOwn = dialog?.client === client || (dialog?.client.isOpen === false && request.method === 'BYE');
    const isUsable = isOwn && dialog.state !== 'pending';
    if (request.method === 'ACK') {
      this.#acknowledge(id, request, client, isUsable ? dialog : undefined);
      return;
    }
    if (!isUsable) {
      client.send(encodeAnswer(id, 'NOK', 'Server error: unable to find dialog for dialog id provided'));
      return;
    }
    const isPlaceholder = request.uri.includes('placeholder');
    if (isPlaceholder && dialog.remoteTarget === '') {
      const reason = `unable to find route when sending request inside dialog for dialog id ${dialog.id}`;
      client.send(encodeAnswer(id, 'NOK', `Server error: ${reason}`));
      return;
    }
    const flow = await this.#flowOr(() => this.#options.nextHop.inDialog(dialog));
    const written = readAppHeaders(request, (flow ?? dialog.flow).local);
    if (typeof written === 'string') {
      client.send(encodeAnswer(id, 'NOK', `Server error: ${written}`));
      return;
    }
    // RFC 3261 §15: whoever hangs up has no more use for an answer to its re-INVITE.
    if (request.method === 'BYE' && dialog.outgoingInvite !== undefined) {
      this.#invites.abandon(dialog.outgoingInvite.transaction);
    }
    const contact =
      written.contact ?? (CONTACT_METHODS.has(request.method) ? dialog.localContact : undefined);
    const outgoing = dialogRequest(dialog, request.method, {
      ...(isPlaceholder ? {} : { uri: request.uri }),
      headers: [...asHeader('Contact', contact), ...written.others],
      body: request.body,
    });
    if (request.method === 'INVITE' && request.body.length > 0) dialog.localSession = request.body;
    this.#send({ transactionId: randomUUID(), message, request: outgoing, client, dialog }, flow);
  }

  async #outsideDialog(message: SipFromApp, request: SipRequest, client: AppClient): Promise<void> {
    const { nextHop } = this.#options;
    const target = message.routeUrl === '' ? request.uri : message.routeUrl;
    const flow = await this.#flowOr(() => nextHop.toUri(readNameAddr(target)?.uri ?? target));
    const local = flow?.local ?? { host: 'localhost', port: 0 };
    const written = readAppHeaders(request, local);
    if (typeof written === 'string') {
      client.send(encodeAnswer(message.id, 'NOK', `Server error: ${written}`));
      return;
    }
    const from = withRealHost(
      'from',
      header(request, 'from') ?? `<sip:${uriHost(local.host)}:${local.port}>`,
      local,
    );
    const hasTag = readNameAddr(from)?.parameters.has('tag') === true;
    const contact =
      written.contact ??
      (CONTACT_METHODS.has(request.method) ? ownContact(local, flow?.protocol ?? 'udp') : undefined);
    const outgoing: SipRequest = {
      kind: 'request',
      method: request.method,
      uri: request.uri,
      headers: [
        ...headers(request, 'route').map((value) => ({ name: 'Route', value })),
        { name: 'Max-Forwards', value: '70' },
        { name: 'From', value: hasTag ? from : `${from};tag=${newTag()}` },
        { name: 'To', value: withRealHost('to', header(request, 'to') ?? `<${request.uri}>`, local) },
        { name: 'Call-ID', value: header(request, 'call-id') ?? randomUUID() },
        { name: 'CSeq', value: `${readCSeq(header(request, 'cseq') ?? '')?.number ?? 1} ${request.method}` },
        ...asHeader('Contact', contact),
        ...written.others,
      ],
      body: request.body,
    };
    const transactionId = randomUUID();
    let dialog: Dialog | undefined;
    if (request.method === 'INVITE' && flow !== undefined) {
      dialog = uacDialog(outgoing, flow, { client, transactionId, localContact: contact ?? '' });
      if (this.#calls.isFull || this.#calls.dialog(dialog.id) !== undefined) {
        client.send(encodeAnswer(message.id, 'NOK', 'Server error: dialog already exists'));
        return;
      }
      this.#calls.add(dialog);
    }
    this.#send({ transactionId, message, request: outgoing, client, dialog }, flow);
  }

  async #flowOr(find: () => Promise<SipFlow>): Promise<SipFlow | undefined> {
    try {
      return await find();
    } catch (thrown) {
      this.#options.logger.warn({ err: toError(thrown) }, 'edge found no way for a request of the app');
      return undefined;
    }
  }

  /** First the app is told that the request went out, then what came back, always in that order. */
  #send(outgoing: Outgoing, flow: SipFlow | undefined): void {
    const { message, request, client, transactionId, dialog } = outgoing;
    if (flow === undefined) {
      // As drachtio-server with a name that does not resolve: sent to nowhere, and answered 503.
      const bytes = formatSipMessage(request);
      client.send(
        encodeRequestSent(message.id, this.#metaNowhere('application', bytes), transactionId, bytes),
      );
      this.#onResponse(
        outgoing,
        reply(request, { status: 503, reason: 'DNS Error', toTag: newTag() }),
        undefined,
      );
      return;
    }
    const transaction = this.#options.transactions.request(request, flow, (response) => {
      this.#onResponse(outgoing, response, flow);
    });
    if (request.method === 'INVITE') {
      this.#invites.add(transactionId, transaction);
      if (dialog !== undefined) {
        const number = readCSeq(header(request, 'cseq') ?? '')?.number ?? 0;
        dialog.outgoingInvite = { number, transaction };
      }
    }
    this.#confirm(message.id, client, transactionId, transaction.request, flow);
  }

  #confirm(id: string, client: AppClient, transactionId: string, sent: SipRequest, flow: SipFlow): void {
    const bytes = formatSipMessage(sent);
    const meta = metaOfRequest(bytes, flow, this.#options.clock.wallTime());
    client.send(encodeRequestSent(id, meta, transactionId, bytes));
  }

  #onResponse(outgoing: Outgoing, response: SipResponse, flow: SipFlow | undefined): void {
    const { transactionId, client, dialog, message, request } = outgoing;
    if (request.method === 'INVITE') this.#onInviteResponse(transactionId, response, dialog);
    // sofia-sip keeps 100 to itself.
    if (response.status === 100) return;
    const bytes = formatSipMessage(response);
    const meta =
      flow === undefined
        ? this.#metaNowhere('network', bytes)
        : metaOf('network', bytes, flow, this.#options.clock.wallTime());
    const dialogId = dialog?.id ?? message.dialogId;
    client.send(encodeKnown(meta, { transactionId, dialogId }, bytes));
    if (dialog !== undefined && endsDialog(dialog, request, response)) this.#calls.end(dialog);
  }

  #onInviteResponse(transactionId: string, response: SipResponse, dialog: Dialog | undefined): void {
    const { status } = response;
    this.#invites.onStatus(transactionId, status);
    if (dialog === undefined) return;
    const isInitial = dialog.transactionId === transactionId;
    if (status >= 300) {
      dialog.outgoingInvite = undefined;
      if (isInitial) this.#calls.end(dialog);
      return;
    }
    if (status > 100) refreshByResponse(dialog, response, isInitial ? 'may establish' : 'refreshes');
  }

  /** The ACK to a 2xx is the app's to send; the one to a failure went out by itself. */
  #acknowledge(id: string, ack: SipRequest, client: AppClient, dialog: Dialog | undefined): void {
    const invite = dialog?.outgoingInvite;
    if (dialog === undefined || invite === undefined) {
      const reason = 'ACK for non-success final response is automatically generated by server';
      client.send(encodeAnswer(id, 'NOK', `Server error: ${reason}`));
      return;
    }
    const { transaction, number } = invite;
    const written = readAppHeaders(ack, transaction.flow.local);
    if (typeof written === 'string') {
      client.send(encodeAnswer(id, 'NOK', `Server error: ${written}`));
      return;
    }
    dialog.outgoingInvite = undefined;
    const request = dialogRequest(dialog, 'ACK', { number, headers: written.others, body: ack.body });
    const sent = transaction.acknowledge(request, newBranch());
    this.#confirm(id, client, randomUUID(), sent, transaction.flow);
  }

  #cancel(message: SipFromApp, request: SipRequest, client: AppClient): void {
    const cancelled = this.#invites.cancel(message.transactionId, request);
    if (cancelled === undefined) {
      const reason = `unable to cancel unknown transaction id: ${message.transactionId}`;
      client.send(encodeAnswer(message.id, 'NOK', reason));
      return;
    }
    const { cancel, transaction } = cancelled;
    this.#confirm(message.id, client, randomUUID(), cancel, transaction.flow);
  }

  #metaNowhere(source: WireMeta['source'], bytes: Buffer): WireMeta {
    const at = this.#options.clock.wallTime();
    return { source, bytes: bytes.length, protocol: 'unknown', host: '', port: 0, at };
  }
}

const asHeader = (name: string, value: string | undefined): SipHeader[] =>
  value === undefined ? [] : [{ name, value }];
