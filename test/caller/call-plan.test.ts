import { expect, test } from 'vitest';

import { planCall } from '../../src/caller/call-plan.ts';

const legs = [{ codes: new Uint8Array(160_000) }, { codes: new Uint8Array(80_000) }];
const impairments = { lossRate: 0.02, reorderRate: 0.02, duplicateRate: 0 };

test('each leg has its own source and its own faults', () => {
  const [first, second] = planCall({ legs, ptimeMs: 20, impairments, seed: 1 });
  expect(first?.plan.packets).toBe(1000);
  expect(second?.plan.packets).toBe(500);
  expect(first?.start.ssrc).not.toBe(second?.start.ssrc);
  expect([...first!.plan.lost].slice(0, 5)).not.toEqual([...second!.plan.lost].slice(0, 5));
});

test('a longer packet time narrows the window, so that late packets stay within 60 ms', () => {
  const [leg] = planCall({ legs, ptimeMs: 60, impairments, seed: 1 });
  for (const [slot, packets] of leg!.plan.sends.entries()) {
    for (const packetNo of packets) expect(slot - packetNo).toBeLessThanOrEqual(1);
  }
  expect(leg!.plan.reordered).not.toEqual([]);
});
