import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { JitterBuffer, type JitterBufferOptions } from '../../src/rtp/jitter-buffer.ts';
import { RtpPacket } from '../../src/rtp/packet.ts';

/** A buffer, what it played (sequence number, and losses before it), and a packet that is filled again each time. */
function setUp(options: Omit<JitterBufferOptions, 'play'> = {}): {
  buffer: JitterBuffer;
  played: [sequence: number, lostBefore: number][];
  push: (sequence: number, arrivalMs?: number) => void;
} {
  const played: [number, number][] = [];
  const buffer = new JitterBuffer({
    ...options,
    play: (packet, lostBefore) => {
      // The payload travels with its packet, copied or not.
      expect(packet.bytes[packet.payloadBegin]).toBe(packet.extendedSequence & 0xff);
      played.push([packet.extendedSequence, lostBefore]);
    },
  });
  const packet = new RtpPacket();
  const datagram = new Uint8Array(13);
  const push = (sequence: number, arrivalMs = 0): void => {
    datagram[12] = sequence & 0xff;
    packet.bytes = datagram;
    packet.payloadBegin = 12;
    packet.payloadEnd = 13;
    packet.extendedSequence = sequence;
    packet.arrivalMs = arrivalMs;
    buffer.push(packet);
  };
  return { buffer, played, push };
}

const sequences = (played: readonly [number, number][]): number[] => played.map(([sequence]) => sequence);

