import { describe, expect, it } from 'vitest';

import { percentiles } from '../../src/bench/percentiles.ts';

describe('percentiles', () => {
  it('takes the nearest rank of 1 to 200', () => {
    const values = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(percentiles(values)).toEqual({ p50Ms: 100, p99Ms: 198, maxMs: 200 });
  });

  it('gives the only value for every rank', () => {
    expect(percentiles([0.0421])).toEqual({ p50Ms: 0.042, p99Ms: 0.042, maxMs: 0.042 });
  });

  it('gives zeros where nothing was measured', () => {
    expect(percentiles([])).toEqual({ p50Ms: 0, p99Ms: 0, maxMs: 0 });
  });

  it('leaves what it was given in its order', () => {
    const values = Float64Array.of(3, 1, 2);
    percentiles(values);
    expect([...values]).toEqual([3, 1, 2]);
  });
});
