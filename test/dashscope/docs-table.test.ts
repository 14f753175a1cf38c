import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { AUDIO_FORMATS, RECOGNITION_MODELS } from '../../src/dashscope/models.ts';
import { PARAMETERS } from '../../src/dashscope/parameters.ts';

const ROOT = join(import.meta.dirname, '../..');
const page = await readFile(join(ROOT, 'docs/dashscope-client.md'), 'utf8');

/** Cells of every row but headings and rules. */
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('|') && !/^\| (page|fault) /.test(line) && !line.startsWith('| ---'))
  .map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );

describe('the tables of the vendor’s page and of its SDKs’ faults', () => {
  it('has three cells in every row, and none is empty', () => {
    expect(rows.length).toBeGreaterThan(120);
    expect(rows.filter((cells) => cells.length !== 3 || cells.includes(''))).toEqual([]);
  });

  it.each(rows.map(([vendor = '', , proofs = '']) => [vendor, proofs] as const))(
    'proves %s by tests that are there',
    async (_vendor, proofs) => {
      for (const proof of proofs.split('<br>')) {
        const [, file = '', name = ''] = /^`([\w./-]+\.test\.ts) › (.+)`$/.exec(proof) ?? [];
        expect({ proof, file, name }).toEqual({
          proof,
          file: expect.stringMatching(/./),
          // A name that is all placeholder would be found anywhere.
          name: expect.stringMatching(/[a-z]{2}/),
        });
        const source = await readFile(join(ROOT, 'test', file), 'utf8');
        expect(source).toContain(`'${name}'`);
      }
    },
  );

  it('names every model, format and parameter that the library knows', () => {
    const vendor = rows.map(([cell = '']) => cell).join('\n');
    const names = [
      ...RECOGNITION_MODELS.map((model) => model.name),
      ...AUDIO_FORMATS,
      ...PARAMETERS.map((rule) => rule.wireName ?? 'phrase_id'),
    ];
    expect(names.filter((name) => !vendor.includes(name))).toEqual([]);
  });
});
