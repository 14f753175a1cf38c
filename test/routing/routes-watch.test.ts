import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { silentLogger } from '../../src/log.ts';
import type { LoadPrompt } from '../../src/routing/prompts-beside.ts';
import { RoutesWatch, type RoutesWatchOptions } from '../../src/routing/routes-watch.ts';

const MODEL = 'paraformer-realtime-8k-v2';

let directory: string;
let file: string;
let outcomes: string[];
let watch: RoutesWatch | undefined;

const open = async (options: Partial<RoutesWatchOptions> = {}): Promise<RoutesWatch> =>
  (watch = await RoutesWatch.open({
    file,
    logger: silentLogger,
    everyMs: 20,
    model: MODEL,
    readRoles: () => [],
    onReading: (outcome) => outcomes.push(outcome),
    ...options,
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

it('a changed greeting is taken as changed rules are; one that cannot be played leaves the one before it in force', async () => {
  const heard = (): number | undefined => watch?.routes.rules[0]?.settings.voicemail?.greeting?.PCMU.length;
  const greeting = join(directory, 'sounds', 'greeting.wav');
  const loadPrompt: LoadPrompt = async (from, { path, maxMs }) => {
    const bytes = await readFile(join(from, path));
    const isGood = bytes.length * 1_000 <= maxMs;
    return isGood
      ? { kind: 'prompt', prompt: { PCMU: bytes, PCMA: bytes } }
      : { kind: 'fault', what: 'too long' };
  };
  await mkdir(join(directory, 'sounds'));
  await writeFile(greeting, 'hello');
  await writeFile(
    file,
    'rules: [{ name: a, set: { mode: voicemail, voicemail: { greeting: sounds/greeting.wav, beep: sounds/greeting.wav } } }]',
  );
  await open({ loadPrompt });
  expect(heard()).toBe(5);
  await writeFile(greeting, 'hello again'.slice(0, 4));
  await expect.poll(heard).toBe(4);
  await writeFile(greeting, 'x'.repeat(100));
  await expect.poll(() => outcomes).toEqual(['taken', 'refused']);
  expect(heard()).toBe(4);
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