describe('JitterBuffer', () => {
  it('plays packets in order at once', () => {
    const { played, push, buffer } = setUp();
    push(10);
    push(11);
    expect(sequences(played)).toEqual([10, 11]);
    expect(buffer.heldPackets).toBe(0);
  });

  it('holds what comes behind a gap until the missing packet comes', () => {
    const { played, push, buffer } = setUp();
    for (const sequence of [1, 3, 4]) push(sequence);
    expect(sequences(played)).toEqual([1]);
    push(2);
    expect(sequences(played)).toEqual([1, 2, 3, 4]);
    expect(buffer.counters).toMatchObject({ reordered: 1, lost: 0 });
  });

  it('gives a gap up 80 ms after the first packet behind it came, and drops what comes of it later', () => {
    const { played, push, buffer } = setUp();
    push(1, 0);
    push(4, 60);
    push(5, 80);
    buffer.poll(139);
    expect(sequences(played)).toEqual([1]);
    buffer.poll(140);
    expect(played).toEqual([
      [1, 0],
      [4, 2],
      [5, 0],
    ]);
    push(2, 141);
    expect(buffer.counters).toMatchObject({ played: 3, lost: 2, late: 1 });
  });

  it('waits longer for the next gap, once a packet came too late', () => {
    const { played, push, buffer } = setUp();
    push(1, 0);
    push(3, 0);
    buffer.poll(80);
    push(2, 130);
    expect(buffer.counters.late).toBe(1);
    expect(buffer.holdMs).toBe(150);
    push(5, 1_000);
    buffer.poll(1_149);
    expect(sequences(played)).toEqual([1, 3]);
    push(4, 1_149);
    expect(sequences(played)).toEqual([1, 3, 4, 5]);
  });

  it('learns nothing from copies, nor from what came before its first packet', () => {
    const { push, buffer } = setUp();
    push(10, 0);
    push(11, 0);
    push(10, 5_000);
    push(9, 5_000);
    expect(buffer.holdMs).toBe(80);
  });

  it('counts the time of a second gap from the first packet behind that one', () => {
    const { played, push, buffer } = setUp();
    push(1, 0);
    push(3, 10);
    push(5, 70);
    buffer.poll(90);
    expect(sequences(played)).toEqual([1, 3]);
    buffer.poll(149);
    expect(sequences(played)).toEqual([1, 3]);
    buffer.poll(150);
    expect(sequences(played)).toEqual([1, 3, 5]);
  });

  it('gives a gap up when another packet comes than may be held', () => {
    const { played, push, buffer } = setUp({ heldPacketsMax: 3 });
    for (const sequence of [1, 3, 4, 5]) push(sequence);
    expect(sequences(played)).toEqual([1]);
    push(6);
    expect(sequences(played)).toEqual([1, 3, 4, 5, 6]);
    expect(buffer.counters).toMatchObject({ lost: 1, overflows: 1 });
  });

  it('gives up the front of a gap that is wider than the window', () => {
    const { played, push, buffer } = setUp();
    push(1);
    push(1_000);
    expect(buffer.counters).toMatchObject({ lost: 1_000 - 63 - 2, overflows: 1 });
    buffer.drain();
    expect(played).toEqual([
      [1, 0],
      [1_000, 998],
    ]);
  });

  it.each([
    ['of one that was played', [1, 2, 2], 2],
    ['of one that is held', [1, 3, 3], 1],
  ])('drops a copy %s', (_, order, playedPackets) => {
    const { played, push, buffer } = setUp();
    for (const sequence of order) push(sequence);
    expect(played).toHaveLength(playedPackets);
    expect(buffer.counters).toMatchObject({ duplicates: 1, late: 0 });
  });

  it('takes what lies before its first packet for late', () => {
    const { played, push, buffer } = setUp();
    push(10);
    push(9);
    expect(sequences(played)).toEqual([10]);
    expect(buffer.counters.late).toBe(1);
  });

  it('tells late from played long after its records went round', () => {
    const { push, buffer } = setUp();
    for (let sequence = 0; sequence < 600; sequence++) if (sequence !== 580) push(sequence, 20 * sequence);
    push(580, 12_000);
    push(581, 12_000);
    expect(buffer.counters).toMatchObject({ late: 1, duplicates: 1 });
  });

  it('keeps no records of the line before a restart', () => {
    const { push, buffer } = setUp();
    for (let sequence = 0; sequence < 10; sequence++) push(sequence);
    buffer.restart();
    push(8);
    push(7);
    expect(buffer.counters).toMatchObject({ late: 1, duplicates: 0 });
  });

  it('holds packets in order, too, while it is parked', () => {
    const { played, push, buffer } = setUp();
    push(1);
    buffer.park();
    for (const sequence of [2, 3, 5]) push(sequence, 100);
    buffer.poll(10_000);
    expect(sequences(played)).toEqual([1]);
    buffer.unpark(110);
    expect(sequences(played)).toEqual([1, 2, 3]);
    buffer.poll(180);
    expect(sequences(played)).toEqual([1, 2, 3, 5]);
  });

  it('begins a new line of sequence numbers after a restart, without a loss between the two', () => {
    const { played, push, buffer } = setUp();
    for (const sequence of [100, 102]) push(sequence);
    buffer.restart();
    push(7);
    expect(played).toEqual([
      [100, 0],
      [102, 1],
      [7, 0],
    ]);
  });

  it('plays any shuffle inside its window in order, each packet once', () => {
    // Each packet is delayed by up to 70 ms; packets leave every 20 ms and come in the order of their arrival.
    const delays = fc.array(fc.nat(70), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(delays, fc.integer({ min: -200, max: 200 }), (delaysMs, first) => {
        const { played, push, buffer } = setUp();
        push(first, 0);
        const arrivals = delaysMs.map((delayMs, i) => ({ i: i + 1, atMs: 20 * i + delayMs }));
        for (const { i, atMs } of arrivals.sort((a, b) => a.atMs - b.atMs)) push(first + i, atMs);
        buffer.drain();
        expect(played).toEqual(Array.from({ length: delaysMs.length + 1 }, (_, i) => [first + i, 0]));
        expect(buffer.counters).toMatchObject({ lost: 0, late: 0, duplicates: 0 });
      }),
    );
  });

  it('plays in order and accounts for every packet, whatever comes: played + late + duplicates = pushed', () => {
    const anyArrivals = fc.array(fc.tuple(fc.integer({ min: -30, max: 90 }), fc.nat(60)), { maxLength: 300 });
    fc.assert(
      fc.property(anyArrivals, fc.boolean(), (arrivals, isParked) => {
        const { played, push, buffer } = setUp();
        let sequence = 0;
        let nowMs = 0;
        if (isParked) buffer.park();
        for (const [step, waitMs] of arrivals) {
          sequence += step;
          nowMs += waitMs;
          push(sequence, nowMs);
        }
        buffer.drain();
        const order = sequences(played);
        expect(order).toEqual([...new Set(order)].sort((a, b) => a - b));
        const counters = buffer.counters;
        expect(counters.played + counters.late + counters.duplicates).toBe(arrivals.length);
        // What was given up is exactly what is missing between the first and the last that were played.
        const span = order.length === 0 ? 0 : order.at(-1)! - order[0]! + 1;
        expect(counters.lost).toBe(span - order.length);
        expect(played.reduce((sum, [, lostBefore]) => sum + lostBefore, 0)).toBe(counters.lost);
      }),
    );
  });
});
