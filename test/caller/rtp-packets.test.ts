import { expect, test } from 'vitest';

import { buildRtpPacket, packetCount } from '../../src/caller/rtp-packets.ts';
import { readRtpPacket, RtpPacket } from '../../src/rtp/packet.ts';

const options = {
  codec: 'PCMA',
  codes: Uint8Array.from({ length: 400 }, (_, index) => index % 256),
  ptimeMs: 20,
  ssrc: 0xfedcba98,
  sequenceNumber: 0xffff,
  rtpTimestamp: 0xffffff60,
} as const;

test('the first packet has the marker, the next ones wrap sequence number and timestamp', () => {
  // V=2 P=0 X=0 CC=0 | M=1 PT=8 | sequence number | timestamp | SSRC
  expect(buildRtpPacket(options, 0).subarray(0, 12).toString('hex')).toBe('8088ffffffffff60fedcba98');
  expect(buildRtpPacket(options, 1).subarray(0, 12).toString('hex')).toBe('8008000000000000fedcba98');
  expect(buildRtpPacket(options, 2).subarray(0, 12).toString('hex')).toBe('80080001000000a0fedcba98');
});

test('payloads joined are the codes, the last one shorter', () => {
  expect(packetCount(options.codes, 20)).toBe(3);
  const payloads = [0, 1, 2].map((packetNo) => buildRtpPacket(options, packetNo).subarray(12));
  expect(payloads.map(({ length }) => length)).toEqual([160, 160, 80]);
  expect(new Uint8Array(Buffer.concat(payloads))).toEqual(options.codes);
});

test('mu-law has payload type 0', () => {
  expect(buildRtpPacket({ ...options, codec: 'PCMU' }, 1)[1]).toBe(0);
});

test('the parser of the receiving side reads every field back', () => {
  const packet = new RtpPacket();
  for (const packetNo of [0, 1, 2]) {
    expect(readRtpPacket(buildRtpPacket(options, packetNo), packet)).toBeUndefined();
    expect(packet).toMatchObject({
      payloadType: 8,
      marker: packetNo === 0,
      sequenceNumber: (0xffff + packetNo) % 2 ** 16,
      timestamp: (0xffffff60 + packetNo * 160) % 2 ** 32,
      ssrc: 0xfedcba98,
      csrcCount: 0,
    });
    expect(packet.bytes.subarray(packet.payloadBegin, packet.payloadEnd)).toEqual(
      Buffer.from(options.codes.subarray(packetNo * 160, (packetNo + 1) * 160)),
    );
  }
});
