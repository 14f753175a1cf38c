import { execFile } from 'node:child_process';
import process from 'node:process';
import { promisify } from 'node:util';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { silentLogger as logger } from '../../src/log.ts';
import { createPool, type Pool } from '../../src/store/pool.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { aCall } from '../support/facts.ts';
import { WebhookReceiver } from '../support/webhook-receiver.ts';

const run = promisify(execFile);
let database: TestDatabase;
let pool: Pool;
let receiver: WebhookReceiver;

beforeEach(async () => {
  database = await createDatabase();
  pool = createPool({ databaseUrl: database.url, logger });
  receiver = await WebhookReceiver.start();
});

afterEach(async () => {
  await receiver[Symbol.asyncDispose]();
  await pool.end();
  await database.drop();
});

async function webhooks(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly out: string; readonly code: number }> {
  try {
    const { stdout } = await run('node', ['--import', 'tsx', 'workers/webhooks-command.ts', ...args], {
      env: { ...process.env, DATABASE_URL: database.url, ...env },
    });
    return { out: stdout, code: 0 };
  } catch (failure) {
    const { stdout, stderr, code } = failure as { stdout: string; stderr: string; code: number };
    return { out: stdout + stderr, code };
  }
}

it('adds an endpoint, tries it, shows and replays what is dead', { timeout: 120_000 }, async () => {
  const added = await webhooks(['add', '--url', receiver.url, '--events', 'call.started', '--name', 'new']);
  const [, id = '', secret = ''] = /^endpoint (\S+)\nsecret {3}(\S+)$/m.exec(added.out) ?? [];
  expect(await webhooks(['test', id])).toEqual({ out: 'not delivered: address not allowed\n', code: 1 });
  const allowed = await webhooks(['test', id], { WEBHOOK_ALLOW: '127.0.0.1' });
  expect(allowed).toEqual({ out: 'delivered: status 204\n', code: 0 });
  const [webhook] = receiver.received;
  WebhookReceiver.verify(secret, webhook!);
  expect(webhook?.body).toMatchObject({ type: 'webhook.test', data: { endpoint_id: id } });

  expect((await webhooks(['name', id, 'crm'])).code).toBe(0);
  const twice = await webhooks(['add', '--url', receiver.url, '--name', 'crm']);
  expect([twice.code, twice.out]).toEqual([1, expect.stringContaining('has this name')]);

  const call = aCall({ metadata: { route: { webhooks: ['crm', 'crm-old'] } } });
  await saveCall(pool, call);
  expect((await webhooks(['disable', id])).code).toBe(0);
  expect((await webhooks(['dead'])).out).toContain(call.id);
  const refused = await webhooks(['replay', id, 'all']);
  expect([refused.code, refused.out]).toEqual([2, expect.stringContaining('enable it first')]);
  await webhooks(['enable', id]);
  expect((await webhooks(['replay', id, 'all'])).out).toContain('1 tried again');

  const listed = await webhooks(['list']);
  expect(listed.out).toContain('1 endpoint\nno endpoint of default is named crm-old, and a rule');
  expect(listed.out).not.toContain('named crm,');
  expect(listed.out).toMatch(/ default .* crm .*127\.0\.0\.1/);
  expect(listed.out).not.toContain(secret);
});

it('says what is wrong with its options', { timeout: 60_000 }, async () => {
  for (const args of [
    ['add', '--url', 'ftp://crm.example/'],
    ['add', '--url', 'https://a:b@crm.example/'],
    ['add', '--url', receiver.url, '--events', 'call.ended'],
    ['add', '--url', receiver.url, '--name', 'CRM'],
    ['remove', '7'],
  ]) {
    const { code, out } = await webhooks(args);
    expect([code, out]).toEqual([2, expect.stringMatching(/expected|allowed/)]);
  }
});
