import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { silentLogger } from '../../src/log.ts';
import { RoutesWatch } from '../../src/routing/routes-watch.ts';

let directory: string;
let file: string;
let outcomes: string[];
let watch: RoutesWatch | undefined;

const open = async (): Promise<RoutesWatch> =>
  (watch = await RoutesWatch.open({
    file,
    logger: silentLogger,
    everyMs: 20,
    model: 'paraformer-realtime-8k-v2',
    readRoles: () => [],
    onReading: (outcome) => outcomes.push(outcome),
  }));
const names = (): readonly string[] | undefined => watch?.routes.rules.map(({ name }) => name);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'callscribe-routes-'));
  file = join(directory, 'routes.yaml');
  outcomes = [];
});

afterEach(async () => {
  watch?.close();
  await rm(directory, { recursive: true });
});

it('a changed file is taken; a wrong one is not, and those before it stay in force', async () => {
  await writeFile(file, 'rules: [{ name: first }]');
  await open();
  expect(names()).toEqual(['first']);
  await writeFile(file, 'rules: [{ name: second-one }]');
  await expect.poll(() => outcomes).toEqual(['taken']);
  expect(names()).toEqual(['second-one']);
  await writeFile(file, 'rules: [{ nam: third }]');
  await expect.poll(() => outcomes).toEqual(['taken', 'refused']);
  expect(names()).toEqual(['second-one']);
  await rm(file);
  await expect.poll(() => outcomes).toEqual(['taken', 'refused', 'refused']);
  expect(names()).toEqual(['second-one']);
  await writeFile(`${file}.new`, 'rules: [{ name: moved-into-place }]');
  await rename(`${file}.new`, file);
  await expect.poll(() => outcomes.at(-1)).toBe('taken');
  expect(names()).toEqual(['moved-into-place']);
});

it.each([
  ['is not there', undefined, /ENOENT/],
  [
    'cannot be taken',
    'rules:\n  - { name: a, when: { call: both } }',
    /routes\.yaml:2 rules\[0\]\.when\.call/,
  ],
])('a start with a file that %s says so', async (_name, text, what) => {
  if (text !== undefined) await writeFile(file, text);
  await expect(open()).rejects.toMatchObject({
    code: 'ROUTES_INVALID',
    message: expect.stringMatching(what) as string,
  });
});
