import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

import { describe, expect, it, onTestFinished } from 'vitest';

import { decodeG711 } from '../../src/audio/g711.ts';
import { LegAudio } from '../../src/audio/leg-audio.ts';
import { systemClock } from '../../src/clock.ts';
import { Pacer } from '../../src/pacer.ts';
import { LegTicker } from '../../src/rtp/leg-ticker.ts';
import type { G711Law } from '../../src/rtp/payload-map.ts';
import { PortPool } from '../../src/rtp/port-pool.ts';
import { type LegReceiver, type LegReceiverOptions, openLegReceiver } from '../../src/rtp/receiver.ts';
import { codes, type PacketFields, rtpDatagram } from '../support/rtp-stream.ts';

/** A range that other test processes will hardly use at the same time; where they do, the pool goes on. */
function portRange(pairs: number): { firstPort: number; lastPort: number } {
  const firstPort = 10_000 + 2 * Math.floor(Math.random() * 4_950);
  return { firstPort, lastPort: firstPort + 2 * pairs - 1 };
}

function poolOf(pairs: number, address = '127.0.0.1'): PortPool {
  return new PortPool({ address, ...portRange(pairs), clock: systemClock });
}

interface OpenLeg {
  readonly receiver: LegReceiver;
  readonly pcm: () => Buffer;
  readonly starts: Date[];
  readonly faults: Error[];
}

async function openLeg(ports: PortPool, options: Partial<LegReceiverOptions> = {}): Promise<OpenLeg> {
  const chunks: Buffer[] = [];
  const starts: Date[] = [];
  const faults: Error[] = [];
  const receiver = await openLegReceiver({
    ports,
    ticker: new LegTicker(systemClock),
    pacer: new Pacer(systemClock),
    clock: systemClock,
    codecs: new Map<number, G711Law>([
      [0, 'PCMU'],
      [8, 'PCMA'],
    ]),
    telephoneEventPayloadTypes: new Set([101]),
    comfortNoisePayloadTypes: new Set([13]),
    sink: new LegAudio((pcm) => chunks.push(pcm)),
    onStarted: (at) => starts.push(at),
    onFault: (error) => faults.push(error),
    ...options,
  });
  onTestFinished(() => receiver.close());
  return { receiver, starts, faults, pcm: () => Buffer.concat(chunks) };
}

function closeAfterTest(socket: Socket): void {
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        socket.close(resolve);
      }),
  );
}

