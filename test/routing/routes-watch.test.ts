import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { silentLogger } from '../../src/log.ts';
import { RoutesWatch } from '../../src/routing/routes-watch.ts';

const MODEL = 'paraformer-realtime-8k-v2';

let directory: string;
let file: string;
let outcomes: string[];
let watch: RoutesWatch | undefined;

const open = async (): Promise<RoutesWatch> =>
  (watch = await RoutesWatch.open({
    file,
    logger: silentLogger,
    everyMs: 20,
    model: MODEL,
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

it('a changed lock, and a changed file of words, are taken as changed rules are', async () => {
  const lock = (id: string): string =>
    JSON.stringify({ version: 1, vocabularies: { day: { id, model: MODEL, digest: '' } } });
  const idOfDay = (): string | undefined => watch?.routes.rules[0]?.settings.asr.vocabularyId;
  const wordsOfDay = (): number | undefined => watch?.routes.hotWords.lists.get('day')?.words.length;
  await writeFile(
    file,
    'vocabulary_prefix: x\nvocabularies: { day: { file: words.txt } }\nrules: [{ name: a, set: { vocabulary: day } }]',
  );
  await writeFile(join(directory, 'words.txt'), '话费 4');
  await expect(open()).rejects.toThrow(/npm run vocabulary -- sync/);
  await writeFile(`${file}.lock`, lock('vocab-x-1'));
  await open();
  expect([idOfDay(), wordsOfDay()]).toEqual(['vocab-x-1', 1]);
  await writeFile(`${file}.lock`, lock('vocab-x-number-2'));
  await expect.poll(idOfDay).toBe('vocab-x-number-2');
  await writeFile(join(directory, 'words.txt'), '话费 4\nVoLTE 3');
  await expect.poll(wordsOfDay).toBe(2);
  await writeFile(join(directory, 'words.txt'), '话费 4\nVoLTE');
  await expect.poll(() => outcomes.at(-1)).toBe('refused');
  await writeFile(`${file}.lock`, 'cut off in the midd');
  await expect.poll(() => outcomes).toEqual(['taken', 'taken', 'refused', 'refused']);
  expect([idOfDay(), wordsOfDay()]).toEqual(['vocab-x-number-2', 2]);
  await rm(join(directory, 'words.txt'));
  await writeFile(file, 'rules: [{ name: without-words }]');
  await rm(`${file}.lock`);
  await expect.poll(names).toEqual(['without-words']);
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
