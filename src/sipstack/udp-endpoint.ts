import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { lookup as resolverLookup, type LookupOneOptions } from 'node:dns';
import { once } from 'node:events';
import { isIP, isIPv6 } from 'node:net';

import { CallscribeError, toError } from '../errors.ts';
import type { EndpointLimits, EndpointOptions } from './endpoint.ts';
import type { EndpointCounters, SipEndpoint, SipFlow, SocketAddress } from './flow.ts';
import { localAddressTowards } from './local-address.ts';

const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);
/** Peers whose route is remembered on a wildcard socket; beyond it the oldest is forgotten and asked for again. */
const KNOWN_ROUTES_MAX = 4_096;
/**
 * SIPREC INVITEs come in several fragments each, many at a time after a fail-over; the system's default holds some fifty.
 * The system may grant less (net.core.rmem_max).
 */
const RECEIVE_BUFFER_BYTES = 4_194_304;

/** An address needs no resolver; Node would ask it for every datagram, and so delay each by a turn. */
function lookup(
  host: string,
  options: LookupOneOptions,
  done: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  const family = isIP(host);
  if (family === 0) resolverLookup(host, options, done);
  else done(null, host, family);
}

type Options = EndpointOptions & { readonly limits: EndpointLimits };

export async function openUdpEndpoint(options: Options): Promise<SipEndpoint> {
  const { host, port } = options.listen;
  // An IPv6 wildcard must leave the IPv4 one free for its own entry in SIP_LISTEN.
  const socket = isIPv6(host)
    ? createSocket({ type: 'udp6', ipv6Only: true, lookup })
    : createSocket({ type: 'udp4', lookup });
  const listening = once(socket, 'listening');
  socket.bind({ address: host, port, exclusive: true });
  try {
    await listening;
  } catch (thrown) {
    socket.close();
    throw thrown;
  }
  try {
    socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
  } catch (thrown) {
    options.logger.debug({ err: toError(thrown) }, 'sip socket keeps the receive buffer of the system');
  }
  return new UdpEndpoint(socket, options);
}

class UdpEndpoint implements SipEndpoint {
  readonly protocol = 'udp';
  readonly bound: SocketAddress;
  readonly #socket: Socket;
  readonly #options: Options;
  readonly #routes = new Map<string, Promise<string> | string>();
  #isOpen = true;
  #received = 0;
  #sent = 0;
  #sendFailures = 0;
  #framesLost = 0;

  constructor(socket: Socket, options: Options) {
    this.#socket = socket;
    this.#options = options;
    const { address, port } = socket.address();
    this.bound = { host: address, port };
    socket.on('message', (datagram, from) => {
      this.#onDatagram(datagram, from);
    });
    // An ICMP error of an earlier datagram; its sender is not told apart, so retransmission must find out.
    socket.on('error', (error) => {
      options.logger.warn({ err: error, protocol: 'udp' }, 'sip socket reported an error');
    });
  }

  #onDatagram(datagram: Buffer, from: RemoteInfo): void {
    this.#received += 1;
    if (datagram.length > this.#options.limits.messageMaxBytes) {
      this.#framesLost += 1;
      this.#options.onTurnedAway?.('frame');
      return;
    }
    // RFC 5626 §4.4: a datagram of line ends keeps a binding alive and is no message.
    if (/^[\r\n\0]*$/.test(datagram.toString('latin1', 0, 8)) && datagram.length <= 8) return;
    const admission = this.#options.admit?.(from.address) ?? 'serve';
    if (admission === 'ignore') return;
    const onMessage = admission === 'serve' ? this.#options.onMessage : this.#options.onUnwelcome;
    const remote = { host: from.address, port: from.port };
    const local = this.#localHost(from.address);
    if (typeof local === 'string') {
      onMessage?.(datagram, this.#flow(remote, local));
      return;
    }
    void local.then((host) => {
      if (this.#isOpen) onMessage?.(datagram, this.#flow(remote, host));
    });
  }

  /** Messages of one peer keep their order: they wait on one promise, and the first of them replaces it. */
  #localHost(remoteHost: string): Promise<string> | string {
    if (!WILDCARDS.has(this.bound.host)) return this.bound.host;
    const known = this.#routes.get(remoteHost);
    if (known !== undefined) return known;
    const found = localAddressTowards(remoteHost)
      .catch(() => this.bound.host)
      .then((host) => {
        this.#routes.set(remoteHost, host);
        return host;
      });
    this.#routes.set(remoteHost, found);
    if (this.#routes.size > KNOWN_ROUTES_MAX) this.#routes.delete(this.#routes.keys().next().value!);
    return found;
  }

  #flow(remote: SocketAddress, localHost: string): SipFlow {
    const isOpen = (): boolean => this.#isOpen;
    return {
      protocol: 'udp',
      remote,
      local: { host: localHost, port: this.bound.port },
      get isOpen() {
        return isOpen();
      },
      send: (message) => this.#send(message, remote),
    };
  }

  async #send(message: Uint8Array, remote: SocketAddress): Promise<void> {
    if (!this.#isOpen) throw new CallscribeError('SIP_FLOW_CLOSED', 'udp: the socket is closed');
    try {
      await new Promise<void>((resolve, reject) => {
        this.#socket.send(message, remote.port, remote.host, (error) => {
          if (error === null) resolve();
          else reject(error);
        });
      });
      this.#sent += 1;
    } catch (thrown) {
      this.#sendFailures += 1;
      throw new CallscribeError('SIP_FLOW_CLOSED', 'udp: the system refused the datagram', { cause: thrown });
    }
  }

  async flowTo(remote: SocketAddress): Promise<SipFlow> {
    return this.#flow(remote, await this.#localHost(remote.host));
  }

  counters(): EndpointCounters {
    return {
      received: this.#received,
      sent: this.#sent,
      sendFailures: this.#sendFailures,
      framesLost: this.#framesLost,
      connectionsRefused: 0,
      connections: 0,
    };
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#socket.close();
    await once(this.#socket, 'close');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
