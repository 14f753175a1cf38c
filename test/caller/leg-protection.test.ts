import { expect, test } from 'vitest';

import { LegProtection, newMasterKey } from '../../src/caller/leg-protection.ts';
import { SrtpReceiver } from '../../src/rtp/srtp-receiver.ts';
import { SrtpSender } from '../../src/rtp/srtp-sender.ts';
import { codes, rtpDatagram } from '../support/rtp-stream.ts';
import { srtpKey } from '../support/srtp-stream.ts';

test.each(['AES_CM_128_HMAC_SHA1_80', 'AES_CM_128_HMAC_SHA1_32'] as const)(
  'what it protects is opened by the receiver, late packets across the wrap included: %s',
  (suite) => {
    const key = newMasterKey();
    const protection = new LegProtection(suite, key);
    const receiver = new SrtpReceiver(suite, [srtpKey(key)]);
    for (const sequenceNumber of [65_530, 65_531, 65_534, 65_536, 65_535, 65_540, 65_533, 65_541]) {
      const plain = rtpDatagram({ sequenceNumber, payload: codes(sequenceNumber, 160) });
      const sealed = protection.protect(plain);
      const length = receiver.unprotect(sealed);
      expect(sealed.subarray(0, Number(length))).toEqual(plain);
    }
  },
);

test('reports of another key are not read', () => {
  const [own, other] = [newMasterKey(), newMasterKey()].map(
    (key) => new LegProtection('AES_CM_128_HMAC_SHA1_80', key),
  );
  const report = Buffer.from('80c9000100001234', 'hex');
  expect(own!.unprotectRtcp(own!.protectRtcp(report))).toEqual(report);
  expect(own!.unprotectRtcp(other!.protectRtcp(report))).toBeUndefined();
  expect(own!.unprotectRtcp(Buffer.from([1, 2]))).toBeUndefined();
});

test.each(['AES_CM_128_HMAC_SHA1_80', 'AES_CM_128_HMAC_SHA1_32'] as const)(
  'opens what the other side sends, across a wrap, and nothing else: %s',
  (suite) => {
    const key = newMasterKey();
    const [sender, protection] = [new SrtpSender(suite, srtpKey(key)), new LegProtection(suite, key)];
    for (let sequenceNumber = 65_530; sequenceNumber < 65_545; sequenceNumber++) {
      const plain = rtpDatagram({ sequenceNumber, payload: codes(sequenceNumber, 160) });
      expect(protection.unprotect(sender.protect(plain))).toEqual(plain);
    }
    const other = new SrtpSender(suite, srtpKey(newMasterKey()));
    expect(protection.unprotect(other.protect(rtpDatagram({ sequenceNumber: 65_546 })))).toBeUndefined();
    expect(protection.unprotect(Buffer.from([0x80, 0, 1]))).toBeUndefined();
  },
);
