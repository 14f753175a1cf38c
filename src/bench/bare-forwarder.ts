import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

import { WebSocket } from 'ws';

import { encodeFinishTask, encodeRunTask } from '../dashscope/client-messages.ts';
import { readStamp } from './packet-stamp.ts';
import type { ReceiverMeter } from './receiver-meter.ts';

export interface BareForwarderOptions {
  readonly asrUrl: string;
  readonly legs: number;
  readonly meter: ReceiverMeter;
}

const HOST = '127.0.0.1';
const RECEIVE_BUFFER_BYTES = 1 << 20;
/** 100 ms of 8 kHz PCM, as the intake sends it, and one packet's share of it. */
const CHUNK_BYTES = 1_600;
const CHUNK_PACKETS = 5;
const OPENING_AT_ONCE = 50;

/**
 * The limit that an intake in this process could reach: the same number of sockets of both kinds, each packet copied
 * into a chunk of the same size, each chunk sent; no parsing, no buffer, no decoding, and whatever comes back is
 * dropped.
 */
export class BareForwarder {
  readonly #legs: BareLeg[] = [];

  static async open(options: BareForwarderOptions): Promise<BareForwarder> {
    const forwarder = new BareForwarder();
    while (forwarder.#legs.length < options.legs) {
      const batch = Math.min(OPENING_AT_ONCE, options.legs - forwarder.#legs.length);
      forwarder.#legs.push(
        ...(await Promise.all(Array.from({ length: batch }, () => BareLeg.open(options)))),
      );
    }
    return forwarder;
  }

  get rtpPorts(): readonly number[] {
    return this.#legs.map(({ rtpPort }) => rtpPort);
  }

  get packetsReceived(): number {
    return this.#legs.reduce((sum, leg) => sum + leg.packetsReceived, 0);
  }

  async close(): Promise<void> {
    await Promise.all(this.#legs.map((leg) => leg.close()));
  }
}

class BareLeg {
  readonly rtpPort: number;
  packetsReceived = 0;
  readonly #sockets: readonly Socket[];
  readonly #asr: WebSocket;
  readonly #meter: ReceiverMeter;
  #chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  #packets = 0;

  static async open({ asrUrl, meter }: BareForwarderOptions): Promise<BareLeg> {
    const asr = new WebSocket(asrUrl, {
      headers: { Authorization: 'Bearer bench' },
      perMessageDeflate: false,
    });
    await once(asr, 'open');
    asr.send(
      encodeRunTask({
        taskId: 'bare',
        model: 'paraformer-realtime-8k-v2',
        parameters: { format: 'pcm', sampleRate: 8_000 },
      }),
    );
    await once(asr, 'message');
    return new BareLeg(await Promise.all([bind(), bind()]), asr, meter);
  }

  private constructor(sockets: readonly [Socket, Socket], asr: WebSocket, meter: ReceiverMeter) {
    this.#sockets = sockets;
    this.#asr = asr;
    this.#meter = meter;
    this.rtpPort = sockets[0].address().port;
    sockets[0].on('message', (datagram) => {
      this.#forward(datagram);
    });
  }

  #forward(datagram: Buffer): void {
    this.packetsReceived += 1;
    datagram.copy(this.#chunk, this.#packets * (CHUNK_BYTES / CHUNK_PACKETS));
    this.#packets += 1;
    if (this.#packets < CHUNK_PACKETS) return;
    this.#asr.send(this.#chunk, ignoreSendError);
    this.#chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    this.#packets = 0;
    this.#meter.sent(readStamp(datagram, datagram.length));
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.close();
    const asr = this.#asr;
    asr.send(this.#chunk.subarray(0, this.#packets * (CHUNK_BYTES / CHUNK_PACKETS)), ignoreSendError);
    asr.send(encodeFinishTask('bare'), ignoreSendError);
    await once(asr, 'message');
    asr.close(1000);
    await once(asr, 'close');
  }
}

async function bind(): Promise<Socket> {
  const socket = createSocket({ type: 'udp4' });
  socket.bind({ address: HOST, port: 0, exclusive: true });
  await once(socket, 'listening');
  socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
  return socket;
}

function ignoreSendError(): void {
  return;
}
