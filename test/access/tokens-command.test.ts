import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ApiTokens } from '../../src/access/api-tokens.ts';
import { startTestApi, type TestApi } from '../support/api.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

async function tokens(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { ...process.env, DATABASE_URL: api.databaseUrl };
  try {
    const ended = await run('node_modules/.bin/tsx', ['workers/tokens.ts', ...args], { cwd: ROOT, env });
    return { code: 0, ...ended };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

describe('npm run tokens', () => {
  it('makes a token that is served, shows it, and revokes it', async () => {
    const made = await tokens('create', 'crm', '--scopes', 'read,live', '--tenant', 'a', '--days', '30');
    const token = made.stdout.trim();
    expect(token).toMatch(/^cs_[0-9a-f]{12}_[\w-]{43}$/);
    expect((await api.fetch('/v1/calls', { token })).status).toBe(200);

    const [, id = ''] = token.split('_');
    const listed = await tokens('list');
    expect(listed.stdout).toContain(id);
    expect(listed.stdout).toContain('read live');
    expect(listed.stdout + made.stderr).not.toContain(token);

    expect((await tokens('revoke', id)).code).toBe(0);
    expect(await tokens('revoke', id)).toMatchObject({ code: 1 });
    expect((await tokens('list')).stdout).toContain('revoked');
    // The process above may know it for 5 s more; whoever looks now does not find it.
    expect(await new ApiTokens(api.pool).find(token, 0)).toBeUndefined();
  }, 120_000);

  it('refuses a scope that there is none of, and a token without scopes', async () => {
    for (const args of [['--scopes', 'fly'], []]) {
      expect(await tokens('create', 'crm', ...args)).toMatchObject({ code: 2 });
    }
  }, 120_000);
});
