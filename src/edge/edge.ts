import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

import { type Clock, systemClock } from '../clock.ts';
import { toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { type EndpointLimits, openSipEndpoint } from '../sipstack/endpoint.ts';
import { uriHost } from '../sipstack/fields.ts';
import type { Admission, SipAddress, SipEndpoint, TurnedAway } from '../sipstack/flow.ts';
import { parseSipMessage, type SipMessage } from '../sipstack/message.ts';
import { TlsCredentials, type TlsFiles } from '../sipstack/tls-credentials.ts';
import { Transactions } from '../sipstack/transactions.ts';
import type { AppClient, SipFromApp } from './app-client.ts';
import { AppRequests } from './app-requests.ts';
import { AppResponses } from './app-responses.ts';
import { AppServer } from './app-server.ts';
import { Calls } from './calls.ts';
import { HangUp } from './hang-up.ts';
import { NetworkSide } from './network-side.ts';
import { NextHop } from './next-hop.ts';
import { SessionTimers } from './session-timer.ts';
import { encodeAnswer } from './wire-message.ts';

export interface EdgeOptions {
  /** Where SIP is taken; port 0 takes a free one. A wildcard host serves its own address family only. */
  readonly listen: readonly SipAddress[];
  /** Who may call. Nothing is kept for anybody else, and the application never hears of it. Default: all may. */
  readonly admit?: (address: string) => Admission;
  /** Told of everything that is turned away before it is a request, other than by `admit`. */
  readonly onTurnedAway?: (reason: TurnedAway | 'headers') => void;
  readonly limits?: Partial<EndpointLimits>;
  /** Needed where `listen` names a TLS address. */
  readonly tls?: TlsFiles | undefined;
  readonly onTlsUnusable?: () => void;
  /** Where applications of other processes connect, and with what. Default: reachable locally only, a new secret. */
  readonly apps?: AppAddress | undefined;
  readonly logger: Logger;
  readonly clock?: Clock;
}

export interface AppAddress {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
}

/** Totals since the start, and what is going on now. */
export interface EdgeCounters {
  readonly messagesReceived: number;
  readonly messagesSent: number;
  readonly sendFailures: number;
  /** Messages that could not be read: dropped, or answered 400 where that was possible. */
  readonly malformed: number;
  readonly retransmissionsAbsorbed: number;
  readonly strayResponses: number;
  /** Datagrams and connections that were not served because of their address. */
  readonly refused: number;
  /** Requests answered 503 because too many were in progress. */
  readonly overflowed: number;
  readonly connections: number;
  readonly serverTransactions: number;
  readonly clientTransactions: number;
  readonly requestsWithApp: number;
  readonly dialogs: number;
  readonly apps: number;
}

/** The embedded SIP edge: for drachtio-srf a drachtio-server, for the network a SIP user agent. */
export interface Edge extends AsyncDisposable {
  /** Where drachtio-srf connects, and the secret that it must bring. */
  readonly host: string;
  readonly port: number;
  readonly secret: string;
  /** The bound addresses, with the ports that the system chose where 0 was asked. */
  readonly sipAddresses: readonly SipAddress[];
  counters(): EdgeCounters;
  /** Ends at once: calls in progress are forgotten, not hung up, so end them first. */
  close(): Promise<void>;
}

const LOOPBACK = '127.0.0.1';

/**
 * Starts a stand-in for drachtio-server. It speaks the wire protocol of drachtio-server 0.9.10 to
 * `drachtio-srf` over TCP, and SIP over UDP, TCP and TLS, IPv4 and IPv6, to the network.
 *
 *     network ══ SipEndpoint ─ Transactions ─ NetworkSide ──▶ AppServer ══ drachtio-srf
 *                     └─ NextHop ──┴── AppResponses, AppRequests ◀──┘
 *
 * @throws {CallscribeError} `ADDRESS_IN_USE`, naming the address and the way out; `SIP_TLS_CREDENTIALS`
 */
export async function startEdge(options: EdgeOptions): Promise<Edge> {
  const { logger, clock = systemClock } = options;
  const apps = options.apps ?? { host: LOOPBACK, port: 0, secret: randomBytes(24).toString('base64url') };
  const calls = new Calls();
  const endpoints: SipEndpoint[] = [];
  const tls =
    options.tls === undefined
      ? undefined
      : await TlsCredentials.open({
          files: options.tls,
          logger,
          ...(options.onTlsUnusable === undefined ? {} : { onUnusable: options.onTlsUnusable }),
        });
  let refused = 0;
  const admit = (address: string): Admission => {
    const admission = options.admit?.(address) ?? 'serve';
    if (admission !== 'serve') refused += 1;
    return admission;
  };

  const server = new AppServer({
    secret: apps.secret,
    hostports: () => sipAddresses().map(showAddress).join(','),
    onSip: (message, client) => {
      onSip(message, client, { requests, responses, logger });
    },
    onGone: (client) => {
      calls.forget(client);
    },
    logger,
  });
  const sipAddresses = (): SipAddress[] =>
    endpoints.map(({ protocol, bound }): SipAddress => ({ protocol, ...bound }));
  const network = new NetworkSide({
    calls,
    pick: (method) => server.pick(method),
    clock,
  });
  const transactions = new Transactions({
    user: network,
    logger,
    onTooManyHeaders: () => options.onTurnedAway?.('headers'),
  });
  const nextHop = new NextHop(endpoints);
  const hangUp = new HangUp({ calls, transactions, nextHop, clock, logger });
  const sessionTimers = new SessionTimers({ transactions, nextHop, hangUp, logger });
  const requests = new AppRequests({ calls, transactions, nextHop, clock, logger });
  const responses = new AppResponses({ calls, clock, hangUp, sessionTimers });
  let appPort: number;
  try {
    for (const listen of options.listen) {
      const endpoint = await openSipEndpoint({
        listen,
        onMessage: transactions.receive,
        onUnwelcome: transactions.turnAway,
        admit,
        onTurnedAway: (reason) => options.onTurnedAway?.(reason),
        tls,
        logger,
        limits: options.limits ?? {},
      });
      endpoints.push(endpoint);
    }
    // Last, since an application is told the addresses as soon as it is there.
    appPort = await server.listen(apps.host, apps.port);
  } catch (thrown) {
    tls?.close();
    await Promise.all([server, ...endpoints].map((open) => open.close()));
    throw toError(thrown);
  }

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await server.close();
    calls.clear();
    transactions.close();
    tls?.close();
    await Promise.all(endpoints.map((endpoint) => endpoint.close()));
  };
  const closeOnce = (): Promise<void> => (closing ??= close());
  return {
    host: apps.host,
    port: appPort,
    secret: apps.secret,
    sipAddresses: sipAddresses(),
    counters: () => count({ calls, endpoints, refused, server, transactions }),
    close: closeOnce,
    [Symbol.asyncDispose]: closeOnce,
  };
}

