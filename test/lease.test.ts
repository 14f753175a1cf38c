import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { SILENT_MAX_MS, takeLease } from '../src/lease.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'callscribe-lease-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** As left by a process that was killed. */
async function leftByTheDead(): Promise<void> {
  const script = `import('${join(process.cwd(), 'src/lease.ts')}').then(async ({ takeLease }) => {
    await takeLease('${directory}'); process.stdout.write('taken'); setInterval(() => {}, 1000); })`;
  const child = spawn(process.execPath, ['--import', 'tsx', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  expect(await takeLease(directory)).toBeUndefined();
  child.kill('SIGKILL');
  await once(child, 'exit');
}

it('is held by one at a time, and free when it is released', async () => {
  const lease = await takeLease(directory);
  expect(await lease?.isHeld()).toBe(true);
  expect(await takeLease(directory)).toBeUndefined();
  await lease?.release();
  await lease?.release();
  expect(await readdir(directory)).toEqual([]);
  await using next = await takeLease(directory);
  expect(next).toBeDefined();
});

it('goes from a killed process to exactly one of those who come after', async () => {
  await leftByTheDead();
  const taken = await Promise.all(Array.from({ length: 20 }, () => takeLease(directory)));
  const [lease, ...others] = taken.filter((one) => one !== undefined);
  expect(others).toEqual([]);
  expect(await lease?.isHeld()).toBe(true);
  expect(await readdir(directory)).toHaveLength(1);
  await lease?.release();
});

it('goes from a holder of another container only when that has been silent for long', async () => {
  const lease = await takeLease(directory);
  const [name] = await readdir(directory);
  const path = join(directory, name!);
  const holder = JSON.parse(await readFile(path, 'utf8')) as object;
  await lease?.release();
  await writeFile(path, JSON.stringify({ ...holder, pidNamespace: 'elsewhere' }));
  expect(await takeLease(directory)).toBeUndefined();
  const longAgo = new Date(Date.now() - SILENT_MAX_MS - 1_000);
  await utimes(path, longAgo, longAgo);
  await using next = await takeLease(directory);
  expect(next).toBeDefined();
});
