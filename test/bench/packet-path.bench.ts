/**
 * The cost of one packet on its way from the datagram to the chunk, without the socket. By hand:
 *
 *     node --expose-gc --max-semi-space-size=64 --import tsx test/bench/packet-path.bench.ts
 *
 * Each round has a fresh leg and a million packets of 20 ms; the first round warms up and is not counted. Beside
 * it, in the same round, the bare minimum: decoding the same payloads into one buffer. The bytes a packet are the
 * growth of the heap over 50,000 packets, before which garbage was collected and within which none is (hence the
 * wide new generation); a fifth of a chunk a packet is the audio itself.
 */
import { arch, cpus } from 'node:os';

import { decodeG711Into } from '../../src/audio/g711.ts';
import { LegAudio } from '../../src/audio/leg-audio.ts';
import { LegMedia } from '../../src/rtp/leg-media.ts';
import { TEST_RTCP } from '../support/rtcp-options.ts';
import { rtpDatagram } from '../support/rtp-stream.ts';

const PACKETS = 1_000_000;
const ROUNDS = 5;
/** Every so many packets one is overtaken by its successor, or lost; 0 is never. */
const PLANS = [
  { name: 'in order', swapEvery: 0, dropEvery: 0 },
  { name: 'reordered 2 %, lost 2 %', swapEvery: 50, dropEvery: 51 },
];

const collect = (globalThis as { gc?: () => void }).gc ?? ((): void => undefined);

const datagrams = Array.from({ length: 64 }, (_, i) =>
  rtpDatagram({ payload: Uint8Array.from({ length: 160 }, (_unused, j) => (i * 7 + j) & 0xff) }),
);

function stamp(datagram: Buffer, i: number): void {
  datagram.writeUInt16BE(i & 0xffff, 2);
  datagram.writeUInt32BE((160 * i) >>> 0, 4);
}

let chunkBytes = 0;

function newLeg(): LegMedia {
  return new LegMedia({
    rtcp: TEST_RTCP,
    codecs: new Map([[0, 'PCMU']]),
    telephoneEventPayloadTypes: new Set([101]),
    comfortNoisePayloadTypes: new Set([13]),
    sink: new LegAudio((pcm) => {
      chunkBytes += pcm.length;
    }),
    started: () => undefined,
  });
}

function run(leg: LegMedia, packets: number, plan: (typeof PLANS)[number]): void {
  for (let i = 0; i < packets; i++) {
    if (plan.dropEvery > 0 && i % plan.dropEvery === 7) continue;
    const swap = plan.swapEvery > 0 ? i % plan.swapEvery : 0;
    const sequence = swap === 1 ? i + 1 : swap === 2 ? i - 1 : i;
    const datagram = datagrams[sequence & 63]!;
    stamp(datagram, sequence);
    leg.takeRtp(datagram, '192.0.2.1', 4_000, 20 * i);
  }
}

function nanoseconds(packets: number, work: () => void): number {
  collect();
  const begin = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - begin) / packets;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}

const samples = new Int16Array(160);
const results = PLANS.map((plan) => {
  const path: number[] = [];
  const decode: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const leg = newLeg();
    const pathNs = nanoseconds(PACKETS, () => {
      run(leg, PACKETS, plan);
    });
    const decodeNs = nanoseconds(PACKETS, () => {
      for (let i = 0; i < PACKETS; i++) {
        const datagram = datagrams[i & 63]!;
        stamp(datagram, i);
        decodeG711Into('PCMU', datagram, 12, 172, samples, 0);
      }
    });
    if (round === 0) continue;
    path.push(pathNs);
    decode.push(decodeNs);
  }
  const leg = newLeg();
  run(leg, 1_000, plan);
  collect();
  const before = process.memoryUsage();
  run(leg, 50_000, plan);
  const after = process.memoryUsage();
  return {
    plan: plan.name,
    nsPerPacket: Math.round(median(path)),
    nsDecodeOnly: Math.round(median(decode)),
    ratio: Math.round((100 * median(path)) / median(decode)) / 100,
    heapBytesPerPacket: Math.round((10 * (after.heapUsed - before.heapUsed)) / 50_000) / 10,
    externalBytesPerPacket: Math.round((10 * (after.external - before.external)) / 50_000) / 10,
  };
});

process.stdout.write(
  `${JSON.stringify({
    bench: 'packet-path',
    node: process.version,
    machine: `${cpus()[0]?.model ?? '?'} ${arch()}`,
    chunkBytes,
    results,
  })}\n`,
);
