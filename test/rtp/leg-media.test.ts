import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { LegMedia } from '../../src/rtp/leg-media.ts';
import type { LegMediaOptions } from '../../src/rtp/leg-media-options.ts';
import type { SrtpTerms } from '../../src/rtp/srtp-key.ts';
import type { TelephoneEvent } from '../../src/rtp/telephone-events.ts';
import { LOSS, RecordingSink, SILENCE } from '../support/recording-sink.ts';
import { TEST_RTCP } from '../support/rtcp-options.ts';
import { codeAt, codes, type PacketFields, rtpDatagram } from '../support/rtp-stream.ts';
import { SrtpPeer, testKey } from '../support/srtp-stream.ts';

const PEER = '192.0.2.1';
const PTIME_SAMPLES = 160;

interface Bench {
  readonly media: LegMedia;
  readonly sink: RecordingSink;
  readonly starts: number[];
  readonly events: TelephoneEvent[];
  /** What was told of silence: where it began, or how long it was. */
  readonly silences: (readonly ['since' | 'was', number])[];
  /** Sends one datagram from the peer; the payload is the codes that belong to `atSample` unless given. */
  readonly send: (nowMs: number, fields: PacketFields & { atSample?: number; samples?: number }) => void;
  /** Sends packets 20 ms apart, the first at `fromMs`; packet `i` carries the leg's samples from 160·i on. */
  readonly flow: (
    fromMs: number,
    firstPacket: number,
    packets: number,
    fields?: Partial<PacketFields>,
  ) => void;
  readonly ticks: (fromMs: number, toMs: number) => void;
}

function setUp(options: Partial<LegMediaOptions> = {}): Bench {
  const events: TelephoneEvent[] = [];
  const silences: (readonly ['since' | 'was', number])[] = [];
  const sink = new RecordingSink();
  const starts: number[] = [];
  const media = new LegMedia({
    rtcp: TEST_RTCP,
    codecs: new Map([
      [0, 'PCMU'],
      [8, 'PCMA'],
    ]),
    telephoneEventPayloadTypes: new Set([101]),
    comfortNoisePayloadTypes: new Set([13]),
    sink,
    started: (atMs) => starts.push(atMs),
    onTelephoneEvent: (event) => events.push(event),
    onSilent: (sinceSample) => silences.push(['since', sinceSample]),
    onBack: (silentMs) => silences.push(['was', silentMs]),
    ...options,
  });
  const send: Bench['send'] = (nowMs, { atSample = 0, samples = PTIME_SAMPLES, ...fields }) => {
    media.takeRtp(rtpDatagram({ payload: codes(atSample, samples), ...fields }), PEER, 4_000, nowMs);
  };
  return {
    media,
    sink,
    starts,
    events,
    silences,
    send,
    flow: (fromMs, firstPacket, packets, fields = {}) => {
      for (let i = 0; i < packets; i++) {
        const packet = firstPacket + i;
        send(fromMs + 20 * i, {
          sequenceNumber: packet,
          timestamp: PTIME_SAMPLES * packet,
          atSample: PTIME_SAMPLES * packet,
          ...fields,
        });
      }
    },
    ticks: (fromMs, toMs) => {
      for (let nowMs = fromMs; nowMs <= toMs; nowMs += 100) media.tick(nowMs);
    },
  };
}

/** Every sample is the one that belongs there, or was filled. */
function expectInPlace(heard: readonly number[], from = 0): void {
  const wrong = heard.findIndex((entry, i) => i >= from && entry >= 0 && entry !== codeAt(i));
  expect(wrong).toBe(-1);
}

