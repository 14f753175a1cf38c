import { describe, expect, it } from 'vitest';

import { RtpPacket } from '../../src/rtp/packet.ts';
import { SourceLock, type SourceVerdict } from '../../src/rtp/source-lock.ts';

const PEER = '192.0.2.1:4000';

function setUp(): {
  lock: SourceLock;
  judge: (sequenceNumber: number, ssrc?: number, source?: string) => SourceVerdict;
  extended: () => number;
} {
  const lock = new SourceLock();
  const packet = new RtpPacket();
  const judge = (sequenceNumber: number, ssrc = 1, source = PEER): SourceVerdict => {
    const [address, port] = source.split(':');
    packet.sequenceNumber = sequenceNumber;
    packet.ssrc = ssrc;
    return lock.judge(packet, address!, Number(port));
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
});