interface AppSide {
  readonly requests: AppRequests;
  readonly responses: AppResponses;
  readonly logger: Logger;
}

function onSip(message: SipFromApp, client: AppClient, { requests, responses, logger }: AppSide): void {
  let sip: SipMessage;
  try {
    // drachtio-srf writes the length in characters; the frame has said where the body ends.
    sip = parseSipMessage(message.message, { body: 'rest' });
  } catch {
    client.send(encodeAnswer(message.id, 'NOK', 'Server error: invalid SIP message'));
    return;
  }
  if (sip.kind === 'response') {
    if (message.transactionId === '') client.refuse(message.id, 'transaction id missing');
    else responses.handle(message, sip, client);
    return;
  }
  requests.handle(message, sip, client).catch((thrown: unknown) => {
    logger.error({ err: toError(thrown) }, 'edge could not send a request of the app');
    client.send(encodeAnswer(message.id, 'NOK', 'Server error: request could not be sent'));
  });
}

function showAddress({ protocol, host, port }: SipAddress): string {
  return `${protocol}/${uriHost(reachableHost(host))}:${port}`;
}

/** What a wildcard stands for, where one address must do: the first that is not the machine's own. */
function reachableHost(host: string): string {
  if (host !== '0.0.0.0' && host !== '::') return host;
  const family = `IPv${isIP(host)}`;
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outer = addresses.find((address) => !address.internal && address.family === family);
  return outer?.address ?? (family === 'IPv4' ? '127.0.0.1' : '::1');
}

function count(parts: {
  calls: Calls;
  endpoints: readonly SipEndpoint[];
  refused: number;
  server: AppServer;
  transactions: Transactions;
}): EdgeCounters {
  const sockets = parts.endpoints.map((endpoint) => endpoint.counters());
  const sum = (of: (counters: (typeof sockets)[number]) => number): number =>
    sockets.reduce((total, counters) => total + of(counters), 0);
  const transactions = parts.transactions.counters();
  return {
    messagesReceived: sum((socket) => socket.received),
    messagesSent: sum((socket) => socket.sent),
    sendFailures: sum((socket) => socket.sendFailures),
    malformed: transactions.malformed + sum((socket) => socket.framesLost),
    retransmissionsAbsorbed: transactions.repeated,
    strayResponses: transactions.strayResponses,
    refused: parts.refused,
    overflowed: transactions.overflowed + sum((socket) => socket.connectionsRefused),
    connections: sum((socket) => socket.connections),
    serverTransactions: transactions.serverTransactions,
    clientTransactions: transactions.clientTransactions,
    requestsWithApp: parts.calls.counts.pending,
    dialogs: parts.calls.counts.dialogs,
    apps: parts.server.clients,
  };
}
