import { once } from 'node:events';
import { connect as connectTcp, createServer, isIPv6, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer, type Server as TlsServer } from 'node:tls';

import { CallscribeError } from '../errors.ts';
import type { EndpointLimits, EndpointOptions } from './endpoint.ts';
import type { EndpointCounters, SipEndpoint, SipFlow, SocketAddress } from './flow.ts';
import { StreamConnection, type StreamTotals } from './stream-connection.ts';
import type { TlsCredentials } from './tls-credentials.ts';

type Options = EndpointOptions & { readonly limits: EndpointLimits };

/** TCP, or TLS where credentials are given. */
export async function openStreamEndpoint(options: Options, tls?: TlsCredentials): Promise<SipEndpoint> {
  const { host, port } = options.listen;
  const server = createServer({ noDelay: true });
  // An IPv6 wildcard must leave the IPv4 one free for its own entry in SIP_LISTEN.
  server.listen({ host, port, exclusive: true, ipv6Only: isIPv6(host) });
  await once(server, 'listening');
  return new StreamEndpoint(server, options, tls);
}

/**
 * Takes connections and opens them. Whoever connects is looked at before anything else is done for it, a TLS handshake
 * included: by its address, by how many connections it has, by how many there are.
 */
class StreamEndpoint implements SipEndpoint {
  readonly protocol: 'tcp' | 'tls';
  readonly bound: SocketAddress;
  readonly #server: Server;
  readonly #options: Options;
  readonly #tls: TlsCredentials | undefined;
  /** Takes over admitted sockets; it never listens itself. */
  readonly #handshakes: TlsServer | undefined;
  readonly #connections = new Set<StreamConnection>();
  /** Accepted and open, those within their handshake included. */
  readonly #accepted = new Set<Socket>();
  readonly #acceptedBySource = new Map<string, number>();
  /** Within their handshake, by the peer's address: the server hands back another socket than it was given. */
  readonly #handshaking = new Map<string, Socket>();
  readonly #totals: StreamTotals & { connectionsRefused: number } = {
    received: 0,
    sent: 0,
    sendFailures: 0,
    framesLost: 0,
    connectionsRefused: 0,
  };
  #isOpen = true;

  constructor(server: Server, options: Options, tls: TlsCredentials | undefined) {
    this.protocol = tls === undefined ? 'tcp' : 'tls';
    this.#server = server;
    this.#options = options;
    this.#tls = tls;
    const address = server.address();
    if (address === null || typeof address === 'string') {
      throw new Error('a TCP server without an IP address');
    }
    this.bound = { host: address.address, port: address.port };
    this.#handshakes = tls === undefined ? undefined : this.#openHandshakes(tls);
    server.on('connection', (socket) => {
      this.#accept(socket);
    });
    server.on('error', (error) => {
      options.logger.warn({ err: error, protocol: this.protocol }, 'sip socket reported an error');
    });
  }

  #openHandshakes(tls: TlsCredentials): TlsServer {
    const { limits, logger } = this.#options;
    const server = createTlsServer({ ...tls.current, handshakeTimeout: limits.handshakeTimeoutMs });
    tls.onReplaced(() => {
      server.setSecureContext(tls.current);
    });
    server.on('secureConnection', (socket) => {
      socket.setNoDelay(true);
      this.#handshaking.delete(addressOf(socket));
      this.#adopt(socket, 'serve');
    });
    server.on('tlsClientError', (error, socket) => {
      this.#options.onTurnedAway?.('tls');
      logger.debug({ err: error }, 'sip connection ended within its TLS handshake');
      socket.destroy();
    });
    return server;
  }

  #accept(socket: Socket): void {
    const source = socket.remoteAddress ?? '';
    const ofSource = this.#acceptedBySource.get(source) ?? 0;
    const { connectionsMax, connectionsPerSourceMax } = this.#options.limits;
    const admission = this.#options.admit?.(source) ?? 'serve';
    // Who is refused is told so by an answer to its first message; before a handshake that is not worth its cost.
    const isIgnored = admission === 'ignore' || (admission === 'refuse' && this.#handshakes !== undefined);
    const isTooMany = this.#accepted.size >= connectionsMax || ofSource >= connectionsPerSourceMax;
    if (isIgnored || isTooMany) {
      this.#totals.connectionsRefused += 1;
      if (!isIgnored) this.#options.onTurnedAway?.('connections');
      socket.destroy();
      return;
    }
    this.#accepted.add(socket);
    // A closed socket has no address any more.
    const address = addressOf(socket);
    this.#acceptedBySource.set(source, ofSource + 1);
    socket.once('close', () => {
      this.#accepted.delete(socket);
      if (this.#handshaking.get(address) === socket) this.#handshaking.delete(address);
      const left = (this.#acceptedBySource.get(source) ?? 1) - 1;
      if (left === 0) this.#acceptedBySource.delete(source);
      else this.#acceptedBySource.set(source, left);
    });
    if (this.#handshakes === undefined) this.#adopt(socket, admission === 'refuse' ? 'refuse' : 'serve');
    else {
      this.#handshaking.set(address, socket);
      this.#handshakes.emit('connection', socket);
    }
  }

  #adopt(socket: Socket, admission: 'serve' | 'refuse'): StreamConnection {
    const connection = new StreamConnection(socket, {
      protocol: this.protocol,
      limits: this.#options.limits,
      totals: this.#totals,
      endpoint: this.#options,
      listeningPort: this.bound.port,
      admission,
    });
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
    return connection;
  }

  async flowTo(remote: SocketAddress): Promise<SipFlow> {
    if (!this.#isOpen) {
      throw new CallscribeError('SIP_FLOW_CLOSED', `${this.protocol}: the endpoint is closed`);
    }
    for (const open of this.#connections) {
      if (open.isOpen && open.remote.host === remote.host && open.remote.port === remote.port) return open;
    }
    const socket = this.#connect(remote);
    const deadline = AbortSignal.timeout(this.#options.limits.connectTimeoutMs);
    try {
      await once(socket, this.#tls === undefined ? 'connect' : 'secureConnect', { signal: deadline });
    } catch (thrown) {
      socket.destroy();
      throw new CallscribeError('SIP_FLOW_CLOSED', `${this.protocol}: the connection could not be opened`, {
        cause: thrown,
      });
    }
    return this.#adopt(socket, 'serve');
  }

  #connect(remote: SocketAddress): Socket {
    if (this.#tls === undefined) return connectTcp({ ...remote, noDelay: true });
    const { current, verifiesPeers } = this.#tls;
    const socket = connectTls({
      ...current,
      ...remote,
      rejectUnauthorized: verifiesPeers,
      // Peers are named by address, which their certificates seldom hold; who they are, the authority vouches for.
      checkServerIdentity: () => undefined,
    });
    return socket.setNoDelay(true);
  }

  counters(): EndpointCounters {
    return { ...this.#totals, connections: this.#connections.size };
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const connection of this.#connections) connection.end();
    for (const socket of this.#handshaking.values()) socket.destroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

const addressOf = (socket: Socket): string => `${socket.remoteAddress ?? ''} ${socket.remotePort ?? ''}`;
