import { describe, expect, it } from 'vitest';

import { LegSecurity } from '../../src/rtp/leg-security.ts';
import { SrtcpReceiver } from '../../src/rtp/srtcp.ts';
import type { SrtpTerms } from '../../src/rtp/srtp-key.ts';
import { SrtpReceiver } from '../../src/rtp/srtp-receiver.ts';
import { rtpDatagram } from '../support/rtp-stream.ts';
import { SrtpPeer, testKey } from '../support/srtp-stream.ts';

const SUITE = 'AES_CM_128_HMAC_SHA1_32';

/** An empty receiver report; its last word tells it from others. */
const report = (word: number): Buffer => {
  const bytes = Buffer.from('80c9000100001234', 'hex');
  bytes.writeUInt32BE(word, 4);
  return bytes;
};

function terms(remote: number, local = 9, mki?: Buffer): SrtpTerms {
  return { suite: SUITE, remoteKeys: [testKey(remote, mki)], localKey: testKey(local) };
}

describe('SrtcpReceiver', () => {
  it('opens reports, each once, whatever the RTP tag of the suite', () => {
    const peer = new SrtpPeer(SUITE, testKey(1));
    const receiver = new SrtcpReceiver([testKey(1)]);
    const [first, second] = [peer.protectRtcp(report(7)), peer.protectRtcp(report(7))];
    expect(receiver.unprotect(second)).toEqual(report(7));
    expect(receiver.unprotect(first)).toEqual(report(7));
    expect(receiver.unprotect(first)).toBe('replayed');
    expect(receiver.unprotect(second)).toBe('replayed');
  });

  it('drops what was changed, what is not encrypted, and what is too short', () => {
    const receiver = new SrtcpReceiver([testKey(1)]);
    const sealed = new SrtpPeer(SUITE, testKey(1)).protectRtcp(report(7));
    const changed = Buffer.from(sealed);
    changed[5]! ^= 1;
    expect(receiver.unprotect(changed)).toBe('unauthenticated');
    const clear = new SrtpPeer(SUITE, testKey(1)).protectClearRtcp(report(7), 5);
    expect(receiver.unprotect(clear)).toBe('unauthenticated');
    expect(receiver.unprotect(report(7))).toBe('malformed');
    expect(receiver.unprotect(sealed)).toEqual(report(7));
  });

  it('finds the key by its identifier', () => {
    const mki = Buffer.from([1, 2, 3, 4]);
    const receiver = new SrtcpReceiver([testKey(1, Buffer.from([9, 9, 9, 9])), testKey(2, mki)]);
    const unknown = new SrtpPeer(SUITE, testKey(2, Buffer.alloc(4)));
    expect(receiver.unprotect(unknown.protectRtcp(report(3)))).toBe('unauthenticated');
    expect(receiver.unprotect(new SrtpPeer(SUITE, testKey(2, mki)).protectRtcp(report(3)))).toEqual(
      report(3),
    );
  });
});

describe('LegSecurity', () => {
  it('sends reports that the peer can open by our key alone', () => {
    const security = new LegSecurity(terms(1, 9));
    const sealed = security.protectRtcp(report(5));
    expect(new SrtpPeer(SUITE, testKey(9)).unprotectRtcp(sealed)).toEqual(report(5));
    expect(() => new SrtpPeer(SUITE, testKey(1)).unprotectRtcp(sealed)).toThrow();
  });

  it('goes on with the same keys when an offer repeats them: nothing is taken twice', () => {
    const security = new LegSecurity(terms(1));
    const peer = new SrtpPeer(SUITE, testKey(1));
    const packet = peer.protect(rtpDatagram({ sequenceNumber: 1 }));
    expect(security.unprotectRtp(Buffer.from(packet))).toBeTypeOf('number');
    security.renew(terms(1));
    expect(security.unprotectRtp(Buffer.from(packet))).toBe('replayed');
  });

  it('takes reports under both keys until one came under the new ones', () => {
    const security = new LegSecurity(terms(1));
    const [old, fresh] = [new SrtpPeer(SUITE, testKey(1)), new SrtpPeer(SUITE, testKey(2))];
    security.renew(terms(2));
    expect(security.unprotectRtcp(old.protectRtcp(report(1)))).toEqual(report(1));
    expect(security.unprotectRtcp(fresh.protectRtcp(report(2)))).toEqual(report(2));
    expect(security.unprotectRtcp(old.protectRtcp(report(3)))).toBe('unauthenticated');
  });
});

describe('the packets of a leg that speaks', () => {
  it('are protected by the key of the last answer, and go on where that repeats it', () => {
    const suite = 'AES_CM_128_HMAC_SHA1_80';
    const termsWith = (local: number): SrtpTerms => ({ ...terms(1, local), suite });
    const security = new LegSecurity(termsWith(8));
    const packets = [0xfffe, 0xffff, 0x1_0000, 0x1_0001].map((sequenceNumber) =>
      rtpDatagram({ sequenceNumber }),
    );
    const [before, after] = [new SrtpPeer(suite, testKey(8)), new SrtpReceiver(suite, [testKey(8)])];
    for (const packet of packets.slice(0, 3)) {
      security.renew(termsWith(8));
      const sealed = security.protectRtp(packet);
      expect(before.unprotect(sealed)).toEqual(packet);
      after.unprotect(Buffer.from(sealed));
    }
    security.renew(termsWith(9));
    after.rekey(suite, [testKey(9)]);
    const sealed = security.protectRtp(packets[3]!);
    expect(sealed.subarray(0, Number(after.unprotect(sealed)))).toEqual(packets[3]);
  });
});
