import { createRequire } from 'node:module';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  contributingSources,
  isRtcp,
  parseRtpPacket,
  PAYLOAD_MAX_BYTES,
  readRtpPacket,
  RtpPacket,
  RtpParseError,
} from '../../src/rtp/packet.ts';
import { rtpDatagram } from '../support/rtp-stream.ts';

const payloadOf = (packet: RtpPacket): Buffer =>
  Buffer.from(packet.bytes.subarray(packet.payloadBegin, packet.payloadEnd));

describe('parseRtpPacket', () => {
  it('reads every field of a plain packet', () => {
    //                            V PT/M  seq  timestamp  SSRC      payload
    const datagram = Buffer.from('80 88 fffe ff000001 fedcba98 d5d4d7'.replaceAll(' ', ''), 'hex');
    expect(parseRtpPacket(datagram)).toMatchObject({
      payloadType: 8,
      marker: true,
      sequenceNumber: 65_534,
      timestamp: 0xff00_0001,
      ssrc: 0xfedc_ba98,
      payloadBegin: 12,
      payloadEnd: 15,
    });
  });

  it('finds the payload behind contributing sources and a header extension, before padding', () => {
    const datagram = Buffer.from(
      ['b2 00 0001 00000002 00000003', '0000000a ffffffff', 'bede 0001 01020304', 'aabb', '00 00 03']
        .join('')
        .replaceAll(' ', ''),
      'hex',
    );
    const packet = parseRtpPacket(datagram);
    expect(payloadOf(packet).toString('hex')).toBe('aabb');
    expect(contributingSources(datagram, packet)).toEqual([10, 0xffff_ffff]);
  });

  it.each([
    ['an empty datagram', '', 'too-short', 12, 0],
    ['one byte less than a header', '80000001000000020000 03', 'too-short', 12, 11],
    ['version 1', '40000001 00000002 00000003', 'version', 2, 1],
    ['a STUN binding request', '00010000 2112a442 000102030405060708090a0b', 'version', 2, 0],
    ['a list of sources beyond the end', '82000001 00000002 00000003 0000000a', 'csrc-list', 20, 16],
    ['an extension without room for its header', '90000001 00000002 00000003 bede', 'extension', 16, 14],
    ['an extension beyond the end', '90000001 00000002 00000003 bede0002 01020304', 'extension', 24, 20],
    ['padding of no bytes', 'a0000001 00000002 00000003 aabb00', 'padding', 0, 3],
    ['padding that would reach into the header', 'a0000001 00000002 00000003 aabb04', 'padding', 4, 3],
    ['padding announced where nothing follows the header', 'a0000001 00000002 00000003', 'padding', 3, 0],
  ])('refuses %s', (_, hex, fault, needed, found) => {
    const datagram = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    const parse = (): RtpPacket => parseRtpPacket(datagram);
    expect(parse).toThrow(RtpParseError);
    expect(parse).toThrow(`RTP packet, ${fault}: needed ${needed}, found ${found}`);
  });

  it('takes a payload that is empty, by itself or because all of it is padding', () => {
    expect(payloadOf(parseRtpPacket(rtpDatagram({ payload: new Uint8Array(0) })))).toHaveLength(0);
    const padded = rtpDatagram({ payload: new Uint8Array(0), paddingBytes: 4 });
    expect(payloadOf(parseRtpPacket(padded))).toHaveLength(0);
  });

  it('takes one second of audio in a packet and refuses more', () => {
    const fits = rtpDatagram({ payload: new Uint8Array(PAYLOAD_MAX_BYTES) });
    expect(payloadOf(parseRtpPacket(fits))).toHaveLength(PAYLOAD_MAX_BYTES);
    const over = rtpDatagram({ payload: new Uint8Array(PAYLOAD_MAX_BYTES + 1) });
    expect(() => parseRtpPacket(over)).toThrow('payload-too-long');
  });

  it('reads back whatever was written, all parts at once', () => {
    const fields = fc.record({
      sequenceNumber: fc.nat(0xffff),
      timestamp: fc.nat(0xffff_ffff),
      ssrc: fc.nat(0xffff_ffff),
      payloadType: fc.nat(127),
      marker: fc.boolean(),
      payload: fc.uint8Array({ maxLength: 400 }),
      csrcs: fc.array(fc.nat(0xffff_ffff), { maxLength: 15 }),
      extensionWords: fc.nat(20),
      paddingBytes: fc.nat(255),
    });
    fc.assert(
      fc.property(fields, ({ payload, csrcs, extensionWords: _, paddingBytes: __, ...header }) => {
        const datagram = rtpDatagram({ payload, csrcs, extensionWords: _, paddingBytes: __, ...header });
        const packet = parseRtpPacket(datagram);
        expect(packet).toMatchObject(header);
        expect(payloadOf(packet)).toEqual(Buffer.from(payload));
        expect(contributingSources(datagram, packet)).toEqual(csrcs);
      }),
    );
  });

  it('agrees with node-rtp on plain packets', () => {
    // It reads 32 bits as signed numbers and knows neither sources nor extensions nor padding.
    const { RtpPacket: Reference } = createRequire(import.meta.url)('node-rtp/lib/RtpPacket.js') as {
      RtpPacket: new (
        datagram: Buffer,
        isWhole: boolean,
      ) => { marker: boolean; type: number; seq: number; time: number; source: number; payload: Buffer };
    };
    const anyDatagram = fc
      .tuple(fc.uint8Array({ minLength: 11, maxLength: 11 }), fc.uint8Array({ maxLength: 300 }))
      .map(([header, payload]) => Buffer.from([0x80, ...header, ...payload]));
    fc.assert(
      fc.property(anyDatagram, (datagram) => {
        const ours = parseRtpPacket(datagram);
        const reference = new Reference(datagram, true);
        expect(ours).toMatchObject({
          marker: reference.marker,
          payloadType: reference.type,
          sequenceNumber: reference.seq,
          timestamp: reference.time >>> 0,
          ssrc: reference.source >>> 0,
        });
        expect(payloadOf(ours)).toEqual(reference.payload);
      }),
    );
  });
});

