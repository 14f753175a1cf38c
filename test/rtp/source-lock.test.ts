import { describe, expect, it } from 'vitest';

import type { LastSource } from '../../src/rtp/late-sender.ts';
import { RtpPacket } from '../../src/rtp/packet.ts';
import { SourceLock, type SourceVerdict } from '../../src/rtp/source-lock.ts';

const PEER = '192.0.2.1:4000';

function toSource(source: string): { address: string; port: number } {
  const colon = source.lastIndexOf(':');
  return { address: source.slice(0, colon), port: Number(source.slice(colon + 1)) };
}

function setUp(
  signalled?: string,
  last?: LastSource,
): {
  lock: SourceLock;
  judge: (sequenceNumber: number, ssrc?: number, source?: string) => SourceVerdict;
  extended: () => number;
} {
  const lock = new SourceLock(signalled === undefined ? undefined : toSource(signalled), last);
  const packet = new RtpPacket();
  const judge = (sequenceNumber: number, ssrc = 1, source = PEER): SourceVerdict => {
    const { address, port } = toSource(source);
    packet.sequenceNumber = sequenceNumber;
    packet.timestamp = 160 * sequenceNumber;
    packet.arrivalMs = 20 * sequenceNumber;
    packet.ssrc = ssrc;
    return lock.judge(packet, address, port);
  };
  return { lock, judge, extended: () => packet.extendedSequence };
}

