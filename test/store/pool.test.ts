import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { silentLogger } from '../../src/log.ts';
import type { Pool } from '../../src/store/pool.ts';
import { checkDatabase, createPool, toStoreError, withTransaction } from '../../src/store/pool.ts';
import type { TestDatabase } from '../support/database.ts';
import { createDatabase } from '../support/database.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await createDatabase('empty');
  pool = createPool({ databaseUrl: database.url, logger: silentLogger, max: 2 });
  await pool.query('create table facts (n integer primary key check (n > 0))');
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

async function failureOf(sql: string, values: unknown[] = []): Promise<unknown> {
  return pool.query(sql, values).catch(toStoreError);
}

describe('withTransaction', () => {
  it('fails, and nothing else does, where its session ends between two statements', async () => {
    const failing = withTransaction(pool, async (db) => {
      const { rows } = await db.query<{ pid: number }>('select pg_backend_pid() as pid');
      // Not `once` of node:events, which listens to errors, too.
      const ended = new Promise<void>((resolve) => {
        db.once('end', resolve);
      });
      await pool.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
      await ended;
      await db.query('select 1');
    });
    expect(await failing.catch(toStoreError)).toMatchObject({
      code: 'DATABASE_UNREACHABLE',
      retryable: true,
    });
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  it('keeps all or nothing, and gives the session back either way', async () => {
    await withTransaction(pool, (db) => db.query('insert into facts values (1)'));
    for (let turn = 0; turn < 3; turn += 1) {
      const failing = withTransaction(pool, async (db) => {
        await db.query('insert into facts values (2)');
        await db.query('insert into facts values (0)');
      });
      await expect(failing).rejects.toBeInstanceOf(pg.DatabaseError);
    }
    expect((await pool.query('select n from facts')).rows).toEqual([{ n: 1 }]);
    expect(pool.waitingCount).toBe(0);
  });
});

describe('a database error', () => {
  it.each([
    ['a constraint', 'insert into facts values (0)', 'DATABASE_REJECTED', false],
    ['a value that does not fit', `select '\\ud800'::jsonb`, 'DATABASE_REJECTED', false],
    ['a missing table', 'select from sentences', 'DATABASE_UNREACHABLE', true],
    ['a lost session', 'select pg_terminate_backend(pg_backend_pid())', 'DATABASE_UNREACHABLE', true],
    [
      'a statement that took too long',
      `set statement_timeout = 1; select pg_sleep(1)`,
      'DATABASE_REJECTED',
      true,
    ],
  ])('is classified: %s', async (_, sql, code, retryable) => {
    expect(await failureOf(sql)).toMatchObject({ code, retryable });
  });

  it('of losing against another transaction may be tried again', async () => {
    const one = await pool.connect();
    const two = await pool.connect();
    await one.query('begin isolation level serializable; select sum(n) from facts');
    await two.query('begin isolation level serializable; select sum(n) from facts');
    await one.query('insert into facts values (10); commit');
    const lost = await two.query('insert into facts values (11); commit').catch(toStoreError);
    await two.query('rollback');
    one.release();
    two.release();
    expect(lost).toMatchObject({ code: 'DATABASE_REJECTED', retryable: true });
  });

  it('of a connection that is cut or refused is an outage', async () => {
    const proxy = await TcpProxy.to(database.url);
    const cut = createPool({ databaseUrl: proxy.url(database.url), logger: silentLogger, max: 1 });
    await checkDatabase(cut);
    for (const how of ['drop', 'refuse'] as const) {
      await proxy.cut(how);
      expect(await cut.query('select 1').catch(toStoreError)).toMatchObject({
        code: 'DATABASE_UNREACHABLE',
        retryable: true,
      });
      await expect(checkDatabase(cut)).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE' });
      await proxy.mend();
      expect((await cut.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
    }
    await cut.end();
    await proxy.close();
  });
});
