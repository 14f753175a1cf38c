import { expect, it } from 'vitest';

import { CallRegistry } from '../../src/call/registry.ts';

it('does not keep pace while thousands of ended calls are put away, and does again when one of them is', async () => {
  const registry = new CallRegistry(10);
  const done: (() => void)[] = [];
  while (registry.keepsPace && done.length < 100_000) {
    registry.leaving(new Promise((resolve) => done.push(resolve)));
  }
  expect(done.length).toBe(5_000);
  expect(registry.leavingCount).toBe(5_000);
  done[0]!();
  await expect.poll(() => registry.keepsPace).toBe(true);
});
