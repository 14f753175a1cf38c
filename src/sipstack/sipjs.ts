/**
 * The one door to sip.js. Only its `core` is used, and of that the four transactions of RFC 3261 §17 with their timers:
 * its user agent answers 404 for foreign users, sends everything over one transport and counts bodies as strings, and its
 * grammar refuses messages that must not be refused (see `fields.ts`).
 *
 * Messages pass through it as byte strings (latin1, one character a byte), which it never looks into.
 */
import {
  IncomingRequestMessage,
  IncomingResponseMessage,
  InviteClientTransaction,
  InviteServerTransaction,
  LoggerFactory,
  NonInviteClientTransaction,
  NonInviteServerTransaction,
  type OutgoingRequestMessage,
  Timers,
  type Transport,
} from 'sip.js/lib/core/index.js';

import type { SipFlow } from './flow.ts';

export {
  type ClientTransactionUser,
  type ServerTransactionUser,
  TransactionState,
} from 'sip.js/lib/core/index.js';
export {
  InviteClientTransaction,
  InviteServerTransaction,
  NonInviteClientTransaction,
  NonInviteServerTransaction,
};

/** The base values of RFC 3261 §17.1.1.1, appendix A; everything else follows from them. */
export interface SipTimers {
  /** Estimate of the round trip, and first retransmission. */
  readonly t1Ms: number;
  /** Longest interval between retransmissions. */
  readonly t2Ms: number;
  /** How long a message may live in the network. */
  readonly t4Ms: number;
}

const RFC_TIMERS: SipTimers = { t1Ms: 500, t2Ms: 4_000, t4Ms: 5_000 };

/**
 * Sets the timers of every transaction in the process, since sip.js keeps them in one table. For tests, which shorten
 * them; without an argument the values of the RFC return.
 */
export function setSipTimers(timers: SipTimers = RFC_TIMERS): void {
  const { t1Ms, t2Ms, t4Ms } = timers;
  Object.assign(Timers, {
    T1: t1Ms,
    T2: t2Ms,
    T4: t4Ms,
    TIMER_B: 64 * t1Ms,
    TIMER_F: 64 * t1Ms,
    TIMER_H: 64 * t1Ms,
    TIMER_L: 64 * t1Ms,
    TIMER_M: 64 * t1Ms,
    TIMER_N: 64 * t1Ms,
    // sip.js has these at zero because WebSocket is reliable. Over UDP they absorb retransmissions.
    TIMER_D: 64 * t1Ms,
    TIMER_I: t4Ms,
    TIMER_J: 64 * t1Ms,
    TIMER_K: t4Ms,
  });
}
setSipTimers();

/** The timers as they are now. */
export function sipTimers(): SipTimers {
  return { t1Ms: Timers.T1, t2Ms: Timers.T2, t4Ms: Timers.T4 };
}

/** sip.js writes message contents into its log, which must not happen here; what matters is counted by the layer above. */
export const silentSipJsLoggers = new LoggerFactory();
silentSipJsLoggers.builtinEnabled = false;

export function sipJsTransport(flow: SipFlow): Transport {
  return {
    protocol: flow.protocol.toUpperCase(),
    send: (message) => flow.send(Buffer.from(message, 'latin1')),
  };
}

/** As much of a request as a server transaction looks at. */
export function sipJsRequest(method: string, branch: string): IncomingRequestMessage {
  const request = new IncomingRequestMessage();
  request.method = method;
  request.viaBranch = branch;
  return request;
}

/** As much of a response as a client transaction looks at. */
export function sipJsResponse(
  status: number,
  headers: { to: string; toTag: string },
): IncomingResponseMessage {
  const response = new IncomingResponseMessage();
  response.statusCode = status;
  response.toTag = headers.toTag;
  response.setHeader('to', headers.to);
  return response;
}

/** What a client transaction asks of the request that it sends; the bytes are ready before it is made. */
export interface SipJsOutgoing {
  readonly method: string;
  readonly ruri: string;
  readonly callId: string;
  readonly cseq: number;
  readonly branch: string;
  readonly toTag: string | undefined;
  getHeader(name: string): string | undefined;
  toString(): string;
}

/**
 * Presents finished bytes as the request class of sip.js, whose constructor would compose a message of its own. The
 * transaction only calls what {@link SipJsOutgoing} lists, and `setViaHeader`, which has nothing left to set.
 */
export function sipJsOutgoing(outgoing: SipJsOutgoing): OutgoingRequestMessage {
  return Object.assign(outgoing, { setViaHeader: () => undefined }) as unknown as OutgoingRequestMessage;
}
