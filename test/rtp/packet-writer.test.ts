import { describe, expect, it } from 'vitest';

import { parseRtpPacket } from '../../src/rtp/packet.ts';
import { PacketWriter } from '../../src/rtp/packet-writer.ts';

const SSRC = 0xfedc_ba98;

describe('PacketWriter', () => {
  it('writes every field where RFC 3550 §5.1 has it', () => {
    const writer = new PacketWriter({ sequenceNumber: 0x1234, timestamp: 0xff00_0001 });
    const packet = writer.write({ ssrc: SSRC, payloadType: 8, sample: 0 }, Buffer.from('d5d4d7', 'hex'));
    //                                  V PT/M  seq  timestamp  SSRC     payload
    expect(packet.toString('hex')).toBe('80 88 1234 ff000001 fedcba98 d5d4d7'.replaceAll(' ', ''));
  });

  it('wraps sequence number and timestamp apart, and counts what it wrote', () => {
    const writer = new PacketWriter({ sequenceNumber: 0xfffe, timestamp: 2 ** 32 - 320 });
    const packets = [0, 160, 320, 480].map((sample) =>
      parseRtpPacket(writer.write({ ssrc: SSRC, payloadType: 0, sample }, new Uint8Array(160))),
    );
    expect(packets.map(({ sequenceNumber }) => sequenceNumber)).toEqual([0xfffe, 0xffff, 0, 1]);
    expect(packets.map(({ timestamp }) => timestamp)).toEqual([2 ** 32 - 320, 2 ** 32 - 160, 0, 160]);
    expect(packets.map(({ marker }) => marker)).toEqual([true, false, false, false]);
    expect(writer).toMatchObject({ packetCount: 4, octetCount: 640 });
  });

  it('begins a talkspurt behind samples that were left out, which are no lost packet', () => {
    const writer = new PacketWriter({ sequenceNumber: 7, timestamp: 0 });
    const packets = [0, 160, 1_600, 1_760].map((sample) =>
      parseRtpPacket(writer.write({ ssrc: SSRC, payloadType: 0, sample }, new Uint8Array(160))),
    );
    expect(packets.map(({ sequenceNumber }) => sequenceNumber)).toEqual([7, 8, 9, 10]);
    expect(packets.map(({ timestamp }) => timestamp)).toEqual([0, 160, 1_600, 1_760]);
    expect(packets.map(({ marker }) => marker)).toEqual([true, false, true, false]);
  });
});
