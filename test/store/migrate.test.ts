import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

import pg from 'pg';
import { afterEach, describe, expect, inject, it } from 'vitest';

import { silentLogger } from '../../src/log.ts';
import { migrate } from '../../src/store/migrate.ts';
import type { TestDatabase } from '../support/database.ts';
import { createDatabase } from '../support/database.ts';

const run = promisify(execFile);
const ALL = (await readdir(join(import.meta.dirname, '../../migrations')))
  .map((file) => file.replace('.sql', ''))
  .toSorted();
const databases: TestDatabase[] = [];

afterEach(async () => {
  for (const database of databases.splice(0)) await database.drop();
});

async function emptyDatabase(): Promise<TestDatabase> {
  const database = await createDatabase('empty');
  databases.push(database);
  return database;
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('migrate', () => {
  it('makes the tables of the contract in an empty database, and nothing the second time', async () => {
    const { url } = await emptyDatabase();
    expect(await migrate(url, silentLogger)).toEqual(ALL);
    expect(await migrate(url, silentLogger)).toEqual([]);
    const tables = await query(
      url,
      `select relname from pg_class where relkind in ('r', 'p') and not relispartition
          and relnamespace = 'public'::regnamespace order by 1`,
    );
    expect(tables.map((row) => row['relname'])).toEqual([
      'access_log',
      'api_tickets',
      'api_tokens',
      'awaited_voicemails',
      'call_events',
      'call_figures',
      'call_identifiers',
      'call_links',
      'calls',
      'dead_letters',
      'forgotten_calls',
      'legs',
      'schema_migrations',
      'sentences',
      'transcriptions',
      'voicemail_mails',
      'voicemails',
      'webhook_endpoints',
      'webhook_messages',
    ]);
  });

  it('run by several processes at once, is done by one while the others wait', async () => {
    const { url } = await emptyDatabase();
    const script = join(import.meta.dirname, '../support/migrate-process.ts');
    const answers = await Promise.all(
      Array.from({ length: 3 }, () => run(process.execPath, ['--import', 'tsx', script, url])),
    );
    const applied = answers.map((answer) => JSON.parse(answer.stdout) as string[]);
    expect(applied.flat()).toEqual(ALL);
  });

  it('waits for whoever migrates already', async () => {
    const { url } = await emptyDatabase();
    const holder = new pg.Client(url);
    await holder.connect();
    await holder.query('select pg_advisory_lock(3914677201)');
    let isDone = false;
    const waiting = migrate(url, silentLogger).then((applied) => {
      isDone = true;
      return applied;
    });
    // It has asked for the lock, in a session of its own, and got a no.
    while (
      (await query(url, `select 1 from pg_stat_activity where query like '%pg_try_advisory%'`)).length < 2
    );
    expect(isDone).toBe(false);
    await holder.end();
    expect(await waiting).toEqual(ALL);
  });

  it('changes nothing in a database that has tables of those names already', async () => {
    const { url } = await emptyDatabase();
    await query(url, 'create table legs (species text)');
    await expect(migrate(url, silentLogger)).rejects.toMatchObject({
      code: 'MIGRATION_FAILED',
      message: expect.stringContaining('a database of its own') as string,
    });
    expect(await query(url, `select to_regclass('calls') as calls`)).toEqual([{ calls: null }]);
  });

  const elsewhere = (change: (url: URL) => void): string => {
    const url = new URL(inject('postgresUrl'));
    change(url);
    return url.href;
  };

  it.each([
    ['no such database', () => elsewhere((url) => (url.pathname = '/nowhere')), 'no database of that name'],
    ['a wrong password', () => elsewhere((url) => (url.password = 'wrong')), 'refuses the password'],
    ['nobody at the port', () => elsewhere((url) => (url.port = '1')), 'nothing listens there'],
  ])('says what is wrong with the address: %s', async (_, url, reason) => {
    const failure = await migrate(url(), silentLogger).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'DATABASE_UNREACHABLE' });
    const { message } = failure as Error;
    expect(message).toContain(reason);
    expect(message).toContain('DATABASE_URL');
    expect(message).not.toContain(new URL(url()).password);
  });

  it('says so when something else than Postgres answers', async () => {
    const server = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    try {
      await expect(migrate(`postgres://a:b@127.0.0.1:${port}/c`, silentLogger)).rejects.toMatchObject({
        code: 'DATABASE_UNREACHABLE',
      });
    } finally {
      server.close();
    }
  });
});
