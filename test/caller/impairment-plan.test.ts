import fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  NO_IMPAIRMENTS,
  type PacketPlan,
  planPackets,
  REORDER_MAX_PACKETS,
} from '../../src/caller/impairment-plan.ts';

const rate = fc.double({ min: 0, max: 0.5, noNaN: true });
const impairments = fc.record({ lossRate: rate, reorderRate: rate, duplicateRate: rate });
const anyPlan = fc
  .tuple(fc.nat(400), impairments, fc.nat(2 ** 32 - 1))
  .map((input) => ({ input, plan: planPackets(...input) }));

/** Packet numbers in the order in which they leave. */
const wire = (plan: PacketPlan): number[] => plan.sends.flat();

test('a line without faults sends every packet in its own time', () => {
  expect(planPackets(4, NO_IMPAIRMENTS, 1).sends).toEqual([[0], [1], [2], [3]]);
});

test('the same seed gives the same plan, another seed another one', () => {
  const faults = { lossRate: 0.02, reorderRate: 0.01, duplicateRate: 0.01 };
  expect(planPackets(2000, faults, 5)).toEqual(planPackets(2000, faults, 5));
  expect(planPackets(2000, faults, 5)).not.toEqual(planPackets(2000, faults, 6));
});

test.each([
  [2000, 0.02, 0.01, 0.01, [40, 20, 20]],
  [100, 0, 0, 0, [0, 0, 0]],
  [10, 0.04, 0.05, 0, [0, 1, 0]],
])(
  '%i packets with rates %d, %d and %d have exactly the rounded counts',
  (packets, lossRate, reorderRate, duplicateRate, counts) => {
    const plan = planPackets(packets, { lossRate, reorderRate, duplicateRate }, 3);
    expect([plan.lost.size, plan.reordered.length, plan.duplicated.length]).toEqual(counts);
  },
);

test('every packet leaves once, save the lost and the duplicated', () => {
  fc.assert(
    fc.property(anyPlan, ({ plan }) => {
      const times = new Map<number, number>();
      for (const packetNo of wire(plan)) times.set(packetNo, (times.get(packetNo) ?? 0) + 1);
      for (let packetNo = 0; packetNo < plan.packets; packetNo += 1) {
        const expected = plan.lost.has(packetNo) ? 0 : plan.duplicated.includes(packetNo) ? 2 : 1;
        expect(times.get(packetNo) ?? 0).toBe(expected);
      }
      expect(wire(plan)).toHaveLength(plan.packets - plan.lost.size + plan.duplicated.length);
    }),
  );
});

test('first and last packet are on time, so that sequence numbers show every loss', () => {
  fc.assert(
    fc.property(anyPlan, ({ plan }) => {
      if (plan.packets === 0) return;
      expect(plan.sends[0]).toEqual([0]);
      expect(plan.sends.at(-1)).toContain(plan.packets - 1);
    }),
  );
});

test('exactly the reordered packets are overtaken, and by no more than the window', () => {
  fc.assert(
    fc.property(anyPlan, ({ plan }) => {
      const sent = wire(plan);
      const overtaken = sent.filter((no, index) => sent.slice(0, index).some((before) => before > no));
      expect(overtaken.sort((a, b) => a - b)).toEqual(plan.reordered);
      for (const [slot, packets] of plan.sends.entries()) {
        for (const packetNo of packets) expect(slot - packetNo).toBeLessThanOrEqual(REORDER_MAX_PACKETS);
      }
    }),
  );
});

test('counts never exceed what was asked, and reach it at the rates of real lines', () => {
  fc.assert(
    fc.property(anyPlan, ({ input: [packets, asked], plan }) => {
      expect(plan.lost.size).toBeLessThanOrEqual(Math.round(asked.lossRate * packets));
      expect(plan.reordered.length).toBeLessThanOrEqual(Math.round(asked.reorderRate * packets));
      expect(plan.duplicated.length).toBeLessThanOrEqual(Math.round(asked.duplicateRate * packets));
    }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 3000 }), fc.nat(), (packets, seed) => {
      const plan = planPackets(packets, { lossRate: 0.1, reorderRate: 0.1, duplicateRate: 0.1 }, seed);
      const each = Math.round(0.1 * packets);
      expect([plan.lost.size, plan.reordered.length, plan.duplicated.length]).toEqual([each, each, each]);
    }),
  );
});
