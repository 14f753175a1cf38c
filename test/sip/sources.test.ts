import { readdirSync, readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

const page = readFileSync(new URL('../../docs/sources.md', import.meta.url), 'utf8');
const folder = new URL('./sources/', import.meta.url);

/** Cells of a row; the pipes around it are no cells. */
const cellsOf = (row: string): string[] =>
  row
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());

const [header = '', , ...others] = page.split('\n').filter((line) => line.startsWith('|'));
const columns = cellsOf(header).slice(1);
const rows = others.map(cellsOf).filter(([source]) => source?.includes('/sip/sources/') === true);

describe('the table of sources', () => {
  it('has a row for every test file, and a column for every part of a session', () => {
    const files = rows.map(([source]) => /sources\/([\w-]+\.test\.ts)/.exec(source ?? '')?.[1]);
    expect(files.toSorted()).toEqual(readdirSync(folder).toSorted());
    expect(files).toHaveLength(13);
    expect(columns).toEqual(['INVITE', 'hold', 'metadata change', 'transfer', 'refresh', 'end']);
  });

  it.each(rows)('names the tests that there are: %s', (source, ...cells) => {
    const file = /sources\/([\w-]+\.test\.ts)/.exec(source)?.[1] ?? '';
    const text = readFileSync(new URL(file, folder), 'utf8');
    const tests = [...text.matchAll(/^ {2}it\('((?:[^'\\]|\\.)*)'/gm)].map(([, name]) => name);
    expect(tests).toEqual(cells.map((cell, index) => `${columns[index] ?? ''}: ${cell}`));
  });
});
