import type { Socket } from 'node:net';

import { CallscribeError, toError } from '../errors.ts';
import type { EndpointLimits, EndpointOptions } from './endpoint.ts';
import type { SipFlow, SocketAddress } from './flow.ts';
import { type Framed, StreamFramer } from './stream-framer.ts';

/** Totals that all connections of an endpoint share. */
export interface StreamTotals {
  received: number;
  sent: number;
  sendFailures: number;
  framesLost: number;
}

export interface StreamConnectionOptions {
  readonly protocol: 'tcp' | 'tls';
  readonly limits: EndpointLimits;
  readonly totals: StreamTotals;
  readonly endpoint: EndpointOptions;
  /** Whoever wants to reach us later connects to the port that we listen on. RFC 3261 §18.1.1, §18.2.1. */
  readonly listeningPort: number;
  /** `refuse`: the first message is turned away and the connection closed, whatever else it holds. */
  readonly admission: 'serve' | 'refuse';
}

const PONG = Buffer.from('\r\n');
/** How long a closed connection may still deliver what was written before it is cut. */
const LINGER_MS = 500;

/**
 * One TCP or TLS connection is one flow.
 *
 * Bounds: a message that was begun must be complete within `messageTimeoutMs`, or the connection is closed: a peer that
 * sends a byte now and then holds nothing. What waits for a peer that does not read: `unsentMaxBytes`.
 */
export class StreamConnection implements SipFlow {
  readonly protocol: 'tcp' | 'tls';
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
  readonly #socket: Socket;
  readonly #options: StreamConnectionOptions;
  readonly #framer: StreamFramer;
  #isTurnedAway = false;
  #unfinished: NodeJS.Timeout | undefined;

  constructor(socket: Socket, options: StreamConnectionOptions) {
    const { limits, endpoint, protocol } = options;
    this.#socket = socket;
    this.#options = options;
    this.protocol = protocol;
    this.remote = { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    this.local = { host: socket.localAddress ?? '', port: options.listeningPort };
    this.#framer = new StreamFramer({ messageMaxBytes: limits.messageMaxBytes });
    socket.setTimeout(limits.connectionIdleMs, () => socket.destroy());
    // The close that follows is what counts.
    socket.on('error', (error) => {
      endpoint.logger.debug({ err: error, protocol }, 'sip connection ended with an error');
    });
    socket.on('close', () => {
      clearTimeout(this.#unfinished);
    });
    socket.on('data', (chunk) => {
      this.#onData(chunk);
    });
    // Whoever is not served has this long for the one message that it may send.
    if (options.admission === 'refuse') this.#expectMessage();
  }

  get isOpen(): boolean {
    return this.#socket.writable;
  }

  #onData(chunk: Buffer): void {
    const { totals, endpoint } = this.#options;
    try {
      this.#framer.push(chunk, (framed) => {
        this.#onFramed(framed);
      });
    } catch (thrown) {
      totals.framesLost += 1;
      endpoint.onTurnedAway?.('frame');
      endpoint.logger.debug({ err: toError(thrown), protocol: this.protocol }, 'sip stream lost its frame');
      this.#socket.destroy();
      return;
    }
    if (this.#framer.pendingBytes > 0) this.#expectMessage();
  }

  #onFramed(framed: Framed): void {
    const { totals, endpoint, admission } = this.#options;
    this.#messageComplete();
    if (framed.kind === 'ping') {
      if (admission === 'serve') this.#socket.write(PONG);
      return;
    }
    totals.received += 1;
    if (admission === 'serve') {
      endpoint.onMessage(framed.bytes, this);
      return;
    }
    if (!this.#isTurnedAway) endpoint.onUnwelcome?.(framed.bytes, this);
    this.#isTurnedAway = true;
    this.end();
  }

  #expectMessage(): void {
    this.#unfinished ??= setTimeout(() => {
      this.#options.endpoint.onTurnedAway?.('unfinished');
      this.#socket.destroy();
    }, this.#options.limits.messageTimeoutMs);
  }

  #messageComplete(): void {
    clearTimeout(this.#unfinished);
    this.#unfinished = undefined;
  }

  async send(message: Uint8Array): Promise<void> {
    const { totals, limits } = this.#options;
    if (!this.isOpen) {
      totals.sendFailures += 1;
      throw new CallscribeError('SIP_FLOW_CLOSED', `${this.protocol}: the connection is closed`);
    }
    if (this.#socket.writableLength > limits.unsentMaxBytes) {
      totals.sendFailures += 1;
      this.#socket.destroy();
      throw new CallscribeError(
        'SIP_FLOW_CLOSED',
        `${this.protocol}: the peer does not read what is sent to it`,
      );
    }
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(message, (error) => {
        if (error == null) resolve();
        else {
          totals.sendFailures += 1;
          reject(
            new CallscribeError('SIP_FLOW_CLOSED', `${this.protocol}: the connection broke`, {
              cause: error,
            }),
          );
        }
      });
    });
    totals.sent += 1;
  }

  /** Lets what was written go out, then closes; cuts the connection if the peer keeps it open. */
  end(): void {
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
  }
}