describe('SourceLock', () => {
  it('admits a source with its second packet and gives back the first', () => {
    const { lock, judge, extended } = setUp();
    expect(judge(65_535)).toBe('probation');
    expect(judge(0)).toBe('admitted');
    expect(extended() - lock.heldPacket!.extendedSequence).toBe(1);
    expect(judge(1)).toBe('current');
    expect(lock.ssrc).toBe(1);
  });

  it.each([
    ['a packet between them is missing', 10, 12],
    ['the second overtook the first', 11, 10],
  ])('admits it also when %s', (_, first, second) => {
    const { lock, judge, extended } = setUp();
    judge(first);
    expect(judge(second)).toBe('admitted');
    expect(extended() - lock.heldPacket!.extendedSequence).toBe(second - first);
  });

  it('does not take a copy for a confirmation', () => {
    const { judge } = setUp();
    judge(10);
    expect(judge(10)).toBe('repeated');
    expect(judge(11)).toBe('admitted');
  });

  it('does not believe two packets that are far from each other', () => {
    const { lock, judge } = setUp();
    judge(10);
    expect(judge(5_000)).toBe('probation');
    expect(judge(5_001)).toBe('admitted');
    expect(lock.unconfirmedPackets).toBe(1);
  });

  it('gives the leg to the address that confirms first, not to a stray packet before it', () => {
    const { lock, judge } = setUp();
    judge(900, 99, '203.0.113.9:1');
    expect(judge(1)).toBe('probation');
    expect(judge(2)).toBe('admitted');
    expect(judge(901, 99, '203.0.113.9:1')).toBe('foreign');
    expect(lock.unconfirmedPackets).toBe(1);
  });

  it('keeps at most four sources on probation; the oldest makes room', () => {
    const { lock, judge } = setUp();
    for (let ssrc = 1; ssrc <= 5; ssrc++) judge(10, ssrc);
    expect(lock.unconfirmedPackets).toBe(1);
    expect(judge(11, 2)).toBe('admitted');
    expect(lock.unconfirmedPackets).toBe(4);
  });

  it('takes nothing from another address or port, even with the right SSRC', () => {
    const { judge } = setUp();
    judge(1);
    judge(2);
    expect(judge(3, 1, '192.0.2.2:4000')).toBe('foreign');
    expect(judge(3, 1, '192.0.2.1:4002')).toBe('foreign');
    expect(judge(3)).toBe('current');
  });

  it('changes to another SSRC of the same address with its second packet', () => {
    const { lock, judge } = setUp();
    judge(1);
    judge(2);
    expect(judge(700, 2)).toBe('probation');
    expect(judge(701, 2)).toBe('admitted');
    expect(lock.heldPacket?.sequenceNumber).toBe(700);
    expect(judge(702, 2)).toBe('current');
  });

  it('does not change between two SSRCs that send at the same time', () => {
    const { judge } = setUp();
    judge(1);
    judge(2);
    for (let i = 0; i < 10; i++) {
      expect(judge(700 + i, 2)).toBe('probation');
      expect(judge(3 + i)).toBe('current');
    }
  });

  it('takes a leap of up to 3,000 packets for losses, and a step back of less than 100 for reordering', () => {
    const { judge, extended } = setUp();
    judge(65_000);
    judge(65_001);
    const before = extended();
    expect(judge((65_001 + 2_999) & 0xffff)).toBe('current');
    expect(extended()).toBe(before + 2_999);
    expect(judge((65_001 + 2_900) & 0xffff)).toBe('current');
    expect(extended()).toBe(before + 2_900);
  });

  it('believes a longer leap when its direct successor follows, as RFC 3550 §A.1 has it', () => {
    const { lock, judge } = setUp();
    judge(1);
    judge(2);
    expect(judge(20_000)).toBe('probation');
    expect(judge(20_002)).toBe('probation');
    expect(judge(20_003)).toBe('admitted');
    expect(lock.heldPacket?.sequenceNumber).toBe(20_002);
    expect(judge(20_004)).toBe('current');
  });

  it('changes the address once after relatch; the old one goes on until then', () => {
    const { lock, judge } = setUp();
    judge(1);
    judge(2);
    lock.relatch();
    expect(judge(500, 7, '192.0.2.9:9000')).toBe('probation');
    expect(judge(3)).toBe('current');
    expect(judge(501, 7, '192.0.2.9:9000')).toBe('admitted');
    expect(judge(4)).toBe('foreign');
    expect(judge(502, 7, '192.0.2.9:9000')).toBe('current');
  });

  it('counts who is still on probation when dismissed', () => {
    const { lock, judge } = setUp();
    judge(1);
    lock.dismissCandidates();
    expect(lock.unconfirmedPackets).toBe(1);
  });

  describe('where the peer signalled a public address', () => {
    const SIGNALLED = '203.0.113.5:4000';

    it.each(['203.0.113.5:4000', '203.0.113.5:61000', '::ffff:203.0.113.5:4000'])('takes %s', (source) => {
      const { judge } = setUp(SIGNALLED);
      judge(1, 1, source);
      expect(judge(2, 1, source)).toBe('admitted');
    });

    it.each(['203.0.113.6:4000', '192.168.0.1:4000', '::1:4000'])('never takes %s', (source) => {
      const { lock, judge } = setUp(SIGNALLED);
      for (let i = 1; i < 5; i++) expect(judge(i, 1, source)).toBe('foreign');
      expect(lock.lastSource).toBeUndefined();
    });

    it.each(['192.0.2.9', '::ffff:192.0.2.9'])(
      'takes %s, where its SIP comes from, until the signalled address speaks',
      (host) => {
        const { lock, judge } = setUp(SIGNALLED);
        lock.relatch({ ...toSource(SIGNALLED), sipAddress: '192.0.2.9' });
        judge(1, 1, '192.0.2.10:4000');
        expect(judge(2, 1, '192.0.2.10:4000')).toBe('foreign');
        judge(1, 2, `${host}:7000`);
        expect(judge(2, 2, `${host}:7000`)).toBe('admitted');
        judge(1, 3, SIGNALLED);
        expect(judge(2, 3, SIGNALLED)).toBe('admitted');
        expect(judge(3, 2, `${host}:7000`)).toBe('foreign');
      },
    );

    it('reads IPv6 in any spelling', () => {
      const { judge } = setUp('2001:0DB8:0:0:0:0:0:1:4000');
      judge(1, 1, '2001:db8::1:4000');
      expect(judge(2, 1, '2001:db8::1:4000')).toBe('admitted');
      expect(judge(3, 1, '2001:db8::2:4000')).toBe('foreign');
    });

    it('takes only the new address after a re-INVITE named it', () => {
      const { lock, judge } = setUp(SIGNALLED);
      judge(1, 1, SIGNALLED);
      judge(2, 1, SIGNALLED);
      lock.relatch(toSource('203.0.113.9:5000'));
      expect(judge(1, 9, '203.0.113.66:5000')).toBe('foreign');
      expect(judge(3, 1, SIGNALLED)).toBe('current');
      judge(50, 7, '203.0.113.9:5000');
      expect(judge(51, 7, '203.0.113.9:5000')).toBe('admitted');
      expect(judge(4, 1, SIGNALLED)).toBe('foreign');
    });

    it('lets nobody in after a re-INVITE that names where the source is', () => {
      const { lock, judge } = setUp('203.0.113.5:9');
      judge(1, 1, SIGNALLED);
      judge(2, 1, SIGNALLED);
      lock.relatch(toSource(SIGNALLED));
      for (let i = 1; i < 4; i++) expect(judge(i, 9, '203.0.113.5:7000')).toBe('foreign');
      expect(judge(3, 1, SIGNALLED)).toBe('current');
    });
  });

  describe.each(['192.168.1.7:4000', '10.0.0.1:4000', '100.64.0.1:4000', '127.0.0.1:4000', 'fd00::7:4000'])(
    'where the peer signalled %s',
    (signalled) => {
      it('takes the first that sends valid packets, then the signalled one, and never a third', () => {
        const { judge } = setUp(signalled);
        const [first, third] = ['198.51.100.1:7000', '198.51.100.2:7000'];
        judge(1, 1, first);
        expect(judge(2, 1, first)).toBe('admitted');
        expect(judge(1, 3, third)).toBe('foreign');
        // It takes over although the one in its place talks on.
        expect(judge(100, 5, signalled)).toBe('probation');
        expect(judge(3, 1, first)).toBe('current');
        expect(judge(101, 5, signalled)).toBe('admitted');
        expect(judge(4, 1, first)).toBe('foreign');
        expect(judge(2, 3, third)).toBe('foreign');
        expect(judge(102, 5, signalled)).toBe('current');
      });
    },
  );

  it('takes a host name in place of an address for none', () => {
    const { judge } = setUp('media.example.com:4000');
    judge(1);
    expect(judge(2)).toBe('admitted');
  });

  describe('on ports that were used before', () => {
    // Its last packet came at 1 s; the next one below has number 100 and comes at 2 s.
    const last = { address: '192.0.2.1', port: 4_000, ssrc: 1, timestamp: 8_000, atMs: 1_000 };

    it('never hears the sender of the last call, however long it goes on', () => {
      const { judge } = setUp(undefined, last);
      for (let i = 100; i < 200; i++) expect(judge(i)).toBe('foreign');
      judge(200, 2);
      expect(judge(201, 2)).toBe('admitted');
      expect(judge(202)).toBe('foreign');
    });

    it('hears a device that has the same SSRC in each call', () => {
      const { judge } = setUp(undefined, { ...last, timestamp: 3_000_000_000 });
      judge(100);
      expect(judge(101)).toBe('admitted');
    });

    it('forgets it after ten minutes', () => {
      const { judge } = setUp(undefined, { ...last, timestamp: 0, atMs: -598_999 });
      expect(judge(50)).toBe('foreign');
      const { judge: judgeLater } = setUp(undefined, { ...last, timestamp: 0, atMs: -599_001 });
      judgeLater(50);
      expect(judgeLater(51)).toBe('admitted');
    });
  });
});
