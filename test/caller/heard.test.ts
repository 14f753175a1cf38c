import { expect, test } from 'vitest';

import { type HeardPacket, layOut, readHeard } from '../../src/caller/heard.ts';
import { heardFigures } from '../../src/caller/heard-figures.ts';
import { seededRandom } from '../../src/seeded-random.ts';
import { codes, type PacketFields, rtpDatagram } from '../support/rtp-stream.ts';

const FROM = { address: '192.0.2.1', port: 4_000 };
const plain = { from: FROM, open: (datagram: Buffer) => datagram, startMs: 100 };

const packetAt = (arrivalMs: number, i: number, fields: PacketFields = {}) => ({
  ...FROM,
  arrivalMs,
  bytes: rtpDatagram({
    sequenceNumber: 65_530 + i,
    timestamp: 2 ** 32 - 400 + 160 * i,
    payload: codes(160 * i, 160),
    ...fields,
  }),
});

test('packets are read with their times; what is no G.711, or from elsewhere, is counted', () => {
  const heard = readHeard(
    [
      packetAt(90, 0, { marker: true, payloadType: 8 }),
      packetAt(110, 1),
      { ...packetAt(120, 2), port: 4_001 },
      packetAt(130, 3, { payloadType: 101 }),
      { ...packetAt(140, 4), bytes: Buffer.from('80c9000100001234', 'hex') },
    ],
    plain,
  );
  expect(heard).toMatchObject({ unreadable: 2, foreign: 1 });
  expect(heard.packets).toMatchObject([
    { arrivalMs: -10, sequenceNumber: 65_530, timestamp: 2 ** 32 - 400, marker: true, codec: 'PCMA' },
    { arrivalMs: 10, sequenceNumber: 65_531, timestamp: 2 ** 32 - 240, marker: false, codec: 'PCMU' },
  ]);
  expect(heard.packets[1]!.codes).toEqual(codes(160, 160));
  expect(readHeard([packetAt(0, 0)], { ...plain, open: () => undefined })).toMatchObject({ unreadable: 1 });
});

const heardOf = (datagrams: readonly ReturnType<typeof packetAt>[]): readonly HeardPacket[] =>
  readHeard(datagrams, plain).packets;

test('the audio is laid out by timestamps across their wrap: silence for what is missing, each copy once', () => {
  const packets = heardOf([
    packetAt(0, 0),
    packetAt(20, 1),
    packetAt(60, 3),
    packetAt(60, 3),
    packetAt(80, 2 + 2),
  ]);
  const { codec, codes: laid } = layOut(packets, 60_000)!;
  expect(codec).toBe('PCMU');
  const expected = codes(0, 800);
  expected.fill(0xff, 320, 480);
  expect(laid).toEqual(expected);
  expect(layOut(packets, 50)!.codes).toHaveLength(320);
  expect(layOut([], 50)).toBeUndefined();
});

test('another SSRC goes where it arrived', () => {
  const packets = heardOf([packetAt(0, 0), packetAt(1_000, 9, { ssrc: 9 })]);
  const { codes: laid } = layOut(packets, 60_000)!;
  expect(laid).toHaveLength(8_000 + 160);
  expect(laid.subarray(8_000)).toEqual(codes(160 * 9, 160));
});

test('a steady sender has a steady clock; what is lost, late, twice or leaps is counted', () => {
  const random = seededRandom(5);
  const datagrams = Array.from({ length: 3_000 }, (_, i) => packetAt(20 * i + 2 * random(), i));
  const steady = heardFigures(readHeard(datagrams, plain));
  expect(steady).toMatchObject({ packets: 3_000, lost: 0, outOfOrder: 0, leaps: 0, ssrcs: 1, talkspurts: 0 });
  expect(steady.clock!.maxMs).toBeLessThan(1.2);
  expect(steady.clock!.driftMs).toBeLessThan(0.3);
  expect(Math.abs(steady.clock!.driftPpm)).toBeLessThan(10);

  const [lost, late, copy] = [datagrams[10]!, datagrams[20]!, datagrams[30]!];
  const rest = datagrams.filter((datagram) => datagram !== lost && datagram !== late);
  rest.splice(21, 0, late);
  rest.push(copy);
  const leaping = packetAt(60_000, 3_000, { timestamp: 2 ** 32 - 400 + 160 * 3_100 });
  rest.splice(rest.length - 1, 0, leaping);
  expect(heardFigures(readHeard(rest, plain))).toMatchObject({ lost: 1, outOfOrder: 2, leaps: 1 });
});

test('a clock that runs slow by 100 ppm shows as drift, and one late packet as deviation alone', () => {
  const datagrams = Array.from({ length: 3_000 }, (_, i) => packetAt(20.002 * i + (i === 700 ? 15 : 0), i));
  const { clock } = heardFigures(readHeard(datagrams, plain));
  expect(clock!.driftPpm).toBeCloseTo(100, 0);
  expect(clock!.driftMs).toBeCloseTo(5.5, 0);
  expect(clock!.maxMs).toBeGreaterThan(11);
  expect(clock!.p99Ms).toBeLessThan(3.1);
});

test('nothing heard has figures without a clock', () => {
  expect(heardFigures(readHeard([], plain))).toMatchObject({ packets: 0, durationMs: 0, clock: undefined });
});