describe('readRtpPacket', () => {
  it('never throws and never points outside the datagram, whatever the bytes', () => {
    const packet = new RtpPacket();
    const anyBytes = fc.uint8Array({ maxLength: 80 });
    const likelyBytes = anyBytes.map((bytes) => Uint8Array.from([0x80 | ((bytes[0] ?? 0) & 0x3f), ...bytes]));
    fc.assert(
      fc.property(fc.oneof(anyBytes, likelyBytes), (datagram) => {
        if (readRtpPacket(datagram, packet) !== undefined) return;
        expect(packet.payloadBegin).toBeGreaterThanOrEqual(12);
        expect(packet.payloadEnd).toBeGreaterThanOrEqual(packet.payloadBegin);
        expect(packet.payloadEnd).toBeLessThanOrEqual(datagram.length);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('RtpPacket.copyFrom', () => {
  it('keeps the packet when the datagram is overwritten, and shrinks again for a shorter one', () => {
    const datagram = rtpDatagram({ payload: Uint8Array.from([1, 2, 3]), sequenceNumber: 7 });
    const kept = new RtpPacket();
    kept.copyFrom(parseRtpPacket(datagram));
    datagram.fill(0xff);
    expect(kept.sequenceNumber).toBe(7);
    expect([...payloadOf(kept)]).toEqual([1, 2, 3]);
    kept.copyFrom(parseRtpPacket(rtpDatagram({ payload: Uint8Array.from([9]) })));
    expect([...payloadOf(kept)]).toEqual([9]);
  });
});

describe('isRtcp', () => {
  it.each([
    ['80 c8', true],
    ['81 c9', true],
    ['80 c0', true],
    ['80 df', true],
    ['80 bf', false],
    ['80 e0', false],
    ['80 08', false],
    ['00 c8', false],
    ['80', false],
    ['', false],
  ])('of %s is %s', (hex, expected) => {
    expect(isRtcp(Buffer.from(hex.replace(' ', ''), 'hex'))).toBe(expected);
  });
});
