import { afterEach, describe, expect, it } from 'vitest';

import { createApiToken } from '../../src/access/api-tokens.ts';
import { makeCodes } from '../support/captioned-audio.ts';
import { CurlClient } from '../support/live-clients.ts';
import { placeCalls } from '../support/place-calls.ts';
import { startTestService, type TestService } from '../support/service.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function tokenOf(test: TestService, tenant: string): Promise<string> {
  const made = await createApiToken(test.pool, {
    name: tenant,
    tenant,
    scopes: ['live'],
    requestsPerMinute: undefined,
    expiresAt: undefined,
  });
  return made.token;
}

async function follow(test: TestService, tenant: string): Promise<CurlClient> {
  const client = new CurlClient(`${test.service.httpUrl}/v1/live`, await tokenOf(test, tenant));
  closers.push(() => client.close());
  await client.until(() => client.of('hello').length > 0);
  return client;
}

async function placeCall(test: TestService): Promise<void> {
  const codes = makeCodes('PCMA', 2_500, [
    { beginMs: 300, endMs: 900, text: '您好' },
    { beginMs: 1_400, endMs: 2_000, text: '再见' },
  ]);
  const codesBase64 = Buffer.from(codes).toString('base64');
  const legs = ['1', '2'].map((label) => ({ codec: 'PCMA', codesBase64, label }) as const);
  await placeCalls({
    target: test.target('udp'),
    transport: 'udp',
    calls: [{ mode: 'siprec', seed: 1, legs }],
  });
}

describe.each(['redis', 'postgres'] as const)('a stream of all calls, with %s between', (queue) => {
  it(
    'brings a call that begins after it to a token of its tenant, and nothing to one of another',
    { timeout: 60_000 },
    async () => {
      const test = await startTestService({ queue, redisDb: 9 });
      closers.push(async () => test[Symbol.asyncDispose]());
      const own = await follow(test, 'default');
      const other = await follow(test, 'other');
      await placeCall(test);
      await own.complete();
      expect([...own.finals].sort()).toEqual(['0/1', '0/2', '1/1', '1/2']);
      expect(other.received.map(({ type }) => type)).toEqual(['hello']);
    },
  );
});
