import { describe, expect, it } from 'vitest';

import { SrtpReceiver } from '../../src/rtp/srtp-receiver.ts';
import { SrtpSender } from '../../src/rtp/srtp-sender.ts';
import { codes, rtpDatagram } from '../support/rtp-stream.ts';
import { srtpKey, SrtpPeer, testKey } from '../support/srtp-stream.ts';

const SUITES = ['AES_CM_128_HMAC_SHA1_80', 'AES_CM_128_HMAC_SHA1_32'] as const;

const plainPacket = (sequenceNumber: number, ssrc = 0x1234): Buffer =>
  rtpDatagram({ sequenceNumber, ssrc, timestamp: 160 * sequenceNumber, payload: codes(sequenceNumber, 160) });

function open(receiver: SrtpReceiver, sealed: Buffer): Buffer | string {
  const datagram = Buffer.from(sealed);
  const found = receiver.unprotect(datagram);
  return typeof found === 'number' ? datagram.subarray(0, found) : found;
}

describe('SrtpSender', () => {
  it('makes the packet that libsrtp checks itself with', () => {
    const key = Buffer.from('e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6', 'hex');
    const plain = Buffer.from('800f1234decafbadcafebabeabababababababababababababababab', 'hex');
    const before = Buffer.from(plain);
    expect(new SrtpSender(SUITES[0], srtpKey(key)).protect(plain).toString('hex')).toBe(
      '800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb',
    );
    expect(plain).toEqual(before);
  });

  it('is opened by another implementation, across a wrap of the sequence numbers', () => {
    const peer = new SrtpPeer(SUITES[0], testKey(1));
    const sender = new SrtpSender(SUITES[0], testKey(1));
    for (let index = 0xfff0; index < 0x1_0010; index++) {
      const plain = plainPacket(index);
      expect(peer.unprotect(sender.protect(plain))).toEqual(plain);
    }
  });

  it.each([
    [SUITES[0], undefined, 10],
    [SUITES[1], undefined, 4],
    [SUITES[0], Buffer.from('0102', 'hex'), 12],
    [SUITES[1], Buffer.from('01', 'hex'), 5],
  ])('adds the tag of %s, and the MKI %s before it', (suite, mki, addedBytes) => {
    const key = testKey(1, mki);
    const [sender, receiver] = [new SrtpSender(suite, key), new SrtpReceiver(suite, [key])];
    for (let index = 0xfffe; index < 0x2_0002; index += 1 + (index & 0x3fff)) {
      const sealed = sender.protect(plainPacket(index));
      expect(sealed).toHaveLength(172 + addedBytes);
      expect(open(receiver, sealed)).toEqual(plainPacket(index));
    }
  });

  it('goes on counting wraps under a new key (RFC 3711 §3.3.1), and from 0 for another SSRC', () => {
    const sender = new SrtpSender(SUITES[0], testKey(1));
    const receiver = new SrtpReceiver(SUITES[0], [testKey(1)]);
    for (const index of [0xffff, 0x1_0000]) {
      expect(open(receiver, sender.protect(plainPacket(index)))).toEqual(plainPacket(index));
    }
    sender.rekey(SUITES[0], testKey(2));
    receiver.rekey(SUITES[0], [testKey(2)]);
    expect(open(receiver, sender.protect(plainPacket(0x1_0001)))).toEqual(plainPacket(0x1_0001));
    const other = plainPacket(2, 0x5678);
    expect(new SrtpPeer(SUITES[0], testKey(2)).unprotect(sender.protect(other))).toEqual(other);
  });
});
