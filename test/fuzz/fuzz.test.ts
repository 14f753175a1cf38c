import fc from 'fast-check';
import { describe, expect, inject, it } from 'vitest';

import { seededRandom } from '../../src/seeded-random.ts';
import { createDatabase } from '../support/database.ts';
import { mutatePacket, mutateText } from './mutate.ts';
import { findFaults, runFuzz, SHORT_FORM } from './run.ts';

/** The short form of `npm run fuzz`. A seed decides every mutation; only when the answers come, it does not. */
it(
  '2,000 mutated messages and 10,000 mutated packets leave ten calls as they are, and nothing behind',
  { timeout: 240_000 },
  async () => {
    expect(inject('postgresUrl')).not.toBe('');
    const database = await createDatabase('empty');
    const report = await runFuzz({ ...SHORT_FORM, databaseUrl: database.url, onProgress: () => undefined });
    await database.drop();
    expect(findFaults(report), report.lines.join('')).toEqual([]);
    expect(report.calls).toBeGreaterThanOrEqual(10);
    // A storm that is refused at the door would prove nothing.
    for (const status of ['200', '400', '401', '481', '488']) {
      expect(report.statuses[status], status).toBeGreaterThan(0);
    }
  },
);

describe('mutations', () => {
  it('are the same for the same seed', () => {
    const text = 'INVITE sip:a SIP/2.0\r\nVia: x\r\n\r\nbody';
    const make = (seed: number): string[] => {
      const random = seededRandom(seed);
      return Array.from({ length: 50 }, () => mutateText(random, text, 'other\r\nlines'));
    };
    expect(make(7)).toEqual(make(7));
    expect(make(7)).not.toEqual(make(8));
    expect(new Set(make(7)).size).toBeGreaterThan(30);
  });

  it('take whatever they are given', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.string(),
        fc.string(),
        fc.uint8Array({ maxLength: 40 }),
        (seed, text, other, packet) => {
          const random = seededRandom(seed);
          expect(typeof mutateText(random, text, other)).toBe('string');
          expect(Buffer.isBuffer(mutatePacket(random, Buffer.from(packet)))).toBe(true);
        },
      ),
      { seed: 3 },
    );
  });
});
