import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

import type { SeededRandom } from '../../src/seeded-random.ts';
import { PACKETS } from './corpus.ts';
import { mutatePacket, pick, upTo } from './mutate.ts';

/**
 * Sends mutated RTP and RTCP: to the flood's own calls from where they are signalled, so that it is looked at, and from
 * elsewhere to every port of the service, those of other calls included, where nothing of it may be heard.
 */
export class RtpFlood {
  sent = 0;
  readonly #random: SeededRandom;
  readonly #own: Socket;
  readonly #foreign: Socket;
  readonly #state = { seq: 1, timestamp: 1, ssrc: 0x1234 };

  private constructor(random: SeededRandom, own: Socket, foreign: Socket) {
    this.#random = random;
    this.#own = own;
    this.#foreign = foreign;
  }

  static async open(random: SeededRandom): Promise<RtpFlood> {
    const sockets = [createSocket('udp4'), createSocket('udp4')] as const;
    for (const socket of sockets) {
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
      // What the service reports is not looked at, nor that a port is closed by now.
      socket.on('error', () => undefined);
    }
    return new RtpFlood(random, sockets[0], sockets[1]);
  }

  get port(): number {
    return this.#own.address().port;
  }

  /** @param ownPorts where the flood's calls are taken; @param range every port that the service may use */
  send(ownPorts: readonly number[], range: { readonly first: number; readonly last: number }): void {
    const random = this.#random;
    this.sent += 1;
    this.#state.seq += 1;
    this.#state.timestamp += 160;
    if (random() < 0.001) this.#state.ssrc = upTo(random, 2 ** 32);
    const whole = pick(random, PACKETS)(this.#state);
    // One in ten is as it should be, so that there is a stream for the others to disturb.
    const packet = random() < 0.1 ? whole : mutatePacket(random, whole);
    const isOwn = ownPorts.length > 0 && random() < 0.6;
    const isRtcp = random() < 0.3;
    const port = isOwn
      ? pick(random, ownPorts) + (isRtcp ? 1 : 0)
      : range.first + upTo(random, range.last - range.first + 1);
    if (port < 1_024 || port > 65_535) return;
    (isOwn ? this.#own : this.#foreign).send(packet, port, '127.0.0.1');
  }

  async close(): Promise<void> {
    for (const socket of [this.#own, this.#foreign]) {
      socket.close();
      await once(socket, 'close');
    }
  }
}
