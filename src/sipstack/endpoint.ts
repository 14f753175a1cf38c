import { isIPv6 } from 'node:net';

import { CallscribeError, systemCode, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { OnSipMessage, SipAddress, SipEndpoint } from './flow.ts';
import { openTcpEndpoint } from './tcp-endpoint.ts';
import { openUdpEndpoint } from './udp-endpoint.ts';

export interface EndpointOptions {
  /** Port 0 takes a free one. A wildcard host serves its own address family only. */
  readonly listen: SipAddress;
  readonly onMessage: OnSipMessage;
  readonly logger: Logger;
  readonly limits?: Partial<EndpointLimits>;
}

export interface EndpointLimits {
  /** Head and body together. A longer datagram is dropped, a longer message on a stream closes the connection. */
  readonly messageMaxBytes: number;
  /** TCP connections at once; further ones are closed at once and counted. */
  readonly connectionsMax: number;
  /** A TCP connection on which nothing moves for so long is closed. Sofia-SIP, and so drachtio-server: 30 min. */
  readonly connectionIdleMs: number;
  /** What may wait for a TCP peer that does not read; beyond it the connection is closed. */
  readonly unsentMaxBytes: number;
  /** How long opening a TCP connection may take. */
  readonly connectTimeoutMs: number;
}

const DEFAULT_LIMITS: EndpointLimits = {
  messageMaxBytes: 65_536,
  connectionsMax: 1_000,
  connectionIdleMs: 1_800_000,
  unsentMaxBytes: 1_048_576,
  connectTimeoutMs: 10_000,
};

/**
 * Opens one SIP socket: UDP, or TCP as server and client in one.
 *
 * @throws {CallscribeError} `ADDRESS_IN_USE`
 */
export async function openSipEndpoint(options: EndpointOptions): Promise<SipEndpoint> {
  const { listen } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  try {
    return listen.protocol === 'udp'
      ? await openUdpEndpoint({ ...options, limits })
      : await openTcpEndpoint({ ...options, limits });
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
