import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';

import { CallscribeError, systemCode } from '../errors.ts';

const ATTEMPTS_MAX = 50;

/**
 * The two sockets of a leg: RTP on an even port, RTCP on the next (RFC 3550 §11), so that the peer's reports
 * don't arrive at somebody else's. What comes in is handed on where somebody asked for it; RTCP is counted.
 */
export class MediaSockets implements AsyncDisposable {
  readonly rtpPort: number;
  readonly #rtp: Socket;
  readonly #rtcp: Socket;
  /** Who reads what the peer reports; set once the leg sends. */
  onRtcp: ((datagram: Buffer) => void) | undefined;
  /** Who keeps what the peer says. */
  onRtp: ((datagram: Buffer, source: RemoteInfo) => void) | undefined;
  #rtcpReceived = 0;
  #sendFailures = 0;
  #isOpen = true;

  /** @throws {CallscribeError} `RTP_PORTS_EXHAUSTED` when the system gives no even port with a free one after it */
  static async open(localHost: string): Promise<MediaSockets> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const rtp = await bind(localHost, 0);
      const { port } = rtp.address();
      try {
        if (port % 2 === 0) return new MediaSockets(rtp, await bind(localHost, port + 1));
      } catch (error) {
        if (systemCode(error) !== 'EADDRINUSE') {
          rtp.close();
          throw error;
        }
      }
      rtp.close();
    }
    throw new CallscribeError(
      'RTP_PORTS_EXHAUSTED',
      `no free pair of UDP ports after ${ATTEMPTS_MAX} attempts`,
    );
  }

  private constructor(rtp: Socket, rtcp: Socket) {
    this.#rtp = rtp;
    this.#rtcp = rtcp;
    this.rtpPort = rtp.address().port;
    // Errors on UDP sockets are news of earlier datagrams; a receiver that is gone shows in the call itself.
    for (const socket of [rtp, rtcp]) socket.on('error', () => undefined);
    rtp.on('message', (datagram, source) => {
      this.onRtp?.(datagram, source);
    });
    rtcp.on('message', (datagram) => {
      this.#rtcpReceived += 1;
      this.onRtcp?.(datagram);
    });
  }

  /** RTCP packets that the peer sent. */
  get rtcpReceived(): number {
    return this.#rtcpReceived;
  }

  /** Packets that the system did not take. */
  get sendFailures(): number {
    return this.#sendFailures;
  }

  send(packet: Buffer, address: string, port: number): void {
    this.#rtp.send(packet, port, address, (error) => {
      if (error !== null) this.#sendFailures += 1;
    });
  }

  sendRtcp(packet: Buffer, address: string, port: number): void {
    this.#rtcp.send(packet, port, address, (error) => {
      if (error !== null) this.#sendFailures += 1;
    });
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await Promise.all(
      [this.#rtp, this.#rtcp].map(async (socket) => {
        const closed = once(socket, 'close');
        socket.close();
        await closed;
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

async function bind(address: string, port: number): Promise<Socket> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  socket.bind({ address, port, exclusive: true });
  try {
    await once(socket, 'listening');
  } catch (error) {
    socket.close();
    throw error;
  }
  return socket;
}
