import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Logger } from '../../src/log.ts';
import { PeerAccess } from '../../src/sip/peer-access.ts';
import { SourceLimiter } from '../../src/sip/source-limiter.ts';
import { TokenBucket } from '../../src/sip/token-bucket.ts';
import { TurnedAway } from '../../src/sip/turned-away.ts';
import { FakeClock } from '../support/fake-clock.ts';

describe('a token bucket', () => {
  it('gives a burst, then what comes back', () => {
    const bucket = new TokenBucket({ perSecond: 2, burst: 3 }, 0);
    const take = (ms: number): boolean => bucket.take(ms);
    expect([0, 0, 0, 0].map(take)).toEqual([true, true, true, false]);
    expect([499, 500, 501, 1_000, 60_000].map(take)).toEqual([false, true, false, true, true]);
  });

  it('never gives more than the burst and the rate allow, whenever it is asked', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(400), { maxLength: 200 }), (steps) => {
        const bucket = new TokenBucket({ perSecond: 10, burst: 5 }, 0);
        let nowMs = 0;
        let given = 0;
        for (const step of steps) {
          nowMs += step;
          if (bucket.take(nowMs)) given += 1;
          expect(given).toBeLessThanOrEqual(5 + nowMs / 100 + 1e-6);
        }
      }),
      { seed: 1 },
    );
  });
});

describe('a limiter of sources', () => {
  const limiter = (sourcesMax = 3): SourceLimiter =>
    new SourceLimiter(
      { source: { perSecond: 1, burst: 1 }, total: { perSecond: 100, burst: 6 }, sourcesMax },
      0,
    );

  it('has a bucket for each source', () => {
    const limits = limiter();
    expect(['192.0.2.1', '192.0.2.1', '192.0.2.2'].map((from) => limits.take(from, 0))).toEqual([
      true,
      false,
      true,
    ]);
    expect([limits.has('192.0.2.1', 0), limits.has('192.0.2.1', 1_000), limits.has('192.0.2.9', 0)]).toEqual([
      false,
      true,
      true,
    ]);
  });

  it('takes an IPv6 /64 for one source, and a mapped IPv4 address for itself', () => {
    const limits = limiter();
    expect(limits.take('2001:db8::1', 0)).toBe(true);
    expect(limits.take('2001:db8::ffff:2', 0)).toBe(false);
    expect(limits.take('2001:db8:0:1::1', 0)).toBe(true);
    expect(limits.take('::ffff:192.0.2.1', 0)).toBe(true);
    expect(limits.take('192.0.2.1', 0)).toBe(false);
  });

  it('keeps to its bound, and to the total of all', () => {
    const limits = limiter(10);
    const given = Array.from({ length: 100 }, (_, host) => limits.take(`192.0.2.${host}`, 0));
    expect(given.filter(Boolean)).toHaveLength(6);
    expect(limits.sources).toBe(10);
  });
});

describe('access', () => {
  const open = (strangers: '403' | 'silent'): { access: PeerAccess; reasons: string[]; clock: FakeClock } => {
    const reasons: string[] = [];
    const clock = new FakeClock();
    const access = new PeerAccess({
      allow: ['10.0.0.0/8', '2001:db8::/32'],
      strangers,
      onTurnedAway: (reason) => reasons.push(reason),
      clock,
      answers: { source: { perSecond: 1, burst: 2 }, total: { perSecond: 9, burst: 9 }, sourcesMax: 9 },
    });
    return { access, reasons, clock };
  };

  it('serves whom it may, as often as they ask', () => {
    const { access, reasons } = open('403');
    for (let asked = 0; asked < 1_000; asked += 1) expect(access.admit('10.1.2.3')).toBe('serve');
    expect(access.admit('2001:db8::1')).toBe('serve');
    expect(reasons).toEqual([]);
  });

  it('answers strangers now and then, counts them all', () => {
    const { access, reasons, clock } = open('403');
    const asked = (): string => access.admit('192.0.2.1');
    expect([asked(), asked(), asked(), access.admit('192.0.2.2')]).toEqual([
      'refuse',
      'refuse',
      'ignore',
      'refuse',
    ]);
    expect(reasons).toEqual(['address', 'address', 'rate', 'address']);
    clock.advance(1_000);
    expect([asked(), asked()]).toEqual(['refuse', 'ignore']);
  });

  it('is silent where that is wanted', () => {
    const { access, reasons } = open('silent');
    expect([access.admit('192.0.2.1'), access.admit('nonsense'), access.admit('10.0.0.1')]).toEqual([
      'ignore',
      'ignore',
      'serve',
    ]);
    expect(reasons).toEqual(['address', 'address']);
  });
});

it('what is turned away is counted each time and logged once in a while', () => {
  const counted: string[] = [];
  const logged: unknown[] = [];
  const turnedAway = new TurnedAway({
    count: (reason) => counted.push(reason),
    logger: {
      warn: (fields: object, message: string) => logged.push([fields, message]),
    } as unknown as Logger,
    reportEveryMs: 3_600_000,
  });
  for (const reason of ['address', 'address', 'tls'] as const) turnedAway.note(reason);
  expect(counted).toEqual(['address', 'address', 'tls']);
  expect(logged).toEqual([]);
  turnedAway.close();
  expect(logged).toEqual([[{ turnedAway: { address: 2, tls: 1 } }, 'SIP turned away since the last report']]);
  turnedAway.close();
  expect(logged).toHaveLength(1);
});
