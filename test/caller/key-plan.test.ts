import { expect, test } from 'vitest';

import { lengthened } from '../../src/caller/call-length.ts';
import { planKeys } from '../../src/caller/key-plan.ts';
import { buildKeyPacket } from '../../src/caller/rtp-packets.ts';
import { parseRtpPacket, RtpPacket } from '../../src/rtp/packet.ts';
import { type TelephoneEvent, TelephoneEvents } from '../../src/rtp/telephone-events.ts';

/** The events as the receiver reads them from the planned packets. */
function eventsOf(plan: ReturnType<typeof planKeys>, ptimeMs: number): TelephoneEvent[] {
  const events: TelephoneEvent[] = [];
  const reader = new TelephoneEvents((event) => events.push(event));
  const start = { ssrc: 7, sequenceNumber: 65_530, rtpTimestamp: 2 ** 32 - 100 };
  for (const [packetNo, key] of plan) {
    const packet = new RtpPacket();
    packet.copyFrom(parseRtpPacket(buildKeyPacket({ ...start, ptimeMs, payloadType: 101 }, packetNo, key)));
    expect(packet).toMatchObject({ payloadType: 101, sequenceNumber: (65_530 + packetNo) & 0xffff });
    expect(packet.marker).toBe(packetNo === key.beginPacketNo);
    expect(packet.timestamp).toBe((start.rtpTimestamp + key.beginPacketNo * ptimeMs * 8) % 2 ** 32);
    reader.take(packet, 0);
  }
  reader.reset();
  return events;
}

test.each([10, 20, 30, 60])(
  'keys are read once each, with how long they were pressed: packets of %i ms',
  (ptimeMs) => {
    const presses = [
      { atMs: 500, key: '#' },
      { atMs: 500, key: '#' },
      { atMs: 2_000, key: '*' },
      { atMs: 100, key: '7' },
      { atMs: 3_000, key: 'D' },
    ];
    const durationTicks = Math.ceil(100 / ptimeMs) * ptimeMs * 8;
    expect(eventsOf(planKeys(presses, ptimeMs), ptimeMs)).toMatchObject(
      [7, 11, 11, 10, 15].map((code) => ({ code, durationTicks, end: 'told' })),
    );
  },
);

test('an event is five packets of 20 ms and two copies of its end, at the time that was asked', () => {
  const plan = [...planKeys([{ atMs: 1_000, key: '1' }], 20)];
  expect(plan.map(([packetNo]) => packetNo)).toEqual([50, 51, 52, 53, 54, 55, 56]);
  expect(plan.map(([, { durationCodes }]) => durationCodes)).toEqual([160, 320, 480, 640, 800, 800, 800]);
  expect(plan.map(([, { isEnd }]) => isEnd)).toEqual([false, false, false, false, true, true, true]);
});

test('a leg gets silence behind its audio for keys and for the wait, and keeps its audio', () => {
  const leg = { codec: 'PCMA', codes: new Uint8Array(800).fill(3), label: '1' } as const;
  expect(lengthened(leg, { ptimeMs: 20, keys: [], untilByeMs: undefined })).toBe(leg);
  const waiting = lengthened(leg, { ptimeMs: 20, keys: [], untilByeMs: 1_000 });
  expect(waiting.codes).toHaveLength(800 + 8_000);
  expect([...new Set(waiting.codes.subarray(0, 800))]).toEqual([3]);
  expect([...new Set(waiting.codes.subarray(800))]).toEqual([0xd5]);
  const pressing = lengthened(leg, { ptimeMs: 20, keys: [{ atMs: 500, key: '#' }], untilByeMs: undefined });
  expect(pressing.codes).toHaveLength(8 * (500 + 140));
});
