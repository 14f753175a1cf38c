import { createHash } from 'node:crypto';

import { toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { ClientTransaction, type OnResponse } from './client-transaction.ts';
import { readCSeq, readNameAddr, readVia } from './fields.ts';
import type { SipFlow } from './flow.ts';
import {
  formatSipMessage,
  header,
  headers,
  parseSipMessage,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from './message.ts';
import { newBranch, reply, stampVia, viaValues } from './reply.ts';
import { ServerTransaction } from './server-transaction.ts';

/** Who decides about what comes in. Exceptions are caught, logged and counted; they end nothing but that message. */
export interface TransactionUser {
  /** A new request, its Via stamped. It must be answered by `transaction.respond`. Never ACK or CANCEL. */
  onRequest(transaction: ServerTransaction): void;
  /** An ACK that belongs to no transaction: the one to a 2xx. */
  onAck(ack: SipRequest, flow: SipFlow): void;
  /** A CANCEL, and the INVITE that it means where that is known. */
  onCancel(transaction: ServerTransaction, invite: ServerTransaction | undefined): void;
}

export interface TransactionCounters {
  /** Messages that cannot be read, or lack what a transaction needs. */
  readonly malformed: number;
  /** Requests that were there already. */
  readonly repeated: number;
  /** Responses that answer nothing we sent. */
  readonly strayResponses: number;
  /** Requests answered 503 because `transactionsMax` was reached. */
  readonly overflowed: number;
  readonly serverTransactions: number;
  readonly clientTransactions: number;
}

const TRANSACTIONS_MAX = 20_000;

/**
 * The transaction layer of RFC 3261 §17: takes messages from any number of endpoints, absorbs what is repeated, hands up
 * what is new. What comes in on a flow is answered on it.
 *
 * Bound: `transactionsMax` at once, in either direction; further requests are answered 503 without a transaction.
 */
export class Transactions {
  readonly #user: TransactionUser;
  readonly #logger: Logger;
  readonly #transactionsMax: number;
  readonly #onTooManyHeaders: (() => void) | undefined;
  readonly #servers = new Map<string, ServerTransaction>();
  readonly #clients = new Map<string, ClientTransaction>();
  readonly #totals = { malformed: 0, repeated: 0, strayResponses: 0, overflowed: 0 };

  constructor(options: {
    readonly user: TransactionUser;
    readonly logger: Logger;
    readonly transactionsMax?: number;
    readonly onTooManyHeaders?: () => void;
  }) {
    this.#user = options.user;
    this.#logger = options.logger;
    this.#onTooManyHeaders = options.onTooManyHeaders;
    this.#transactionsMax = options.transactionsMax ?? TRANSACTIONS_MAX;
  }

  /** To be given to `openSipEndpoint` as `onMessage`. Never throws. */
  readonly receive = (bytes: Buffer, flow: SipFlow): void => {
    let message: SipMessage;
    try {
      message = parseSipMessage(bytes);
    } catch {
      this.#totals.malformed += 1;
      return;
    }
    try {
      if (message.kind === 'response') this.#receiveResponse(message);
      else this.#receiveRequest(stampVia(message, flow), flow);
    } catch (thrown) {
      this.#totals.malformed += 1;
      this.#logger.error({ err: toError(thrown) }, 'sip message could not be handled');
    }
  };

  /**
   * For what comes from an address that is not served: answers a request with 403 and keeps nothing. ACK and CANCEL are not
   * answered (RFC 3261 §8.2.7), nor is what cannot be read.
   */
  readonly turnAway = (bytes: Buffer, flow: SipFlow): void => {
    try {
      const message = parseSipMessage(bytes);
      if (message.kind === 'response' || message.method === 'ACK' || message.method === 'CANCEL') return;
      const request = stampVia(message, flow);
      if (transactionKey(request) === undefined) return;
      this.#replyStateless(request, flow, 403, 'Forbidden');
    } catch {
      this.#totals.malformed += 1;
    }
  };

  #receiveResponse(response: SipResponse): void {
    const branch = readVia(viaValues(response)[0] ?? '')?.parameters.get('branch');
    const method = readCSeq(header(response, 'cseq') ?? '')?.method;
    const transaction = this.#clients.get(`${branch ?? ''} ${method ?? ''}`);
    if (transaction === undefined) this.#totals.strayResponses += 1;
    else transaction.receive(response);
  }

  #receiveRequest(request: SipRequest, flow: SipFlow): void {
    const key = transactionKey(request);
    if (key === undefined) {
      // Without Via there is nowhere to send a response.
      this.#totals.malformed += 1;
      return;
    }
    const fault = findFault(request);
    if (fault !== undefined) {
      this.#totals.malformed += 1;
      if (request.defect === 'headers') this.#onTooManyHeaders?.();
      const status = request.defect === 'version' ? 505 : 400;
      if (request.method !== 'ACK') this.#replyStateless(request, flow, status, fault);
      return;
    }
    const known = this.#servers.get(`${key} ${request.method === 'ACK' ? 'INVITE' : request.method}`);
    if (request.method === 'ACK') {
      // Some peers acknowledge a 2xx under the branch of the INVITE.
      if (known === undefined || known.isAccepted) this.#user.onAck(request, flow);
      else known.receive(request);
      return;
    }
    if (known !== undefined) {
      this.#totals.repeated += 1;
      known.receive(request);
      return;
    }
    if (this.#servers.size >= this.#transactionsMax) {
      this.#totals.overflowed += 1;
      this.#replyStateless(request, flow, 503, 'Service Unavailable');
      return;
    }
    const transaction = this.#open(request, flow, key);
    if (request.method === 'CANCEL') this.#user.onCancel(transaction, this.#servers.get(`${key} INVITE`));
    else this.#user.onRequest(transaction);
  }

  #open(request: SipRequest, flow: SipFlow, key: string): ServerTransaction {
    const name = `${key} ${request.method}`;
    const transaction = new ServerTransaction(request, flow, {
      branch: key,
      onEnd: () => this.#servers.delete(name),
    });
    this.#servers.set(name, transaction);
    return transaction;
  }

  #replyStateless(request: SipRequest, flow: SipFlow, status: number, reason: string): void {
    const response = reply(request, { status, reason, toTag: statelessTag(request) });
    flow.send(formatSipMessage(response)).catch(() => {
      // Whoever asked has gone; nothing waits for this response.
    });
  }

  /**
   * Sends a request (without Via, which is added) and runs its transaction. The first response comes in a later turn.
   * `branch` is given for CANCEL only, which shares that of its INVITE (RFC 3261 §9.1).
   */
  request(
    request: SipRequest,
    flow: SipFlow,
    onResponse: OnResponse,
    branch = newBranch(),
  ): ClientTransaction {
    const name = `${branch} ${request.method}`;
    const transaction = new ClientTransaction(request, flow, {
      branch,
      onResponse,
      onEnd: () => this.#clients.delete(name),
    });
    this.#clients.set(name, transaction);
    return transaction;
  }

  counters(): TransactionCounters {
    return {
      ...this.#totals,
      serverTransactions: this.#servers.size,
      clientTransactions: this.#clients.size,
    };
  }

  /** Ends every transaction without another message. */
  close(): void {
    for (const transaction of [...this.#servers.values(), ...this.#clients.values()]) transaction.dispose();
  }
}

/** RFC 3261 §8.2.7: the same for a repeated request, though nothing is remembered. */
function statelessTag(request: SipRequest): string {
  const named = [
    viaValues(request)[0] ?? '',
    header(request, 'call-id') ?? '',
    header(request, 'cseq') ?? '',
  ];
  return createHash('sha256').update(named.join('\n')).digest('hex').slice(0, 16);
}

/** RFC 3261 §17.2.3: the branch of the top Via and who wrote it; for peers of RFC 2543 what they had instead. */
function transactionKey(request: SipRequest): string | undefined {
  const via = readVia(viaValues(request)[0] ?? '');
  if (via === undefined) return undefined;
  const sentBy = `${via.host.toLowerCase()}:${via.port ?? 5060}`;
  const branch = via.parameters.get('branch');
  if (branch?.startsWith('z9hG4bK') === true) return `${branch} ${sentBy}`;
  const callId = header(request, 'call-id') ?? '';
  const cseq = readCSeq(header(request, 'cseq') ?? '')?.number ?? '';
  const fromTag = readNameAddr(header(request, 'from') ?? '')?.parameters.get('tag') ?? '';
  return `${branch ?? ''} ${sentBy} ${callId} ${cseq} ${fromTag}`;
}

const NAMING = ['from', 'to', 'call-id', 'cseq'] as const;

/** RFC 3261 §8.1.1: what every request must have. The reason phrases are those of sofia-sip. */
function findFault(request: SipRequest): string | undefined {
  if (request.defect === 'version') return 'Version Not Supported';
  if (request.defect === 'headers') return 'Too Many Headers';
  if (request.defect === 'frame') return 'Bad Request';
  const [from, to, cseqValue] = ['from', 'to', 'cseq'].map((name) => header(request, name));
  const callId = header(request, 'call-id') ?? '';
  if (from === undefined || to === undefined || cseqValue === undefined || callId === '') {
    return 'Bad Request';
  }
  // RFC 4475 §3.3.8: of two values nobody knows which names the dialog, and drachtio-srf takes both for one.
  if (NAMING.some((name) => headers(request, name).length > 1)) return 'Bad Request';
  if (readNameAddr(from) === undefined) return 'Bad From Header';
  if (readNameAddr(to) === undefined) return 'Bad To Header';
  const cseq = readCSeq(cseqValue);
  if (cseq === undefined) return 'Bad CSeq Header';
  return cseq.method === request.method ? undefined : 'Bad Request';
}
