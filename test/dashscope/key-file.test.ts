import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { KeyFile } from '../../src/dashscope/key-file.ts';

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'callscribe-key-'));
  path = join(directory, 'key');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

it('gives the key that the file holds now, without its line feed', async () => {
  const { apiKey } = new KeyFile(path);
  await writeFile(path, 'sk-one\n');
  expect(await apiKey()).toBe('sk-one');
  await writeFile(path, 'st-two');
  expect(await apiKey()).toBe('st-two');
});

it.each([
  ['', 'it is empty'],
  [' \n', 'it is empty'],
  ['sk-one\nsk-two', 'it is not one line'],
  [undefined, 'ENOENT'],
])('names what is wrong with a file of %j', async (text, fault) => {
  if (text !== undefined) await writeFile(path, text);
  await expect(new KeyFile(path).apiKey()).rejects.toMatchObject({
    code: 'ASR_UNREACHABLE',
    message: expect.stringContaining(fault) as string,
  });
});

it('keeps the last key while the file is being written anew', async () => {
  const { apiKey } = new KeyFile(path);
  await writeFile(path, 'sk-one');
  await apiKey();
  await writeFile(path, '');
  expect(await apiKey()).toBe('sk-one');
  await rm(path);
  expect(await apiKey()).toBe('sk-one');
});
