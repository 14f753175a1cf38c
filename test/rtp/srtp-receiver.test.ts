import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { SrtpReceiver } from '../../src/rtp/srtp-receiver.ts';
import { codes, rtpDatagram } from '../support/rtp-stream.ts';
import { srtpKey, SrtpPeer, testKey } from '../support/srtp-stream.ts';

const SUITES = ['AES_CM_128_HMAC_SHA1_80', 'AES_CM_128_HMAC_SHA1_32'] as const;
const SUITE = SUITES[0];

const plainPacket = (sequenceNumber: number, ssrc = 0x1234): Buffer =>
  rtpDatagram({ sequenceNumber, ssrc, timestamp: 160 * sequenceNumber, payload: codes(sequenceNumber, 160) });

/** The packet as it stands in the datagram afterwards, or the fault. */
function open(receiver: SrtpReceiver, sealed: Buffer): Buffer | string {
  const datagram = Buffer.from(sealed);
  const found = receiver.unprotect(datagram);
  return typeof found === 'number' ? datagram.subarray(0, found) : found;
}

describe('SrtpReceiver', () => {
  it('opens the packet that libsrtp checks itself with', () => {
    const key = Buffer.from('e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6', 'hex');
    const receiver = new SrtpReceiver(SUITE, [srtpKey(key)]);
    const sealed = '800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb';
    expect(open(receiver, Buffer.from(sealed, 'hex'))).toEqual(
      Buffer.from('800f1234decafbadcafebabeabababababababababababababababab', 'hex'),
    );
  });

  it.each(SUITES)('opens what another implementation protected: %s', (suite) => {
    const peer = new SrtpPeer(suite, testKey(1));
    const receiver = new SrtpReceiver(suite, [testKey(1)]);
    for (let sequenceNumber = 0; sequenceNumber < 20; sequenceNumber++) {
      const plain = plainPacket(sequenceNumber);
      expect(open(receiver, peer.protect(plain))).toEqual(plain);
    }
  });

  it('reads past contributing sources and a header extension, which are not encrypted', () => {
    const peer = new SrtpPeer(SUITE, testKey(1));
    const plain = rtpDatagram({ csrcs: [7, 8], payload: codes(0, 80) });
    expect(open(new SrtpReceiver(SUITE, [testKey(1)]), peer.protect(plain))).toEqual(plain);
  });

  it.each([
    ['a bit of the payload', 20],
    ['a bit of the header', 3],
    ['a bit of the tag', 12 + 160 + 9],
  ])('drops a packet in which %s was changed, and leaves it as it was', (_, at) => {
    const sealed = new SrtpPeer(SUITE, testKey(1)).protect(plainPacket(5));
    sealed[at]! ^= 0x01;
    const datagram = Buffer.from(sealed);
    expect(new SrtpReceiver(SUITE, [testKey(1)]).unprotect(datagram)).toBe('unauthenticated');
    expect(datagram).toEqual(sealed);
  });

  it('drops a packet of another key, a plain one, and what is too short', () => {
    const receiver = new SrtpReceiver(SUITE, [testKey(1)]);
    expect(open(receiver, new SrtpPeer(SUITE, testKey(2)).protect(plainPacket(1)))).toBe('unauthenticated');
    expect(open(receiver, plainPacket(1))).toBe('unauthenticated');
    expect(open(receiver, plainPacket(1).subarray(0, 21))).toBe('malformed');
    expect(open(receiver, Buffer.alloc(0))).toBe('malformed');
    expect(open(receiver, Buffer.alloc(20_000, 0x80))).toBe('malformed');
  });

  it('takes nothing twice, and nothing older than its window', () => {
    const peer = new SrtpPeer(SUITE, testKey(1));
    const sealed = Array.from({ length: 300 }, (_, sequenceNumber) =>
      peer.protect(plainPacket(sequenceNumber)),
    );
    const receiver = new SrtpReceiver(SUITE, [testKey(1)]);
    expect(open(receiver, sealed[0]!)).toEqual(plainPacket(0));
    expect(open(receiver, sealed[0]!)).toBe('replayed');
    expect(open(receiver, sealed[200]!)).toEqual(plainPacket(200));
    expect(open(receiver, sealed[199]!)).toEqual(plainPacket(199));
    expect(open(receiver, sealed[199]!)).toBe('replayed');
    expect(open(receiver, sealed[73]!)).toEqual(plainPacket(73));
    expect(open(receiver, sealed[72]!)).toBe('replayed');
  });

  it('does not let a forged packet move the window', () => {
    const peer = new SrtpPeer(SUITE, testKey(1));
    const receiver = new SrtpReceiver(SUITE, [testKey(1)]);
    open(receiver, peer.protect(plainPacket(10)));
    const forged = peer.protect(plainPacket(11));
    forged.writeUInt16BE(20_000, 2);
    expect(open(receiver, forged)).toBe('unauthenticated');
    expect(open(receiver, peer.protect(plainPacket(12)))).toEqual(plainPacket(12));
  });

  it('goes through the wrap of the sequence number, loss and reorder across it included', () => {
    const peer = new SrtpPeer(SUITE, testKey(1));
    const numbers = Array.from({ length: 400 }, (_, i) => 65_336 + i);
    const sealed = new Map(numbers.map((number) => [number, peer.protect(plainPacket(number))]));
    const receiver = new SrtpReceiver(SUITE, [testKey(1)]);
    const order = [65_336, 65_337, 65_340, 65_400, 65_534, 65_537, 65_535, 65_536, 65_700, 65_699];
    for (const number of order) expect(open(receiver, sealed.get(number)!)).toEqual(plainPacket(number));
    expect(open(receiver, sealed.get(65_535)!)).toBe('replayed');
  });

  it('opens a leg whose first packets to arrive come after the first wrap', () => {
    const peer = new SrtpPeer(SUITE, testKey(1));
    const [before, after] = [peer.protect(plainPacket(65_535)), peer.protect(plainPacket(65_536))];
    const receiver = new SrtpReceiver(SUITE, [testKey(1)]);
    expect(open(receiver, after)).toEqual(plainPacket(65_536));
    expect(open(receiver, before)).toEqual(plainPacket(65_535));
  });

  it('counts rollovers for each SSRC by itself', () => {
    const peer = new SrtpPeer(SUITE, testKey(1));
    const receiver = new SrtpReceiver(SUITE, [testKey(1)]);
    for (const number of [65_535, 65_536]) {
      expect(open(receiver, peer.protect(plainPacket(number, 1)))).toEqual(plainPacket(number, 1));
    }
    expect(open(receiver, peer.protect(plainPacket(9, 2)))).toEqual(plainPacket(9, 2));
    expect(open(receiver, peer.protect(plainPacket(65_537, 1)))).toEqual(plainPacket(65_537, 1));
  });

  it('finds the key by its identifier, and drops one that it does not know', () => {
    const mki = (n: number): Buffer => Buffer.from([0, n]);
    const keys = [testKey(1, mki(1)), testKey(2, mki(2))];
    const receiver = new SrtpReceiver('AES_CM_128_HMAC_SHA1_32', keys);
    const sealedBy = (n: number, key = n): Buffer =>
      new SrtpPeer('AES_CM_128_HMAC_SHA1_32', testKey(key, mki(n))).protect(plainPacket(n));
    expect(open(receiver, sealedBy(2))).toEqual(plainPacket(2));
    expect(open(receiver, sealedBy(1))).toEqual(plainPacket(1));
    expect(open(receiver, sealedBy(3))).toBe('unauthenticated');
  });

  it('takes packets under both keys while a new one comes in, and the old ones no longer after 64', () => {
    const receiver = new SrtpReceiver(SUITE, [testKey(1)]);
    const [old, fresh] = [new SrtpPeer(SUITE, testKey(1)), new SrtpPeer(SUITE, testKey(2))];
    expect(open(receiver, old.protect(plainPacket(1)))).toEqual(plainPacket(1));
    receiver.rekey(SUITE, [testKey(2)]);
    const crossing = old.protect(plainPacket(2));
    const belated = old.protect(plainPacket(3));
    expect(open(receiver, fresh.protect(plainPacket(4)))).toEqual(plainPacket(4));
    expect(open(receiver, crossing)).toEqual(plainPacket(2));
    for (let number = 5; number < 68; number++) {
      expect(open(receiver, fresh.protect(plainPacket(number)))).toEqual(plainPacket(number));
    }
    expect(open(receiver, belated)).toBe('unauthenticated');
  });

  it('knows the rollover counter again after a new key, whether the peer kept it or began at 0', () => {
    for (const kept of [true, false]) {
      const receiver = new SrtpReceiver(SUITE, [testKey(1)]);
      const old = new SrtpPeer(SUITE, testKey(1));
      // Three wraps.
      for (let number = 0; number < 3 * 65_536; number += 16_384) {
        expect(open(receiver, old.protect(plainPacket(number)))).not.toBe('unauthenticated');
        for (const edge of [65_535, 131_071, 196_607]) {
          if (edge - number > 0 && edge - number < 16_384) open(receiver, old.protect(plainPacket(edge)));
        }
      }
      const fresh = new SrtpPeer(SUITE, testKey(2));
      if (kept) for (const edge of [65_535, 65_536, 131_071, 131_072]) fresh.protect(plainPacket(edge));
      receiver.rekey(SUITE, [testKey(2)]);
      const next = kept ? 180_300 : 50_000;
      expect(open(receiver, fresh.protect(plainPacket(next)))).toEqual(plainPacket(next));
    }
  });

  it('never throws and never opens what nobody sealed (seed 2)', () => {
    const receiver = new SrtpReceiver(SUITE, [testKey(1)]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const datagram = Buffer.from(bytes);
        if (datagram.length > 0) datagram[0] = (datagram[0]! & 0x3f) | 0x80;
        expect(receiver.unprotect(datagram)).toBeTypeOf('string');
      }),
      { seed: 2, numRuns: 2_000 },
    );
  });
});
