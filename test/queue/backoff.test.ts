import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { backoffMs } from '../../src/queue/backoff.ts';

describe('backoffMs', () => {
  it('doubles up to the bound, the last half at random', () => {
    const bounds = { minMs: 100, maxMs: 1000 };
    expect([1, 2, 3, 4, 5, 1000].map((attempt) => backoffMs(attempt, 1, bounds))).toEqual([
      100, 200, 400, 800, 1000, 1000,
    ]);
    expect([1, 5].map((attempt) => backoffMs(attempt, 0, bounds))).toEqual([50, 500]);
  });

  it('stays within its bounds at any attempt', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 31 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (n, r) => {
          const ms = backoffMs(n, r, { minMs: 200, maxMs: 30_000 });
          expect(ms).toBeGreaterThanOrEqual(100);
          expect(ms).toBeLessThanOrEqual(30_000);
        },
      ),
    );
  });
});
