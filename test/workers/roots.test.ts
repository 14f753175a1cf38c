import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, describe, expect, inject, it } from 'vitest';

import { createDatabase, type TestDatabase } from '../support/database.ts';
import { endRoots, logged, start } from '../support/root-process.ts';

afterEach(endRoots);

async function database(): Promise<TestDatabase & AsyncDisposable> {
  const created = await createDatabase('empty');
  return { ...created, [Symbol.asyncDispose]: () => created.drop() };
}

const SIP = { SIP_LISTEN: 'udp:127.0.0.1:0,tcp:127.0.0.1:0' };

describe('npm start', () => {
  it('runs all roles, answers health and readiness, and ends with 0 at SIGTERM', async () => {
    await using db = await database();
    const root = start('all.ts', [], { ...SIP, DATABASE_URL: db.url });
    const { http, recogniser } = (await logged(root, 'ready')) as { http: string; recogniser: string };
    expect(recogniser).toBe('sandbox');
    expect(await (await fetch(`${http}/healthz`)).json()).toEqual({ status: 'ok' });
    expect(await (await fetch(`${http}/readyz`)).json()).toMatchObject({ status: 'ready' });
    root.child.kill('SIGTERM');
    expect(await root.ended).toBe(0);
    expect(root.output.stderr).toContain('"stopped"');
  });

  it('says that the sandbox is no recogniser', async () => {
    await using db = await database();
    const root = start('all.ts', [], { ...SIP, DATABASE_URL: db.url });
    await logged(root, 'ready');
    expect(root.output.stderr).toContain('sandbox in place of DashScope: no real recognition');
  });
});

describe('npm run worker', () => {
  it('runs the intake alone on Redis, without any database', async () => {
    const root = start('role.ts', ['intake'], { ...SIP, REDIS_URL: `${inject('redisUrl')}/3` });
    expect(await logged(root, 'ready')).toMatchObject({ roles: ['intake'] });
    root.child.kill('SIGTERM');
    expect(await root.ended).toBe(0);
  });

  it('ends with 2 for a role that is not there', async () => {
    const root = start('role.ts', ['recorder'], {});
    expect(await root.ended).toBe(2);
    expect(root.output.stderr).toContain('found recorder, allowed is one of intake, sentences, calls');
  });
});

describe('what keeps a root from starting is one readable line with the way out', () => {
  it('rules that cannot be taken: each fault with its line, exit code 2', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'callscribe-rules-'));
    const file = join(directory, 'routes.yaml');
    await writeFile(file, 'rules:\n  - { nam: a }\n');
    // With a recogniser of its own, so that it is the intake that reads them.
    const env = {
      ...SIP,
      REDIS_URL: `${inject('redisUrl')}/3`,
      DASHSCOPE_WS_URL: 'ws://127.0.0.1:1',
      ROUTES_FILE: file,
    };
    const root = start('role.ts', ['intake'], env);
    expect(await root.ended).toBe(2);
    expect(root.output.stderr).toContain('routes.yaml:2 rules[0]');
    await rm(directory, { recursive: true });
  });

  it('wrong configuration: all faults at once, exit code 2', async () => {
    const root = start('all.ts', [], { SIP_LISTEN: 'udp:x', MAX_LEGS: 'many', REDIS_URL: 'redis//h' });
    expect(await root.ended).toBe(2);
    expect(root.output.stderr).toMatch(/3 settings cannot be used:[^]*SIP_LISTEN[^]*/);
    expect(root.output.stderr).toContain(
      'MAX_LEGS: found "many", allowed is a whole number from 1 to 100000',
    );
    expect(root.output.stderr).toContain('REDIS_URL: found [secret], 8 characters');
  });

  it('a SIP port in use', async () => {
    await using db = await database();
    const taken = createSocket('udp4').bind(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address();
    const root = start('all.ts', [], { SIP_LISTEN: `udp:127.0.0.1:${port}`, DATABASE_URL: db.url });
    expect(await root.ended).toBe(1);
    taken.close();
    expect(root.output.stderr).toContain(`127.0.0.1:${port}`);
    expect(root.output.stderr).toContain('SIP_LISTEN');
    expect(root.output.stderr).not.toMatch(/^ {4}at /m);
  });

  it('an HTTP port in use', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const root = start('all.ts', [], { ...SIP, HTTP_LISTEN: `127.0.0.1:${port}` });
    expect(await root.ended).toBe(1);
    taken.close();
    expect(root.output.stderr).toContain('set HTTP_LISTEN to another port');
  });

  it('a database that is not there', async () => {
    const url = new URL(inject('postgresUrl'));
    url.pathname = '/absent';
    const root = start('all.ts', [], { ...SIP, DATABASE_URL: url.href });
    expect(await root.ended).toBe(1);
    expect(root.output.stderr).toContain('DATABASE_URL');
    expect(root.output.stderr).not.toContain(url.password);
  });

  it('a Redis that is not there', async () => {
    const root = start('role.ts', ['intake'], { ...SIP, REDIS_URL: 'redis://127.0.0.1:1' });
    expect(await root.ended).toBe(1);
    expect(root.output.stderr).toContain('REDIS_URL');
  });

  it('a drachtio-server that is not there', async () => {
    const root = start('role.ts', ['intake'], {
      REDIS_URL: `${inject('redisUrl')}/3`,
      DRACHTIO_HOST: '127.0.0.1',
      DRACHTIO_PORT: '1',
      DRACHTIO_SECRET: 'x',
    });
    expect(await root.ended).toBe(1);
    expect(root.output.stderr).toContain('Check DRACHTIO_HOST, DRACHTIO_PORT and DRACHTIO_SECRET');
  });
});