/** A peer's socket; `send` resolves when the datagram has left, and datagrams on loopback arrive in order. */
async function openPeer(address = '127.0.0.1'): Promise<(bytes: Buffer, port: number) => Promise<void>> {
  const socket: Socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.bind(0, address);
  await once(socket, 'listening');
  closeAfterTest(socket);
  return (bytes, port) =>
    new Promise((resolve, reject) => {
      socket.send(bytes, port, address, (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
}

/** Holds a port, unless another process happens to. */
async function occupy(port: number): Promise<void> {
  const socket = createSocket('udp4');
  closeAfterTest(socket);
  socket.bind(port, '127.0.0.1');
  await once(socket, 'listening').catch(() => undefined);
}

const packet = (i: number, fields: PacketFields = {}): Buffer =>
  rtpDatagram({ sequenceNumber: i, timestamp: 160 * i, payload: codes(160 * i, 160), ...fields });

/** Resolves when a leg has counted what it must; datagrams are counted as they are read. */
async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadlineMs) throw new Error('waited 10 s in vain');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const pcmOf = (law: G711Law, beginSample: number, samples: number): Buffer =>
  Buffer.from(decodeG711(law, codes(beginSample, samples)).buffer);

describe('openLegReceiver', () => {
  it.each(['127.0.0.1', '::1'])('turns packets sent to its port into PCM, on %s', async (address) => {
    const { receiver, pcm, starts } = await openLeg(poolOf(8, address));
    const send = await openPeer(address);
    expect(receiver.rtpPort % 2).toBe(0);
    expect(receiver.rtcpPort).toBe(receiver.rtpPort + 1);
    const before = Date.now();
    for (let i = 0; i < 13; i++) await send(packet(i), receiver.rtpPort);
    await until(() => receiver.counters().packetsReceived === 13);
    expect(pcm()).toHaveLength(3_200);
    receiver.finish();
    expect(pcm()).toEqual(pcmOf('PCMU', 0, 13 * 160));
    expect(starts).toHaveLength(1);
    expect(starts[0]!.getTime()).toBeGreaterThanOrEqual(before - 21);
    expect(starts[0]!.getTime()).toBeLessThanOrEqual(Date.now() - 20);
  });

  it('does not mix two legs that receive at the same time', async () => {
    const ports = poolOf(8);
    const [one, other] = [await openLeg(ports), await openLeg(ports)];
    const send = await openPeer();
    for (let i = 0; i < 20; i++) {
      await send(packet(i, { payloadType: 0 }), one.receiver.rtpPort);
      const shifted = codes(160 * i + 97, 160);
      await send(packet(i, { payloadType: 8, payload: shifted }), other.receiver.rtpPort);
    }
    const isDone = ({ receiver }: OpenLeg): boolean => receiver.counters().packetsReceived === 20;
    await until(() => isDone(one) && isDone(other));
    one.receiver.finish();
    other.receiver.finish();
    expect(one.pcm()).toEqual(pcmOf('PCMU', 0, 3_200));
    expect(other.pcm()).toEqual(pcmOf('PCMA', 97, 3_200));
  });

  it('counts malformed datagrams, foreign sources and RTCP on both ports, and hears none of them', async () => {
    const { receiver, pcm } = await openLeg(poolOf(8));
    const [send, sendForeign] = [await openPeer(), await openPeer()];
    for (let i = 0; i < 5; i++) await send(packet(i), receiver.rtpPort);
    await until(() => receiver.counters().packetsReceived === 5);

    const report = Buffer.from('81c9000711223344aabbccdd010000020001000500000010a2b3400000008000', 'hex');
    await send(report, receiver.rtpPort);
    await send(report, receiver.rtcpPort);
    await send(report.subarray(0, 9), receiver.rtcpPort);
    await send(Buffer.alloc(0), receiver.rtpPort);
    await send(Buffer.from('no RTP at all'), receiver.rtpPort);
    for (let i = 5; i < 9; i++) await sendForeign(packet(i), receiver.rtpPort);
    await until(() => {
      const { rtcpPackets, rtcpMalformed, packetsMalformed, packetsForeign } = receiver.counters();
      return rtcpPackets + rtcpMalformed + packetsMalformed + packetsForeign === 9;
    });
    expect(receiver.counters()).toMatchObject({
      packetsReceived: 5,
      rtcpPackets: 2,
      rtcpMalformed: 1,
      packetsMalformed: 2,
      packetsForeign: 4,
      socketErrors: 0,
    });
    receiver.finish();
    expect(pcm()).toEqual(pcmOf('PCMU', 0, 800));
  });

  it('lets silence flow when packets stop', async () => {
    const { receiver, pcm } = await openLeg(poolOf(8));
    const send = await openPeer();
    for (let i = 0; i < 10; i++) await send(packet(i), receiver.rtpPort);
    await until(() => pcm().length >= 6_400);
    expect(pcm().subarray(3_200)).toEqual(Buffer.alloc(pcm().length - 3_200));
    expect(receiver.counters().packetsLost).toBe(0);
  });

  it('follows the peer to another address after relatch', async () => {
    const { receiver, pcm } = await openLeg(poolOf(8));
    const [send, sendElsewhere] = [await openPeer(), await openPeer()];
    for (let i = 0; i < 5; i++) await send(packet(i), receiver.rtpPort);
    await until(() => receiver.counters().packetsReceived === 5);
    receiver.relatch();
    for (let i = 5; i < 10; i++) await sendElsewhere(packet(i), receiver.rtpPort);
    await until(() => receiver.counters().packetsReceived === 10);
    receiver.finish();
    expect(pcm()).toEqual(pcmOf('PCMU', 0, 1_600));
  });

  it('goes on to the next pair where another process holds a port', async () => {
    const ports = poolOf(16);
    const first = ports.take();
    await occupy(first + 2);
    await occupy(first + 5);
    const { receiver } = await openLeg(ports);
    expect(receiver.rtpPort).toBeGreaterThanOrEqual(first + 6);
  });

  it('says that ports are exhausted, retryable, and takes them again when they have rested', async () => {
    const { receiver: found } = await openLeg(poolOf(16));
    await found.close();
    const range = { firstPort: found.rtpPort, lastPort: found.rtcpPort };
    const ports = new PortPool({ address: '127.0.0.1', ...range, clock: systemClock, restMs: 0 });
    const { receiver } = await openLeg(ports);
    await expect(openLeg(ports)).rejects.toMatchObject({ code: 'RTP_PORTS_EXHAUSTED', retryable: true });
    await Promise.all([receiver.close(), receiver.close()]);
    expect((await openLeg(ports)).receiver.rtpPort).toBe(found.rtpPort);
  });

  it('gives the ports back when the address is not ours', async () => {
    const ports = new PortPool({ address: '192.0.2.1', ...portRange(1), clock: systemClock });
    await expect(openLeg(ports)).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
    expect(ports.usage.taken).toBe(0);
  });

  it('ends its own media when its sink throws, and tells so once', async () => {
    const sink = new LegAudio(() => {
      throw new Error('sink');
    });
    const ports = poolOf(8);
    const [leg, other] = [await openLeg(ports, { sink }), await openLeg(ports)];
    const send = await openPeer();
    for (let i = 0; i < 20; i++) {
      await send(packet(i), leg.receiver.rtpPort);
      await send(packet(i), other.receiver.rtpPort);
    }
    await until(() => other.receiver.counters().packetsReceived === 20);
    leg.receiver.finish();
    expect(leg.faults.map(({ message }) => message)).toEqual(['sink']);
    expect(other.faults).toEqual([]);
  });

  it('hears nothing after it was closed', async () => {
    const { receiver, pcm } = await openLeg(poolOf(8));
    const send = await openPeer();
    for (let i = 0; i < 5; i++) await send(packet(i), receiver.rtpPort);
    await until(() => receiver.counters().packetsReceived === 5);
    await receiver[Symbol.asyncDispose]();
    receiver.finish();
    expect(pcm()).toHaveLength(1_600);
    expect(receiver.counters().packetsReceived).toBe(5);
  });
});
