import { describe, expect, it } from 'vitest';

import { RtpPacket } from '../../src/rtp/packet.ts';
import { type TelephoneEvent, TelephoneEvents } from '../../src/rtp/telephone-events.ts';

interface Told {
  readonly code?: number;
  readonly durationTicks?: number;
  readonly end?: true;
  readonly marker?: true;
  readonly arrivalMs?: number;
}

function setUp(): {
  events: TelephoneEvents;
  ended: TelephoneEvent[];
  take: (timestamp: number, ...blocks: Told[]) => string;
} {
  const ended: TelephoneEvent[] = [];
  const events = new TelephoneEvents((event) => ended.push(event));
  const take = (timestamp: number, ...blocks: Told[]): string => {
    const packet = new RtpPacket();
    packet.timestamp = timestamp >>> 0;
    packet.marker = blocks[0]?.marker === true;
    packet.arrivalMs = blocks[0]?.arrivalMs ?? 0;
    packet.bytes = Uint8Array.from(
      blocks.flatMap(({ code = 5, end, durationTicks = 0 }) => [
        code,
        (end === true ? 0x80 : 0) | 10,
        durationTicks >> 8,
        durationTicks & 0xff,
      ]),
    );
    packet.payloadEnd = packet.bytes.length;
    return events.take(packet, timestamp);
  };
  return { events, ended, take };
}

/** A press as RFC 4733 §2.5.1 has it: an update each 20 ms, the end three times. */
function press(
  take: ReturnType<typeof setUp>['take'],
  timestamp: number,
  code: number,
  packets: number,
): void {
  for (let i = 0; i < packets; i++) {
    take(timestamp, { code, durationTicks: 160 * i, ...(i === 0 ? { marker: true } : {}) });
  }
  for (let i = 0; i < 3; i++) take(timestamp, { code, durationTicks: 160 * packets, end: true });
}

const event = (code: number, beginSample: number, durationTicks: number, end = 'told'): object => ({
  code,
  beginSample,
  durationTicks,
  end,
});

describe('TelephoneEvents', () => {
  it('tells each key once, with its begin and duration', () => {
    const { take, ended } = setUp();
    press(take, 8_000, 1, 10);
    press(take, 16_000, 1, 5);
    press(take, 20_000, 11, 5);
    expect(ended).toEqual([event(1, 8_000, 1_600), event(1, 16_000, 800), event(11, 20_000, 800)]);
  });

  it.each([
    ['only its begin', [{ marker: true as const }], 0, 'inferred'],
    ['only an update', [{ durationTicks: 480 }], 480, 'inferred'],
    ['only one of its ends', [{ durationTicks: 960, end: true as const }], 960, 'told'],
    ['no end', [{}, { durationTicks: 160 }, { durationTicks: 320 }], 320, 'inferred'],
    ['no begin', [{ durationTicks: 320 }, { durationTicks: 480, end: true as const }], 480, 'told'],
  ])('knows of an event of which came %s', (_, packets, durationTicks, end) => {
    const { take, ended, events } = setUp();
    for (const packet of packets) take(8_000, packet);
    events.reset();
    expect(ended).toEqual([event(5, 8_000, durationTicks, end)]);
  });

  it('ends an event without an end when the next begins, also of the same key', () => {
    const { take, ended } = setUp();
    take(8_000, { durationTicks: 320 });
    take(9_600, { marker: true });
    take(9_600, { durationTicks: 800, end: true });
    expect(ended).toEqual([event(5, 8_000, 320, 'inferred'), event(5, 9_600, 800)]);
  });

  it('ends an event that nothing was heard of for 500 ms', () => {
    const { take, ended, events } = setUp();
    take(8_000, { durationTicks: 320, arrivalMs: 1_000 });
    events.tick(1_499);
    expect(ended).toEqual([]);
    events.tick(1_500);
    expect(ended).toEqual([event(5, 8_000, 320, 'inferred')]);
    // An end that comes even later says nothing new.
    take(8_000, { durationTicks: 480, end: true, arrivalMs: 1_600 });
    events.tick(9_000);
    expect(ended).toHaveLength(1);
  });

  it('joins the segments of an event longer than 65,535 ticks, RFC 4733 §2.5.1.3', () => {
    const { take, ended } = setUp();
    take(0xffff_0000, { marker: true });
    take(0xffff_0000, { durationTicks: 65_000 });
    take(0xffff_0000, { durationTicks: 0xffff });
    take(0xffff_0000 + 0xffff, { durationTicks: 160 });
    // The last packet of the second segment is lost.
    take(0xffff_0000 + 0xffff, { durationTicks: 65_000 });
    take(0xffff_0000 + 2 * 0xffff, { durationTicks: 480 });
    take(0xffff_0000 + 2 * 0xffff, { durationTicks: 800, end: true });
    expect(ended).toEqual([event(5, 0xffff_0000, 2 * 0xffff + 800)]);
  });

  it('takes a marked packet for a new key, even where the one before ended', () => {
    const { take, ended } = setUp();
    take(8_000, { durationTicks: 800 });
    take(8_800, { marker: true });
    take(8_800, { durationTicks: 480, end: true });
    expect(ended).toEqual([event(5, 8_000, 800, 'inferred'), event(5, 8_800, 480)]);
  });

  it('takes a key that begins where another ended for another key', () => {
    const { take, ended } = setUp();
    take(8_000, { code: 1, durationTicks: 800 });
    take(8_800, { code: 2, durationTicks: 800, end: true });
    expect(ended.map(({ code }) => code)).toEqual([1, 2]);
  });

  it('takes no late copy of an event before for a new one', () => {
    const { take, ended } = setUp();
    press(take, 8_000, 1, 5);
    press(take, 16_000, 2, 5);
    take(8_000, { code: 1, durationTicks: 800, end: true });
    expect(ended).toHaveLength(2);
  });

  it('goes on after the sender’s clock began anew', () => {
    const { take, ended } = setUp();
    press(take, 900_000, 1, 5);
    press(take, 160, 2, 5);
    expect(ended.map(({ code }) => code)).toEqual([1, 2]);
  });

  it('reads several events of one packet, each after the other', () => {
    const { take, ended } = setUp();
    take(8_000, { code: 1, durationTicks: 400, end: true }, { code: 2, durationTicks: 480, end: true });
    expect(ended).toEqual([event(1, 8_000, 400), event(2, 8_400, 480)]);
  });

  it('says of each packet whether its event was known', () => {
    const { take, ended } = setUp();
    expect(take(8_000, {})).toBe('new');
    expect(take(8_000, { end: true })).toBe('known');
    expect(take(8_000, { end: true })).toBe('known');
    expect(take(9_000, {})).toBe('new');
    expect(take(9_000)).toBe('malformed');
    expect(ended).toHaveLength(1);
  });

  it('never tells of an event that was disowned while it went on, in whatever segments it ends', () => {
    const { take, ended, events } = setUp();
    take(8_000, { code: 1, durationTicks: 800 });
    events.disown();
    take(8_000, { code: 1, durationTicks: 0xffff });
    take(8_000 + 0xffff, { code: 1, durationTicks: 400, end: true });
    take(8_000 + 0xffff, { code: 1, durationTicks: 400, end: true });
    press(take, 90_000, 2, 5);
    events.disown();
    press(take, 96_000, 3, 5);
    expect(ended.map(({ code }) => code)).toEqual([2, 3]);
  });

  it('forgets what was before at a reset', () => {
    const { take, ended, events } = setUp();
    press(take, 8_000, 1, 5);
    events.reset();
    press(take, 8_000, 1, 5);
    expect(ended).toHaveLength(2);
  });
});
