import { describe, expect, it } from 'vitest';

import { CallscribeError } from '../../src/errors.ts';
import { PortPool } from '../../src/rtp/port-pool.ts';
import { FakeClock } from '../support/fake-clock.ts';

function setUp(firstPort: number, lastPort: number): { pool: PortPool; clock: FakeClock } {
  const clock = new FakeClock();
  return { clock, pool: new PortPool({ address: '127.0.0.1', firstPort, lastPort, clock, restMs: 10_000 }) };
}

const codeOf = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (error) {
    return error instanceof CallscribeError && error.retryable ? error.code : error;
  }
};

describe('PortPool', () => {
  it.each([
    [20_000, 20_003, [20_000, 20_002]],
    [20_001, 20_005, [20_002, 20_004]],
    [20_000, 20_002, [20_000]],
  ])('gives even ports of %i-%i whose next port is inside, too', (first, last, expected) => {
    const { pool } = setUp(first, last);
    expect(expected.map(() => pool.take())).toEqual(expected);
    expect(codeOf(() => pool.take())).toBe('RTP_PORTS_EXHAUSTED');
  });

  it('refuses a range without a pair', () => {
    expect(() => setUp(20_001, 20_002)).toThrow(RangeError);
  });

  it('lets a released pair rest before it is taken again', () => {
    const { pool, clock } = setUp(20_000, 20_001);
    pool.release(pool.take());
    clock.advance(9_999);
    expect(codeOf(() => pool.take())).toBe('RTP_PORTS_EXHAUSTED');
    clock.advance(1);
    expect(pool.take()).toBe(20_000);
  });

  it('takes the pair that was released longest ago', () => {
    const { pool, clock } = setUp(20_000, 20_005);
    const [first, second] = [pool.take(), pool.take()];
    pool.release(second);
    pool.release(first);
    clock.advance(10_000);
    expect([pool.take(), pool.take(), pool.take()]).toEqual([20_004, second, first]);
  });

  it('takes a second release of the same pair for the same', () => {
    const { pool, clock } = setUp(20_000, 20_001);
    const rtpPort = pool.take();
    pool.release(rtpPort);
    pool.release(rtpPort);
    clock.advance(10_000);
    pool.take();
    expect(codeOf(() => pool.take())).toBe('RTP_PORTS_EXHAUSTED');
    expect(pool.usage).toEqual({ pairs: 1, taken: 1 });
  });

  it.each([
    ['0.0.0.0', 'udp4'],
    ['::', 'udp6'],
    ['fe80::1%eth0', 'udp6'],
  ])('of address %s is of sockets %s', (address, type) => {
    const clock = new FakeClock();
    expect(new PortPool({ address, firstPort: 2, lastPort: 3, clock }).socketType).toBe(type);
  });
});
