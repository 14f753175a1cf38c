import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';

import { onTestFinished } from 'vitest';

import { LegAudio } from '../../src/audio/leg-audio.ts';
import { systemClock } from '../../src/clock.ts';
import { Pacer } from '../../src/pacer.ts';
import { LegTicker } from '../../src/rtp/leg-ticker.ts';
import { PortPool } from '../../src/rtp/port-pool.ts';
import { type LegReceiver, type LegReceiverOptions, openLegReceiver } from '../../src/rtp/receiver.ts';

/** A leg that takes payload type 0, on loopback; closed with the test. */
export async function openLeg(options: Partial<LegReceiverOptions> = {}): Promise<LegReceiver> {
  const firstPort = 10_000 + 2 * Math.floor(Math.random() * 4_950);
  const receiver = await openLegReceiver({
    ports: new PortPool({ address: '127.0.0.1', firstPort, lastPort: firstPort + 15, clock: systemClock }),
    ticker: new LegTicker(systemClock),
    pacer: new Pacer(systemClock),
    clock: systemClock,
    codecs: new Map([[0, 'PCMU' as const]]),
    telephoneEventPayloadTypes: new Set(),
    comfortNoisePayloadTypes: new Set(),
    sink: new LegAudio(() => undefined),
    ...options,
  });
  onTestFinished(() => receiver.close());
  return receiver;
}

export interface MediaPeer {
  readonly port: number;
  readonly send: (bytes: Buffer, port: number) => void;
  /** The next datagram, also one that came before it was asked for. */
  readonly next: () => Promise<{ bytes: Buffer; fromPort: number }>;
  /** Datagrams that nobody asked for yet. */
  readonly waiting: () => number;
}

/** One socket of a leg's peer, on loopback; closed with the test. */
export async function openPeer(): Promise<MediaPeer> {
  const socket: Socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  onTestFinished(() => new Promise<void>((resolve) => void socket.close(resolve)));
  const arrived: { bytes: Buffer; fromPort: number }[] = [];
  let wake = (): void => undefined;
  socket.on('message', (bytes: Buffer, source: RemoteInfo) => {
    arrived.push({ bytes, fromPort: source.port });
    wake();
  });
  return {
    port: socket.address().port,
    send: (bytes, port) => {
      socket.send(bytes, port, '127.0.0.1');
    },
    next: async () => {
      while (arrived.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return arrived.shift()!;
    },
    waiting: () => arrived.length,
  };
}
