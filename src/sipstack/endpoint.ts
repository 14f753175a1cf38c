import { isIPv6 } from 'node:net';

import { CallscribeError, systemCode, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Admission, OnSipMessage, SipAddress, SipEndpoint, TurnedAway } from './flow.ts';
import { openStreamEndpoint } from './stream-endpoint.ts';
import type { TlsCredentials } from './tls-credentials.ts';
import { openUdpEndpoint } from './udp-endpoint.ts';

export interface EndpointOptions {
  /** Port 0 takes a free one. A wildcard host serves its own address family only. */
  readonly listen: SipAddress;
  readonly onMessage: OnSipMessage;
  /** Asked for every datagram and every connection before anything else is done for it. Default: everybody is served. */
  readonly admit?: (address: string) => Admission;
  /** What a refused address sent, to be answered without keeping anything. */
  readonly onUnwelcome?: OnSipMessage;
  readonly onTurnedAway?: (reason: TurnedAway) => void;
  /** Needed where `listen` says `tls`. */
  readonly tls?: TlsCredentials | undefined;
  readonly logger: Logger;
  readonly limits?: Partial<EndpointLimits>;
}

export interface EndpointLimits {
  /** Head and body together. A longer datagram is dropped, a longer message on a stream closes the connection. */
  readonly messageMaxBytes: number;
  /** Connections accepted at once; further ones are closed at once and counted. */
  readonly connectionsMax: number;
  /** Of them, from one address. */
  readonly connectionsPerSourceMax: number;
  /** How long a message on a stream may take from its first byte to its last. */
  readonly messageTimeoutMs: number;
  /** How long a TLS handshake may take. */
  readonly handshakeTimeoutMs: number;
  /** A connection on which nothing moves for so long is closed. Sofia-SIP, and so drachtio-server: 30 min. */
  readonly connectionIdleMs: number;
  /** What may wait for a peer that does not read; beyond it the connection is closed. */
  readonly unsentMaxBytes: number;
  /** How long opening a connection may take, handshake included. */
  readonly connectTimeoutMs: number;
}

export const DEFAULT_LIMITS: EndpointLimits = {
  messageMaxBytes: 65_536,
  connectionsMax: 1_000,
  connectionsPerSourceMax: 200,
  messageTimeoutMs: 10_000,
  handshakeTimeoutMs: 10_000,
  connectionIdleMs: 1_800_000,
  unsentMaxBytes: 1_048_576,
  connectTimeoutMs: 10_000,
};

/**
 * Opens one SIP socket: UDP, or TCP or TLS as server and client in one.
 *
 * @throws {CallscribeError} `ADDRESS_IN_USE`
 */
export async function openSipEndpoint(options: EndpointOptions): Promise<SipEndpoint> {
  const { listen } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  try {
    switch (listen.protocol) {
      case 'udp':
        return await openUdpEndpoint({ ...options, limits });
      case 'tcp':
        return await openStreamEndpoint({ ...options, limits });
      case 'tls':
        return await openStreamEndpoint({ ...options, limits }, required(options.tls));
    }
  } catch (thrown) {
    if (systemCode(thrown) !== 'EADDRINUSE') throw toError(thrown);
    const shown = `${listen.protocol}:${isIPv6(listen.host) ? `[${listen.host}]` : listen.host}:${listen.port}`;
    throw new CallscribeError(
      'ADDRESS_IN_USE',
      `${shown} is in use by another process; stop it, or choose another address with SIP_LISTEN`,
      { cause: thrown },
    );
  }
}

function required(tls: TlsCredentials | undefined): TlsCredentials {
  if (tls !== undefined) return tls;
  throw new CallscribeError(
    'SIP_TLS_CREDENTIALS',
    'SIP_LISTEN names a tls: address, but there is no certificate; set SIP_TLS_CERT and SIP_TLS_KEY',
  );
}
