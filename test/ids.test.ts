import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { lowestIdAt, newCallId, newLegId, timeOfId, toCallId } from '../src/ids.ts';

const times = fc.date({ min: new Date(0), max: new Date('2109-01-01'), noInvalidDate: true });

describe('an id', () => {
  it('carries the time of its call, to the millisecond', () => {
    fc.assert(
      fc.property(times, (at) => {
        const callId = newCallId(at);
        expect(timeOfId(callId)).toEqual(at);
        expect(timeOfId(newLegId(callId))).toEqual(at);
        expect(toCallId(callId)).toBe(callId);
      }),
      { seed: 5 },
    );
  });

  it('is ordered as the times are, and lies above the lowest id of its time', () => {
    fc.assert(
      fc.property(times, times, (one, other) => {
        const [earlier, later] = one < other ? [one, other] : [other, one];
        expect(lowestIdAt(later) <= newCallId(later)).toBe(true);
        if (earlier < later) expect(newCallId(earlier) < lowestIdAt(later)).toBe(true);
      }),
      { seed: 5 },
    );
  });

  it('of calls before ids had a time says so, and its legs get one of now', () => {
    const random = toCallId('2bf83b9a-baeb-4fda-8d9a-95a5ea0b2c1d');
    expect(timeOfId(random)).toBeUndefined();
    expect(timeOfId(newLegId(random))?.getUTCFullYear()).toBeGreaterThan(2025);
  });
});
