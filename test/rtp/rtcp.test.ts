import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RtcpSrPacket } from 'werift-rtp';

import { parseRtcp } from '../../src/rtp/rtcp.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');

// SR of SSRC 0x11223344 with no report block, 7 words.
const SENDER_REPORT = '80c80006 11223344 e5f1a2b3 40000000 0000a0b0 00000005 00000320';
// RR of SSRC 0x11223344 on one source.
const RECEIVER_REPORT = '81c90007 11223344 aabbccdd 01000002 00010005 00000010 a2b34000 00008000';
// SDES with a CNAME whose last byte is no UTF-8.
const DESCRIPTION = '81ca0003 11223344 01036162ff 000000';
const GOODBYE = '81cb0001 11223344';

describe('parseRtcp', () => {
  it('reads the sender report out of a compound datagram', () => {
    const [report] = parseRtcp(bytes(SENDER_REPORT + DESCRIPTION + GOODBYE))?.reports ?? [];
    expect(report).toBeInstanceOf(RtcpSrPacket);
    expect(report?.ssrc).toBe(0x1122_3344);
    expect((report as RtcpSrPacket).senderInfo.rtpTimestamp).toBe(0xa0b0);
  });

  it('reads a receiver report', () => {
    expect(parseRtcp(bytes(RECEIVER_REPORT))).toMatchObject({
      reports: [{ reports: [{ packetsLost: 2, jitter: 16 }] }],
      goodbyes: [],
    });
  });

  it('reads who leaves', () => {
    expect(parseRtcp(bytes(RECEIVER_REPORT + GOODBYE))?.goodbyes).toEqual([0x1122_3344]);
    expect(parseRtcp(bytes('82cb0003 00000001 00000002 02676f00'))?.goodbyes).toEqual([1, 2]);
  });

  it('takes packets that it does not read', () => {
    expect(parseRtcp(bytes(DESCRIPTION))).toEqual({ reports: [], goodbyes: [] });
  });

  it('overlooks part of a word at the end, which devices in the field leave behind their descriptions', () => {
    expect(parseRtcp(bytes(RECEIVER_REPORT + '0000'))?.reports).toHaveLength(1);
  });

  it.each([
    ['nothing', ''],
    ['half a header', '80c8'],
    ['version 0', '00c90001 11223344'],
    ['a packet type that is not RTCP', '80000001 11223344'],
    ['a length beyond the end', '80c90002 11223344'],
    ['a word left over', RECEIVER_REPORT + '00000000'],
    ['a report shorter than its count says', '82c90001 11223344'],
    ['a BYE shorter than its count says', '82cb0001 11223344'],
    ['a sender report without sender information', '80c80001 11223344'],
    ['a second packet that is cut', SENDER_REPORT + '81ca0009 11223344'],
  ])('finds %s malformed', (_, hex) => {
    expect(parseRtcp(bytes(hex))).toBeUndefined();
  });

  it('never throws, whatever the bytes', () => {
    const report = bytes(RECEIVER_REPORT + SENDER_REPORT + DESCRIPTION);
    const damaged = fc
      .array(fc.tuple(fc.nat(report.length - 1), fc.nat(255)), { maxLength: 6 })
      .map((changes) => {
        const copy = Buffer.from(report);
        for (const [at, byte] of changes) copy[at] = byte;
        return copy;
      });
    const anyBytes = fc.uint8Array({ maxLength: 100 }).map((array) => Buffer.from(array));
    fc.assert(
      fc.property(fc.oneof(damaged, anyBytes), (datagram) => {
        expect(() => parseRtcp(datagram)).not.toThrow();
      }),
      { numRuns: 2_000 },
    );
  });
});
