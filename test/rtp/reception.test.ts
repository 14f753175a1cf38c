import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ReceptionStatistics } from '../../src/rtp/reception.ts';

describe('ReceptionStatistics', () => {
  it('counts lost as expected less received (RFC 3550 §A.3)', () => {
    const statistics = new ReceptionStatistics();
    for (const sequence of [65_530, 65_531, 65_534, 65_533, 65_540]) statistics.count(sequence);
    expect(statistics.expectedPackets).toBe(11);
    expect(statistics.cumulativeLostPackets).toBe(6);
    expect(statistics.extendedHighestSequence).toBe(65_540);
  });

  it('goes negative with duplicates, as the RFC says it may', () => {
    const statistics = new ReceptionStatistics();
    for (const sequence of [1, 1, 2, 2]) statistics.count(sequence);
    expect(statistics.cumulativeLostPackets).toBe(-2);
  });

  it('knows no loss before the first packet', () => {
    expect(new ReceptionStatistics().cumulativeLostPackets).toBe(0);
  });

  it('has no jitter when packets come as they were sent, across the wrap of the timestamp', () => {
    const statistics = new ReceptionStatistics();
    for (let i = 0; i < 100; i++) statistics.arrive((0xffff_ff00 + 160 * i) >>> 0, 1_000 + 20 * i);
    expect(statistics.jitterMs).toBe(0);
  });

  it('moves by a sixteenth of each difference (§A.8)', () => {
    const statistics = new ReceptionStatistics();
    statistics.arrive(0, 0);
    statistics.arrive(160, 36);
    expect(statistics.jitterMs).toBe(1);
  });

  it('approaches the difference that all packets have', () => {
    const statistics = new ReceptionStatistics();
    for (let i = 0; i < 400; i++) statistics.arrive(160 * i, 20 * i + (i % 2) * 5);
    expect(statistics.jitterMs).toBeCloseTo(5, 5);
  });

  it('does not depend on where timestamp and clock begin', () => {
    const delays = fc.array(fc.double({ min: 0, max: 50, noNaN: true }), { minLength: 2, maxLength: 50 });
    fc.assert(
      fc.property(delays, fc.nat(0xffff_ffff), fc.nat(10_000_000), (delaysMs, first, startMs) => {
        const jitterMs = [0, 1].map((shifted) => {
          const statistics = new ReceptionStatistics();
          delaysMs.forEach((delayMs, i) => {
            statistics.arrive((shifted * first + 160 * i) >>> 0, shifted * startMs + 20 * i + delayMs);
          });
          return statistics.jitterMs;
        });
        // One tick of rounding at most.
        expect(Math.abs(jitterMs[0]! - jitterMs[1]!)).toBeLessThanOrEqual(0.125);
      }),
    );
  });

  it('takes the difference of two transits on both sides of the sign for the small one that it is', () => {
    const statistics = new ReceptionStatistics();
    statistics.arrive(0x8000_0001, 0);
    statistics.arrive(0x8000_0001 + 160, 36);
    expect(statistics.jitterMs).toBe(1);
  });

  it('takes a leap of the timestamps for what it is', () => {
    const statistics = new ReceptionStatistics();
    statistics.arrive(0, 0);
    statistics.arrive(1_000_000, 20);
    statistics.arrive(1_000_160, 40);
    expect(statistics.jitterMs).toBe(0);
  });
});