describe('LegMedia', () => {
  it('plays a leg from its very first packet, which starts its clock', () => {
    const { flow, sink, starts, media } = setUp();
    flow(1_000, 0, 1);
    expect(sink.heard).toHaveLength(0);
    flow(1_020, 1, 9);
    expect(sink.heard).toEqual([...codes(0, 1_600)]);
    expect(starts).toEqual([980]);
    expect(media.counters()).toMatchObject({ packetsReceived: 10, packetsLost: 0, jitterMs: 0 });
  });

  it('changes the law with the payload type', () => {
    const { flow, sink } = setUp();
    flow(0, 0, 3, { payloadType: 8 });
    flow(60, 3, 3, { payloadType: 0 });
    expect(sink.heard).toHaveLength(960);
    expect([...sink.laws]).toEqual(['PCMA', 'PCMU']);
  });

  it('counts what is not RTP, and goes on', () => {
    const { flow, sink, media } = setUp();
    flow(0, 0, 2);
    for (const hex of ['', '80', '00'.repeat(40), 'bf'.repeat(40)]) {
      media.takeRtp(Buffer.from(hex, 'hex'), PEER, 4_000, 30);
    }
    media.takeRtp(Buffer.from('81c90001aabbccdd', 'hex'), PEER, 4_000, 30);
    media.takeRtp(Buffer.from('80c90001aabbccdd', 'hex'), PEER, 4_000, 30);
    flow(40, 2, 2);
    expect(sink.heard).toEqual([...codes(0, 640)]);
    expect(media.counters()).toMatchObject({ packetsMalformed: 4, rtcpPackets: 1, rtcpMalformed: 1 });
  });

  it('never mixes in another source', () => {
    const { flow, sink, media } = setUp();
    flow(0, 0, 2);
    for (let i = 0; i < 5; i++) {
      media.takeRtp(
        rtpDatagram({ sequenceNumber: 2 + i, timestamp: 320 + 160 * i }),
        '192.0.2.66',
        4_000,
        40,
      );
    }
    flow(40, 2, 2);
    expect(sink.heard).toEqual([...codes(0, 640)]);
    expect(media.counters().packetsForeign).toBe(5);
  });

  it('follows a new SSRC on the same clock, and loses neither side', () => {
    const { flow, sink, media } = setUp();
    flow(0, 0, 5);
    for (let i = 0; i < 5; i++) {
      const packet = 5 + i;
      flow(20 * packet, packet, 1, {
        ssrc: 0x9999,
        sequenceNumber: 40_000 + i,
        timestamp: 7_000_000 + 160 * i,
      });
    }
    expect(sink.heard).toEqual([...codes(0, 1_600)]);
    expect(media.counters()).toMatchObject({ ssrcChanges: 1, packetsLost: 0, packetsForeign: 0 });
  });

  it('relates a new SSRC to none of the timestamps before, near as they may be', () => {
    const { flow, sink } = setUp();
    flow(0, 0, 5);
    for (let i = 5; i < 10; i++) flow(20 * i, i, 1, { ssrc: 0x9999, timestamp: 160 * i + 24_000 });
    expect(sink.heard).toEqual([...codes(0, 1_600)]);
  });

  it('puts a new SSRC after a pause where the wall clock is', () => {
    const { flow, ticks, sink } = setUp();
    flow(0, 0, 5);
    ticks(100, 2_000);
    flow(2_020, 101, 5, { ssrc: 0x9999 });
    expectInPlace(sink.heard);
    expect(sink.runs).toEqual([
      ['audio', 800],
      ['silence', 96 * 160],
      ['audio', 800],
    ]);
  });

  it('goes on when sequence numbers begin anew within one SSRC', () => {
    const { flow, send, sink, media } = setUp();
    flow(0, 0, 5);
    for (let i = 5; i < 10; i++) {
      send(20 * i, { sequenceNumber: 30_000 + i, timestamp: 160 * i, atSample: 160 * i });
    }
    expect(sink.heard).toEqual([...codes(0, 1_600)]);
    expect(media.counters().packetsLost).toBe(0);
  });

  it('renders comfort noise as silence and hears its payload as nothing', () => {
    const { flow, send, sink, media, ticks } = setUp();
    flow(0, 0, 5);
    send(100, { sequenceNumber: 5, timestamp: 800, payloadType: 13, payload: Uint8Array.of(0x40) });
    ticks(100, 1_000);
    send(1_000, { sequenceNumber: 6, timestamp: 8_000, payloadType: 13, payload: Uint8Array.of(0x40) });
    flow(1_200, 60, 2, { sequenceNumber: 7 });
    flow(1_220, 61, 1, { sequenceNumber: 8 });
    expect(sink.runs).toEqual([
      ['audio', 800],
      ['silence', 9_600 - 800],
      ['audio', 320],
    ]);
    expectInPlace(sink.heard);
    expect(media.counters()).toMatchObject({ comfortNoisePackets: 2, packetsLost: 0, concealedMs: 0 });
  });

  it('takes one byte under a codec for a noise level, as some gateways send it', () => {
    const { flow, send, sink, media } = setUp();
    flow(0, 0, 5);
    send(100, { sequenceNumber: 5, timestamp: 800, payload: Uint8Array.of(29) });
    flow(200, 10, 1, { sequenceNumber: 6 });
    expect(sink.runs).toEqual([
      ['audio', 800],
      ['silence', 800],
      ['audio', 160],
    ]);
    expect(media.counters().comfortNoisePackets).toBe(1);
  });

  it('keeps the timeline through telephone-events, whose timestamp stands still', () => {
    const { flow, send, sink, media, ticks } = setUp();
    flow(0, 0, 10);
    for (let i = 0; i < 20; i++) {
      const fields = { sequenceNumber: 10 + i, timestamp: 1_600, payloadType: 101, payload: Buffer.alloc(4) };
      send(200 + 20 * i, fields);
      ticks(200 + 20 * i, 200 + 20 * i);
    }
    flow(600, 30, 5);
    expect(sink.runs).toEqual([
      ['audio', 1_600],
      ['silence', 3_200],
      ['audio', 800],
    ]);
    expectInPlace(sink.heard);
    expect(media.counters()).toMatchObject({ telephoneEventPackets: 20, packetsLost: 0, overlapMs: 0 });
  });

  it('tells a key once, where its first packet says it began, and counts no loss among its packets', () => {
    const { flow, send, sink, media, events } = setUp();
    flow(0, 0, 10);
    for (const i of [0, 1, 2, 5, 6, 8, 9]) {
      const payload = Uint8Array.of(7, i > 7 ? 0x8a : 10, (160 * i) >> 8, (160 * i) & 0xff);
      send(200 + 20 * i, { sequenceNumber: 10 + i, timestamp: 1_600, payloadType: 101, payload });
    }
    flow(400, 20, 5);
    expect(events).toEqual([{ code: 7, beginSample: 1_600, durationTicks: 1_280, end: 'told' }]);
    expect(sink.runs).toEqual([
      ['audio', 1_600],
      ['silence', 1_600],
      ['audio', 800],
    ]);
    expectInPlace(sink.heard);
    expect(media.counters()).toMatchObject({ packetsLost: 3, concealedMs: 0, telephoneEventsMalformed: 0 });
  });

  it('tells a key without any end with the leg’s, and counts what is too short for one', () => {
    const { flow, send, media, events } = setUp();
    flow(0, 0, 2);
    send(40, { sequenceNumber: 2, timestamp: 320, payloadType: 101, payload: Uint8Array.of(11, 10, 0, 80) });
    send(60, { sequenceNumber: 3, timestamp: 320, payloadType: 101, payload: Uint8Array.of(11, 10, 0) });
    media.finish();
    expect(events).toEqual([{ code: 11, beginSample: 320, durationTicks: 80, end: 'inferred' }]);
    expect(media.counters().telephoneEventsMalformed).toBe(1);
  });

  it('takes payload types of a new offer, and still those of the one before', () => {
    const { flow, send, sink, media, events } = setUp();
    flow(0, 0, 2, { payloadType: 8 });
    media.renegotiate({
      codecs: new Map([[111, 'PCMA']]),
      telephoneEventPayloadTypes: new Set([96]),
      comfortNoisePayloadTypes: new Set(),
    });
    flow(40, 2, 1, { payloadType: 8 });
    flow(60, 3, 2, { payloadType: 111 });
    const payload = Uint8Array.of(1, 0x8a, 0, 80);
    send(100, { sequenceNumber: 5, timestamp: 800, payloadType: 96, payload });
    flow(120, 6, 1, { payloadType: 111 });
    expect([...sink.laws]).toEqual(['PCMA']);
    expectInPlace(sink.heard);
    expect(events).toMatchObject([{ code: 1, beginSample: 800 }]);
    expect(media.counters().packetsUnknownPayloadType).toBe(0);
  });

  it('knows comfort noise of the static type 19, which was not offered', () => {
    const { flow, send, sink, media } = setUp();
    flow(0, 0, 2);
    send(40, { sequenceNumber: 2, timestamp: 320, payloadType: 19, payload: Uint8Array.of(0x40, 1, 2) });
    flow(80, 4, 1, { sequenceNumber: 3 });
    expect(sink.runs).toEqual([
      ['audio', 320],
      ['silence', 320],
      ['audio', 160],
    ]);
    expect(media.counters().comfortNoisePackets).toBe(1);
  });

  it('tells of silence and of its end, and of none while the line is held', () => {
    const { flow, ticks, media, silences } = setUp();
    flow(0, 0, 50);
    ticks(1_000, 10_900);
    expect(silences).toEqual([]);
    ticks(11_000, 15_000);
    expect(silences).toEqual([['since', 8_000]]);
    flow(15_020, 751, 2);
    expect(silences.at(-1)).toEqual(['was', 14_040]);
    media.expect('nothing', 15_100);
    ticks(15_100, 60_000);
    expect(silences).toHaveLength(2);
  });

  it('does not take a payload type that nobody knows for media', () => {
    const { flow, ticks, silences } = setUp({ silentAfterMs: 500 });
    flow(0, 0, 2);
    for (let nowMs = 40; nowMs <= 600; nowMs += 20) {
      flow(nowMs, nowMs / 20, 1, { payloadType: 18 });
      ticks(nowMs, nowMs);
    }
    expect(silences).toHaveLength(1);
  });

  it('hears only the address that was signalled, and after a re-INVITE the new one', () => {
    const { flow, sink, media } = setUp({ signalled: { address: '203.0.113.7', port: 4_000 } });
    flow(0, 0, 5);
    expect(media.counters()).toMatchObject({ packetsForeign: 5, packetsReceived: 0 });
    media.relatch({ address: PEER, port: 4_000 });
    flow(100, 5, 5);
    expect(sink.heard).toEqual([...codes(800, 800)]);
    expect(media.lastSource).toMatchObject({ address: PEER, port: 4_000, timestamp: 160 * 9, atMs: 180 });
  });

  it('waits as long for a gap as the network’s jitter asks', () => {
    const { flow, sink, media } = setUp();
    const arrivals = Array.from({ length: 200 }, (_, packet) => ({
      packet,
      atMs: 20 * packet + 100 * (packet & 1),
    }));
    for (const { packet, atMs } of arrivals.sort((a, b) => a.atMs - b.atMs)) flow(atMs, packet, 1);
    media.finish();
    expect(media.counters().gapHoldMs).toBe(240);
    expectInPlace(sink.heard);
  });

  it('does not hear a payload type that was not negotiated, nor take its number for a loss', () => {
    const { flow, send, sink, media } = setUp();
    flow(0, 0, 2);
    send(40, { sequenceNumber: 2, timestamp: 320, payloadType: 18, payload: Buffer.alloc(20) });
    flow(60, 3, 2);
    expect(sink.runs).toEqual([
      ['audio', 320],
      ['silence', 160],
      ['audio', 320],
    ]);
    expect(media.counters()).toMatchObject({ packetsUnknownPayloadType: 1, packetsLost: 0 });
  });

  it('lays to loss what was lost before a packet that has no place of its own', () => {
    const { flow, send, sink } = setUp();
    flow(0, 0, 5);
    send(120, { sequenceNumber: 6, timestamp: 800, payloadType: 101, payload: Buffer.alloc(4) });
    send(140, { sequenceNumber: 7, timestamp: 800, payloadType: 18 });
    flow(220, 11, 1, { sequenceNumber: 8 });
    expect(sink.runs).toEqual([
      ['audio', 800],
      ['loss', 160],
      ['silence', 800],
      ['audio', 160],
    ]);
  });

  it('gives an overdue gap up at the next tick', () => {
    const { flow, sink, media } = setUp();
    flow(0, 0, 5);
    flow(120, 6, 1);
    media.tick(180);
    expect(sink.heard).toHaveLength(800);
    media.tick(280);
    expect(sink.runs).toEqual([
      ['audio', 800],
      ['loss', 160],
      ['audio', 160],
    ]);
  });

  describe('after a pause that was filled with silence', () => {
    it('goes on in place when the sender counted through it (hold, silence suppression)', () => {
      const { flow, ticks, sink, media } = setUp();
      flow(0, 0, 50);
      ticks(1_000, 60_000);
      flow(60_020, 3_001, 50, {});
      expectInPlace(sink.heard);
      expect(sink.heard).toHaveLength(3_051 * 160);
      expect(media.counters()).toMatchObject({ overlapMs: 0, timestampResets: 0 });
    });

    it('keeps all audio of a sender whose timestamp stood still, where the wall clock is', () => {
      const { send, flow, ticks, sink, media } = setUp();
      flow(0, 0, 50);
      ticks(1_000, 5_900);
      // Packet 50 comes at 6 s, its timestamp that of the first second; its audio that of the sixth.
      for (let i = 0; i < 50; i++) {
        const fields = { sequenceNumber: 50 + i, timestamp: 160 * (50 + i), atSample: 160 * (300 + i) };
        send(6_000 + 20 * i, fields);
      }
      expectInPlace(sink.heard);
      expect(sink.runs).toEqual([
        ['audio', 8_000],
        ['silence', 40_000],
        ['audio', 8_000],
      ]);
      expect(media.counters()).toMatchObject({ timestampResets: 1, overlapMs: 0, packetsLost: 0 });
    });

    it('decides so by the clock when only one packet comes', () => {
      const { send, flow, ticks, sink, media } = setUp();
      flow(0, 0, 50);
      ticks(1_000, 5_900);
      send(6_000, { sequenceNumber: 50, timestamp: 8_000, atSample: 48_000 });
      media.tick(6_059);
      expect(sink.runs.at(-1)?.[0]).toBe('silence');
      media.tick(6_060);
      expectInPlace(sink.heard);
      expect(sink.heard).toHaveLength(48_160);
    });

    it('keeps the clock when the network had stalled and delivers in a burst', () => {
      const { send, flow, ticks, sink, media } = setUp();
      flow(0, 0, 50);
      ticks(1_000, 1_700);
      for (let i = 50; i < 90; i++) {
        send(1_790, { sequenceNumber: i, timestamp: 160 * i, atSample: 160 * i });
        // Nothing is filled while packets wait for the verdict.
        if (i === 52) media.tick(1_790);
      }
      flow(1_800, 90, 50);
      expectInPlace(sink.heard);
      expect(sink.heard).toHaveLength(140 * 160);
      expect(media.counters()).toMatchObject({ timestampResets: 0, packetsLost: 0 });
      // The tick at 1,700 ms had filled up to what was due 400 ms before; the burst brought the rest.
      expect(media.counters()).toMatchObject({ silenceMs: 320, overlapMs: 320 });
    });

    it('hands out what it was undecided about when the leg ends', () => {
      const { send, flow, ticks, sink, media } = setUp();
      flow(0, 0, 50);
      ticks(1_000, 5_900);
      send(6_000, { sequenceNumber: 50, timestamp: 8_000, atSample: 48_000 });
      media.finish();
      expectInPlace(sink.heard);
      expect(sink.heard).toHaveLength(48_160);
    });
  });

  it('plays what it holds at the end, ends its sink once, and ignores what comes later', () => {
    const { flow, sink, media, ticks } = setUp();
    flow(0, 0, 2);
    flow(60, 3, 1);
    media.finish();
    expect(sink.ended).toBe(true);
    expect(sink.heard).toHaveLength(640);
    flow(80, 4, 5);
    ticks(100, 2_000);
    media.finish();
    expect(sink.heard).toHaveLength(640);
    expect(media.counters().packetsReceived).toBe(3);
  });

  it('ends a leg to which nothing came', () => {
    const { sink, media } = setUp();
    media.tick(1_000);
    media.finish();
    expect(sink.heard).toEqual([]);
    expect(media.counters().packetsReceived).toBe(0);
  });

  it('puts every sample in its place, across both wraps, through loss, reordering and copies', () => {
    const packetFate = fc.record({
      lossDice: fc.nat(9),
      delayMs: fc.nat(70),
      copyDice: fc.nat(9),
    });
    const firstNumbers = fc.record({
      sequence: fc.oneof(fc.nat(65_535), fc.constantFrom(65_530, 65_500)),
      timestamp: fc.oneof(fc.nat(0xffff_ffff), fc.constant(0xffff_ff00)),
    });
    fc.assert(
      fc.property(fc.array(packetFate, { minLength: 3, maxLength: 150 }), firstNumbers, (fates, first) => {
        const { send, media, sink } = setUp();
        // The first two and the last come as they are, so that both ends of the leg are known.
        const isWhole = (i: number): boolean => i < 2 || i === fates.length - 1;
        const arrivals = fates.flatMap(({ lossDice, delayMs, copyDice }, i) => {
          if (isWhole(i)) return [{ i, atMs: 20 * i + (i < 2 ? 0 : 70) }];
          if (lossDice === 0) return [];
          const arrival = { i, atMs: 20 * i + delayMs };
          return copyDice === 0 ? [arrival, { i, atMs: arrival.atMs + 5 }] : [arrival];
        });
        arrivals.sort((a, b) => a.atMs - b.atMs);
        for (const { i, atMs } of arrivals) {
          send(atMs, {
            sequenceNumber: first.sequence + i,
            timestamp: first.timestamp + 160 * i,
            atSample: 160 * i,
          });
        }
        media.finish();

        const arrived = new Set(arrivals.map(({ i }) => i));
        expectInPlace(sink.heard);
        expect(sink.heard).toHaveLength(160 * fates.length);
        fates.forEach((_, i) => {
          expect(sink.heard[160 * i]).toBe(arrived.has(i) ? codeAt(160 * i) : LOSS);
        });
        const counters = media.counters();
        const lost = fates.length - arrived.size;
        expect(counters.packetsReceived).toBe(arrivals.length);
        expect(counters.packetsDuplicate).toBe(arrivals.length - arrived.size);
        expect(counters.packetsLost).toBe(lost);
        expect(counters.concealedMs).toBe(20 * lost);
        expect(counters.packetsLate).toBe(0);
        expect(sink.heard).not.toContain(SILENCE);
      }),
    );
  });

  it('never throws, and keeps its counts, whatever datagrams come', () => {
    const datagram = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
      fc
        .record({
          sequenceNumber: fc.nat(0xffff),
          timestamp: fc.nat(0xffff_ffff),
          ssrc: fc.nat(3),
          payloadType: fc.constantFrom(0, 8, 13, 18, 101),
          payload: fc.uint8Array({ maxLength: 300 }),
        })
        .map(rtpDatagram),
    );
    const arrival = fc.tuple(datagram, fc.constantFrom(PEER, '192.0.2.2'), fc.nat(500));
    fc.assert(
      fc.property(fc.array(arrival, { maxLength: 60 }), (arrivals) => {
        const { media, sink } = setUp();
        let nowMs = 0;
        for (const [bytes, address, waitMs] of arrivals) {
          nowMs += waitMs;
          media.takeRtp(bytes, address, 4_000, nowMs);
          media.tick(nowMs);
        }
        media.finish();
        const c = media.counters();
        const counted =
          c.packetsReceived + c.packetsForeign + c.packetsMalformed + c.rtcpPackets + c.rtcpMalformed;
        expect(counted).toBe(arrivals.length);
        expect(sink.ended).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe('LegMedia over SRTP', () => {
  const SUITE = 'AES_CM_128_HMAC_SHA1_80';
  const terms = (n: number): SrtpTerms => ({ suite: SUITE, remoteKeys: [testKey(n)], localKey: testKey(9) });
  /** Twenty packets, the leg's samples from the first on; sequence numbers wrap after five. */
  const plain = (i: number, ssrc = 0x1234): Buffer =>
    rtpDatagram({
      sequenceNumber: 65_531 + i,
      timestamp: PTIME_SAMPLES * i,
      ssrc,
      payload: codes(PTIME_SAMPLES * i, PTIME_SAMPLES),
    });

  function setUpSecure(): {
    media: LegMedia;
    sink: RecordingSink;
    take: (datagram: Buffer, i: number) => void;
  } {
    const { media, sink } = setUp({ security: terms(1) });
    return {
      media,
      sink,
      take: (datagram, i) => {
        media.takeRtp(Buffer.from(datagram), PEER, 4_000, 20 * i);
      },
    };
  }

  it('plays every sample across the wrap of the sequence number, and none of what was tampered with or replayed', () => {
    const { media, sink, take } = setUpSecure();
    const peer = new SrtpPeer(SUITE, testKey(1));
    const sealed = Array.from({ length: 20 }, (_, i) => peer.protect(plain(i)));
    for (const [i, datagram] of sealed.entries()) {
      const tampered = Buffer.from(datagram);
      tampered[40]! ^= 0x01;
      take(tampered, i);
      take(plain(i), i);
      take(datagram, i);
      if (i >= 3) take(sealed[i - 3]!, i);
    }
    expect(sink.heard).toEqual([...codes(0, 20 * PTIME_SAMPLES)]);
    expect(media.counters()).toMatchObject({
      packetsReceived: 20,
      packetsLost: 0,
      packetsDuplicate: 0,
      packetsUnauthenticated: 40,
      packetsReplayed: 17,
    });
  });

  it('goes on after a change of SSRC', () => {
    const { media, sink, take } = setUpSecure();
    const peer = new SrtpPeer(SUITE, testKey(1));
    for (let i = 0; i < 20; i++) take(peer.protect(plain(i, i < 10 ? 1 : 2)), i);
    expect(sink.heard).toEqual([...codes(0, 20 * PTIME_SAMPLES)]);
    expect(media.counters()).toMatchObject({
      packetsReceived: 20,
      ssrcChanges: 1,
      packetsUnauthenticated: 0,
    });
  });

  it('goes on without a gap when a new offer brings another key', () => {
    const { media, sink, take } = setUpSecure();
    const [old, fresh] = [new SrtpPeer(SUITE, testKey(1)), new SrtpPeer(SUITE, testKey(2))];
    for (let i = 0; i < 20; i++) {
      if (i === 8) media.secure(terms(2));
      // Two packets under the old key are on their way when the new one is answered.
      take((i < 10 ? old : fresh).protect(plain(i)), i);
    }
    expect(sink.heard).toEqual([...codes(0, 20 * PTIME_SAMPLES)]);
    expect(media.counters()).toMatchObject({ packetsReceived: 20, packetsUnauthenticated: 0 });
  });
});
