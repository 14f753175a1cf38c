import { once } from 'node:events';
import { connect, createServer, isIPv6, type Server, type Socket } from 'node:net';

import { CallscribeError, toError } from '../errors.ts';
import type { EndpointLimits, EndpointOptions } from './endpoint.ts';
import type { EndpointCounters, SipEndpoint, SipFlow, SocketAddress } from './flow.ts';
import { type Framed, StreamFramer } from './stream-framer.ts';

interface Totals {
  received: number;
  sent: number;
  sendFailures: number;
  framesLost: number;
}

type Options = EndpointOptions & { readonly limits: EndpointLimits };

const PONG = Buffer.from('\r\n');

export async function openTcpEndpoint(options: Options): Promise<SipEndpoint> {
  const { host, port } = options.listen;
  const server = createServer({ noDelay: true });
  // An IPv6 wildcard must leave the IPv4 one free for its own entry in SIP_LISTEN.
  server.listen({ host, port, exclusive: true, ipv6Only: isIPv6(host) });
  await once(server, 'listening');
  return new TcpEndpoint(server, options);
}

class TcpEndpoint implements SipEndpoint {
  readonly protocol = 'tcp';
  readonly bound: SocketAddress;
  readonly #server: Server;
  readonly #options: Options;
  readonly #connections = new Set<Connection>();
  readonly #totals = { received: 0, sent: 0, sendFailures: 0, framesLost: 0, connectionsRefused: 0 };
  #isOpen = true;

  constructor(server: Server, options: Options) {
    this.#server = server;
    this.#options = options;
    const address = server.address();
    if (address === null || typeof address === 'string') {
      throw new Error('a TCP server without an IP address');
    }
    this.bound = { host: address.address, port: address.port };
    server.on('connection', (socket) => {
      if (this.#connections.size < options.limits.connectionsMax) this.#adopt(socket);
      else {
        this.#totals.connectionsRefused += 1;
        socket.destroy();
      }
    });
    server.on('error', (error) => {
      options.logger.warn({ err: error, protocol: 'tcp' }, 'sip socket reported an error');
    });
  }

  #adopt(socket: Socket): Connection {
    const connection = new Connection(socket, this.bound.port, this.#options, this.#totals);
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
    return connection;
  }

  async flowTo(remote: SocketAddress): Promise<SipFlow> {
    if (!this.#isOpen) throw new CallscribeError('SIP_FLOW_CLOSED', 'tcp: the endpoint is closed');
    for (const open of this.#connections) {
      if (open.isOpen && open.remote.host === remote.host && open.remote.port === remote.port) return open;
    }
    const socket = connect({ ...remote, noDelay: true });
    const deadline = AbortSignal.timeout(this.#options.limits.connectTimeoutMs);
    try {
      await once(socket, 'connect', { signal: deadline });
    } catch (thrown) {
      socket.destroy();
      throw new CallscribeError('SIP_FLOW_CLOSED', 'tcp: the connection could not be opened', {
        cause: thrown,
      });
    }
    return this.#adopt(socket);
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
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** How long a closed endpoint lets a connection deliver what was written before it is cut. */
const LINGER_MS = 500;

/** One TCP connection is one flow. */
class Connection implements SipFlow {
  readonly protocol = 'tcp';
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
  readonly #socket: Socket;
  readonly #totals: Totals;
  readonly #limits: EndpointLimits;

  constructor(socket: Socket, listeningPort: number, options: Options, totals: Totals) {
    this.#socket = socket;
    this.#totals = totals;
    this.#limits = options.limits;
    this.remote = { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    // RFC 3261 §18.1.1, §18.2.1: whoever wants to reach us later connects to the port that we listen on.
    this.local = { host: socket.localAddress ?? '', port: listeningPort };
    const framer = new StreamFramer({ messageMaxBytes: options.limits.messageMaxBytes });
    socket.setTimeout(options.limits.connectionIdleMs, () => socket.destroy());
    // The close that follows is what counts.
    socket.on('error', (error) => {
      options.logger.debug({ err: error, protocol: 'tcp' }, 'sip connection ended with an error');
    });
    const onFramed = (framed: Framed): void => {
      if (framed.kind === 'ping') socket.write(PONG);
      else {
        totals.received += 1;
        options.onMessage(framed.bytes, this);
      }
    };
    socket.on('data', (chunk) => {
      try {
        framer.push(chunk, onFramed);
      } catch (thrown) {
        totals.framesLost += 1;
        options.logger.warn({ err: toError(thrown), protocol: 'tcp' }, 'sip stream lost its frame');
        socket.destroy();
      }
    });
  }

  get isOpen(): boolean {
    return this.#socket.writable;
  }

  async send(message: Uint8Array): Promise<void> {
    if (!this.isOpen) {
      this.#totals.sendFailures += 1;
      throw new CallscribeError('SIP_FLOW_CLOSED', 'tcp: the connection is closed');
    }
    if (this.#socket.writableLength > this.#limits.unsentMaxBytes) {
      this.#totals.sendFailures += 1;
      this.#socket.destroy();
      throw new CallscribeError('SIP_FLOW_CLOSED', 'tcp: the peer does not read what is sent to it');
    }
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(message, (error) => {
        if (error == null) resolve();
        else {
          this.#totals.sendFailures += 1;
          reject(new CallscribeError('SIP_FLOW_CLOSED', 'tcp: the connection broke', { cause: error }));
        }
      });
    });
    this.#totals.sent += 1;
  }

  /** Lets what was written go out, then closes; cuts the connection if the peer keeps it open. */
  end(): void {
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
  }
}
