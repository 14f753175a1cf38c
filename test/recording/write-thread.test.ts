import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { WriteThread } from '../../src/recording/write-thread.ts';

let directory: string;
let thread: WriteThread;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'callscribe-thread-'));
  thread = new WriteThread();
});
afterEach(async () => {
  await thread.close();
  await rm(directory, { recursive: true });
});

const bytes = (text: string): Buffer => Buffer.from(text);

it('writes each file at its place, and says of each whether it could', async () => {
  const [one, two] = [await open(join(directory, 'one'), 'w'), await open(join(directory, 'two'), 'w')];
  const full = await open('/dev/full', 'w');
  const results = await thread.write([
    { fd: one.fd, position: 0, buffers: [bytes('ab'), bytes('cd')] },
    { fd: full.fd, position: 0, buffers: [bytes('no room')] },
    { fd: 999_999, position: 0, buffers: [bytes('no file')] },
    { fd: two.fd, position: 3, buffers: [bytes('xyz')] },
  ]);
  expect(results).toEqual(['written', 'ENOSPC', 'EBADF', 'written']);
  await thread.write([{ fd: one.fd, position: 2, buffers: [bytes('CD'), bytes('EF')] }]);
  for (const file of [one, two, full]) await file.close();
  expect(await readFile(join(directory, 'one'), 'latin1')).toBe('abCDEF');
  expect(await readFile(join(directory, 'two'), 'latin1')).toBe('\0\0\0xyz');
});

it('says of an order that its end overtook that nothing is known to be written, and begins anew', async () => {
  const file = await open(join(directory, 'one'), 'w');
  const write = { fd: file.fd, position: 0, buffers: [bytes('again')] };
  const answer = thread.write([write]);
  await thread.close();
  expect(['thread', 'written']).toContain((await answer)[0]);
  expect(await thread.write([write])).toEqual(['written']);
  await file.close();
  expect(await readFile(join(directory, 'one'), 'latin1')).toBe('again');
});
