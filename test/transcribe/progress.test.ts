import { PassThrough } from 'node:stream';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { columnsOf } from '../../src/transcribe/columns.ts';
import { withProgress } from '../../src/transcribe/progress.ts';
import { progressLine } from '../../src/transcribe/progress-line.ts';

const width = (text: string): number =>
  Array.from(text).reduce((sum, character) => sum + columnsOf(character), 0);

describe('the line that tells how far a file is', () => {
  it.each([
    ['agent.wav', 100, { name: 'agent.wav', barColumns: 40 }],
    ['agent.wav', 60, { name: 'agent.wav', barColumns: 27 }],
    ['2026-11-22-客户服务中心-180000.wav', 60, { name: '2026-11-22-客…-180000.wav', barColumns: 10 }],
    ['2026-11-22-客户服务中心-180000.wav', 38, { name: '2026-11…00.wav', barColumns: 0 }],
    ['two\nlines.wav', 80, { name: 'two?lines.wav', barColumns: 40 }],
  ])('shows %s in %d columns', (name, columns, expected) => {
    expect(progressLine(name, columns)).toEqual(expected);
  });

  it('fits whatever the name', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', '-', '.', '客', 'ｗ', '𠀀', '\n'), maxLength: 80 }),
        fc.integer({ min: 32, max: 200 }),
        (name, columns) => {
          const line = progressLine(name, columns);
          const bar = line.barColumns === 0 ? 0 : line.barColumns + 1;
          expect(width(line.name) + 1 + bar + '100% 12345 sentences'.length).toBeLessThan(columns);
        },
      ),
      { seed: 20, numRuns: 500 },
    );
  });

  it('is drawn over itself on a terminal, and gone at the end', async () => {
    const stream = Object.assign(new PassThrough(), {
      isTTY: true,
      columns: 38,
      cursorTo: () => true,
      clearLine: () => true,
    });
    await withProgress('/calls/a-{percentage}-recording-with-a-long-name.wav', stream, (tell) => {
      tell(0.5, 3);
      return Promise.resolve();
    });
    const drawn = String(stream.read());
    expect(drawn).toContain('a-{perc');
    expect(drawn).toContain('50% 3 sentences');
    expect(drawn).not.toContain('{bar}');
  });

  it('is a line at each tenth elsewhere', async () => {
    const stream = new PassThrough();
    await withProgress('/calls/a.wav', stream, (tell) => {
      for (const share of [0.05, 0.1, 0.15, 1]) tell(share, 2);
      return Promise.resolve();
    });
    expect(String(stream.read())).toBe('a.wav: 10%, 2 sentences\na.wav: 100%, 2 sentences\n');
  });
});
