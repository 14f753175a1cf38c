import { afterEach, expect, it } from 'vitest';

import { endRoots, start } from '../support/root-process.ts';

afterEach(endRoots);

/** The short form of `npm run chaos`: each kind for some twenty seconds, with harm done twice as often. */
it.each([
  ['sockets', 'redis'],
  ['redis-restart', 'redis'],
  ['redis-flush', 'redis'],
  ['postgres-restart', 'postgres'],
  ['kill-sentences', 'redis'],
  ['kill-intake', 'redis'],
] as const)(
  '%s on %s: nothing missing, doubled or wrong in time',
  { timeout: 240_000 },
  async (kind, queue) => {
    const sizes = ['--sentences', '40', '--legs', '8', '--sentences-per-leg', '6'];
    const root = start('chaos.ts', [kind, '--queue', queue, '--pace', '0.5', '--seed', '1', ...sizes], {});
    const code = await root.ended;
    const [result = ''] = root.output.stdout.trimEnd().split('\n').slice(-1);
    const shown = `${root.output.stdout}\n${root.output.stderr}`;
    expect(result, shown).toMatch(/^\{"clean"/);
    const { reports } = JSON.parse(result) as { reports: Record<string, unknown>[] };
    expect(reports[0], shown).toMatchObject({
      missing: 0,
      doubled: 0,
      wrongInTime: 0,
      strange: 0,
      misnumbered: 0,
      calls: { open: 0, failed: 0, unstored: 0 },
      crashes: [],
    });
    expect(reports[0]!['spoken']).toBeGreaterThanOrEqual(40);
    expect(reports[0]!['harms']).toBeGreaterThan(0);
    expect(code).toBe(0);
  },
);
