import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { EmbeddedPostgres } from '../../src/embedded/postgres.ts';
import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts';
import { silentLogger } from '../../src/log.ts';

const SETTINGS = { fsync: 'off' };
let dataDir: string;
const cleanups: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'callscribe-embedded-'));
  await chmod(dataDir, 0o755);
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(dataDir, { recursive: true, force: true });
});

async function start(): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataDir, logger: silentLogger, settings: SETTINGS });
  cleanups.push(() => server.close());
  return server;
}

async function ask(url: string, sql: string): Promise<Record<string, unknown>> {
  const client = new pg.Client(url);
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows[0] ?? {};
  } finally {
    await client.end();
  }
}

async function postmasterPid(server: { readonly clusterDir: string }): Promise<number> {
  return Number((await readFile(join(server.clusterDir, 'postmaster.pid'), 'utf8')).split('\n')[0]);
}

/** A process that has ended but that nobody has waited for yet (state Z) is not alive. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 400; turn += 1) {
    if (await condition()) return;
    await sleep(25);
  }
  throw new Error(`waited in vain: ${what}`);
}

interface OtherProcess {
  readonly child: ChildProcess;
  readonly url: string;
  readonly pid: number;
  next(): Promise<Record<string, unknown>>;
}

/** The same code in another process; it has the server when this resolves. */
async function startProcess(): Promise<OtherProcess> {
  const script = join(import.meta.dirname, '../support/embedded-process.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', script, dataDir], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  cleanups.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<Record<string, unknown>> => {
    const line = await lines.next();
    if (line.done === true) throw new Error('the process ended without an answer');
    return JSON.parse(line.value) as Record<string, unknown>;
  };
  const first = await next();
  return { child, url: String(first['url']), pid: Number(first['pid']), next };
}

describe('embedded postgres', () => {
  it('keeps its rows across a restart, its password in a file for us alone, and stays on the loopback', async () => {
    const first = await start();
    expect(first.url).toMatch(/^postgres:\/\/callscribe:[\w-]{32}@127\.0\.0\.1:\d+\/callscribe$/);
    await ask(first.url, 'create table kept as select 7 as n');
    const { mode } = await stat(join(first.clusterDir, 'callscribe.password'));
    expect(mode & 0o777).toBe(0o600);
    expect(await ask(first.url, `select current_setting('listen_addresses') as address`)).toEqual({
      address: '127.0.0.1',
    });
    const pid = await postmasterPid(first);
    await first.close();
    await first.close();
    expect(isAlive(pid)).toBe(false);

    const second = await start();
    expect(await ask(second.url, 'select n from kept')).toEqual({ n: 7 });
  });

  it('takes Chinese characters for letters, which trigram search needs', async () => {
    const server = await start();
    await ask(server.url, 'create extension pg_trgm');
    expect(await ask(server.url, `select cardinality(show_trgm('我要退款')) > 3 as searchable`)).toEqual({
      searchable: true,
    });
  });

  it('is shared by processes that start together, and ended by whoever is last', async () => {
    const [one, two] = await Promise.all([startProcess(), startProcess()]);
    expect(two.pid).toBe(one.pid);
    one.child.stdin?.write('close\n');
    expect(await one.next()).toEqual({ closed: true });
    expect(await ask(two.url, 'select 1 as n')).toEqual({ n: 1 });
    two.child.stdin?.write('close\n');
    expect(await two.next()).toEqual({ closed: true });
    expect(isAlive(one.pid)).toBe(false);
  });

  it('uses the server on that a killed process left, and ends it', async () => {
    const killed = await startProcess();
    killed.child.kill('SIGKILL');
    await once(killed.child, 'exit');
    expect(isAlive(killed.pid)).toBe(true);
    const server = await start();
    expect(await postmasterPid(server)).toBe(killed.pid);
    await server.close();
    expect(isAlive(killed.pid)).toBe(false);
  });

  it('leaves no server behind when the process exits without closing', async () => {
    const careless = await startProcess();
    careless.child.stdin?.write('exit\n');
    await once(careless.child, 'exit');
    expect(careless.child.exitCode).toBe(3);
    await until('the server ends', () => !isAlive(careless.pid));
  });

  it('lets the process drain on SIGTERM at its own pace', async () => {
    const draining = await startProcess();
    draining.child.kill('SIGTERM');
    expect(await draining.next()).toEqual({ drained: draining.pid });
    await once(draining.child, 'exit');
    expect(draining.child.exitCode).toBe(0);
    expect(isAlive(draining.pid)).toBe(false);
  });

  it('starts over a postmaster.pid whose number belongs to another program by now', async () => {
    const first = await start();
    const file = join(first.clusterDir, 'postmaster.pid');
    const text = await readFile(file, 'utf8');
    await first.close();
    await writeFile(file, text.replace(/^\d+/, String(process.pid)));
    const second = await start();
    expect(await ask(second.url, 'select 1 as n')).toEqual({ n: 1 });
  });

  it('starts the server again, on the same port, when it dies', async () => {
    const server = await start();
    const pid = await postmasterPid(server);
    process.kill(pid, 'SIGKILL');
    await until('the server is back', () =>
      ask(server.url, 'select 1').then(
        async () => (await postmasterPid(server)) !== pid,
        () => false,
      ),
    );
  });

  it.skipIf(process.getuid?.() !== 0)(
    'run by root in a folder that others cannot enter, keeps its data where its user can',
    async () => {
      await chmod(dataDir, 0o700);
      const first = await start();
      cleanups.push(() => rm(first.clusterDir, { recursive: true, force: true }));
      expect(first.clusterDir.startsWith(dataDir)).toBe(false);
      await ask(first.url, 'create table kept as select 7 as n');
      await first.close();
      const second = await start();
      expect(second.clusterDir).toBe(first.clusterDir);
      expect(await ask(second.url, 'select n from kept')).toEqual({ n: 7 });
      await second.close();
    },
  );

  it('names the folder when the data directory cannot be made', async () => {
    const file = join(dataDir, 'a-file');
    await writeFile(file, '');
    await expect(
      startEmbeddedPostgres({ dataDir: join(file, 'data'), logger: silentLogger }),
    ).rejects.toMatchObject({
      code: 'DATABASE_EMBEDDED_FAILED',
      message: expect.stringContaining('DATA_DIR') as string,
    });
  });
});
