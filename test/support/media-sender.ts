import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

import { onTestFinished } from 'vitest';

import { codes, type PacketFields, rtpDatagram } from './rtp-stream.ts';

/** A media socket of the peer; its port is what the peer announces. */
export class MediaSender {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async open(): Promise<MediaSender> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    onTestFinished(
      () =>
        new Promise<void>((resolve) => {
          socket.close(resolve);
        }),
    );
    return new MediaSender(socket);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** Resolves when the datagram has left; on the loopback address they arrive in order. */
  send(port: number, fields: PacketFields): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.send(rtpDatagram(fields), port, '127.0.0.1', (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
  }

  async flow(port: number, first: number, packets: number, fields: PacketFields = {}): Promise<void> {
    for (let i = first; i < first + packets; i++) {
      await this.send(port, {
        sequenceNumber: i,
        timestamp: 160 * i,
        payload: codes(160 * i, 160),
        ...fields,
      });
    }
  }
}

/** One key as RFC 4733 tells of it: two updates, the end three times. */
export async function press(
  sender: MediaSender,
  port: number,
  packetNo: number,
  code: number,
): Promise<void> {
  for (let i = 0; i < 5; i++) {
    const ticks = 160 * Math.min(i + 1, 3);
    const payload = Uint8Array.of(code, i < 2 ? 10 : 0x8a, ticks >> 8, ticks & 0xff);
    const timestamp = 160 * packetNo;
    await sender.send(port, { sequenceNumber: packetNo + i, timestamp, payloadType: 101, payload });
  }
}
