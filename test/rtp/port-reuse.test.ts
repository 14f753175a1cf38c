import { createSocket } from 'node:dgram';
import { once } from 'node:events';

import { expect, it, onTestFinished } from 'vitest';

import { decodeG711 } from '../../src/audio/g711.ts';
import { LegAudio } from '../../src/audio/leg-audio.ts';
import { systemClock } from '../../src/clock.ts';
import { Pacer } from '../../src/pacer.ts';
import type { SignalledSource } from '../../src/rtp/latch-rule.ts';
import { LegTicker } from '../../src/rtp/leg-ticker.ts';
import { PortPool } from '../../src/rtp/port-pool.ts';
import { type LegReceiver, openLegReceiver } from '../../src/rtp/receiver.ts';
import { codes, type PacketFields, rtpDatagram } from '../support/rtp-stream.ts';

const ticker = new LegTicker(systemClock);
const pacer = new Pacer(systemClock);

interface OpenLeg {
  readonly receiver: LegReceiver;
  readonly pcm: () => Buffer;
}

async function openLeg(ports: PortPool, signalled?: SignalledSource): Promise<OpenLeg> {
  const chunks: Buffer[] = [];
  const receiver = await openLegReceiver({
    ports,
    ticker,
    pacer,
    clock: systemClock,
    codecs: new Map([[0, 'PCMU']]),
    telephoneEventPayloadTypes: new Set(),
    comfortNoisePayloadTypes: new Set(),
    sink: new LegAudio((pcm) => chunks.push(pcm)),
    signalled,
  });
  onTestFinished(() => receiver.close());
  return { receiver, pcm: () => Buffer.concat(chunks) };
}

type Send = (port: number, fields: PacketFields) => Promise<void>;

async function openPeer(): Promise<Send> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        socket.close(resolve);
      }),
  );
  return (port, fields) =>
    new Promise((resolve, reject) => {
      socket.send(rtpDatagram(fields), port, '127.0.0.1', (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
}

/** Packet `i` of a sender: 20 ms of it. */
const packet = (i: number, fields: PacketFields = {}): PacketFields => ({
  sequenceNumber: i,
  timestamp: 160 * i,
  payload: codes(160 * i, 160),
  ...fields,
});

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadlineMs) throw new Error('waited 10 s in vain');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const pcmOf = (beginSample: number, samples: number): Buffer =>
  Buffer.from(decodeG711('PCMU', codes(beginSample, samples)).buffer);

/** A pool of one pair that rests so long, on ports that were free a moment ago. */
async function onePair(restMs: number): Promise<PortPool> {
  const firstPort = 10_000 + 2 * Math.floor(Math.random() * 4_950);
  const range = new PortPool({
    address: '127.0.0.1',
    firstPort,
    lastPort: firstPort + 31,
    clock: systemClock,
  });
  const { receiver } = await openLeg(range);
  await receiver.close();
  const ports = { firstPort: receiver.rtpPort, lastPort: receiver.rtcpPort };
  return new PortPool({ address: '127.0.0.1', ...ports, clock: systemClock, restMs });
}

it('a sender of the last call that goes on is never heard in the next one, even at ports that did not rest', async () => {
  const ports = await onePair(0);
  const [late, rightful] = [await openPeer(), await openPeer()];
  const first = await openLeg(ports);
  for (let i = 0; i < 10; i++) await late(first.receiver.rtpPort, packet(i));
  await until(() => first.receiver.counters().packetsReceived === 10);
  first.receiver.finish();
  await first.receiver.close();

  // It is alone at first, which is when it would be latched on.
  const { receiver, pcm } = await openLeg(ports);
  expect(receiver.rtpPort).toBe(first.receiver.rtpPort);
  for (let i = 10; i < 30; i++) await late(receiver.rtpPort, packet(i));
  await until(() => receiver.counters().packetsForeign === 20);
  for (let i = 0; i < 20; i++) {
    await rightful(receiver.rtpPort, packet(i, { ssrc: 0x77, payload: codes(160 * i + 31, 160) }));
    await late(receiver.rtpPort, packet(30 + i));
  }
  await until(() => receiver.counters().packetsForeign === 40 && receiver.counters().packetsReceived === 20);
  receiver.finish();
  expect(pcm()).toEqual(pcmOf(31, 3_200));
});

it('ports that were used rest before the next call gets them', async () => {
  const ports = await onePair(10_000);
  const { receiver } = await openLeg(ports);
  await receiver.close();
  await expect(openLeg(ports)).rejects.toMatchObject({ code: 'RTP_PORTS_EXHAUSTED', retryable: true });
});

it('only the address that was signalled is heard, from whatever port, and the new one after a re-INVITE', async () => {
  const { receiver, pcm } = await openLeg(await onePair(0), { address: '203.0.113.1', port: 9 });
  const send = await openPeer();
  for (let i = 0; i < 5; i++) await send(receiver.rtpPort, packet(i));
  await until(() => receiver.counters().packetsForeign === 5);
  receiver.relatch({ address: '127.0.0.1', port: 9 });
  for (let i = 5; i < 10; i++) await send(receiver.rtpPort, packet(i));
  await until(() => receiver.counters().packetsReceived === 5);
  receiver.finish();
  expect(pcm()).toEqual(pcmOf(800, 800));
});
