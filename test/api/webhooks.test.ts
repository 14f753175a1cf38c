import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { createApiToken } from '../../src/access/api-tokens.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { startTestApi, TEST_TOKEN, type TestApi } from '../support/api.ts';
import { aCall } from '../support/facts.ts';
import { WebhookReceiver } from '../support/webhook-receiver.ts';

let api: TestApi;
let receiver: WebhookReceiver;
let tokenOfA: string;
let tokenOfB: string;

beforeAll(async () => {
  api = await startTestApi({ API_TOKENS: `test:${TEST_TOKEN}`, WEBHOOK_ALLOW: '127.0.0.1' });
  tokenOfA = await adminOf('a');
  tokenOfB = await adminOf('b');
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

beforeEach(async () => {
  receiver = await WebhookReceiver.start();
});

afterEach(async () => {
  await receiver[Symbol.asyncDispose]();
});

async function adminOf(tenant: string): Promise<string> {
  const rest = { requestsPerMinute: undefined, expiresAt: undefined };
  return (await createApiToken(api.pool, { name: tenant, tenant, scopes: ['admin'], ...rest })).token;
}

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

async function ask(method: string, path: string, body?: unknown, token = tokenOfA): Promise<Answer> {
  const response = await api.fetch(`/v1/webhooks${path}`, {
    method,
    token,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Answer['body']) };
}

async function add(token = tokenOfA): Promise<{ readonly id: string; readonly secret: string }> {
  const { status, body } = await ask('POST', '', { url: receiver.url }, token);
  expect(status).toBe(201);
  return { id: String(body['id']), secret: String(body['secret']) };
}

describe('an endpoint', () => {
  it('is added, shown without its secret, tried, and removed', async () => {
    const { id, secret } = await add();
    const shown = await ask('GET', `/${id}`);
    expect(shown).toMatchObject({
      status: 200,
      body: { id, tenant: 'a', url: receiver.url, state: 'active' },
    });
    expect(JSON.stringify(shown)).not.toContain(secret);

    expect(await ask('POST', `/${id}/test`)).toEqual({
      status: 200,
      body: { outcome: 'delivered', detail: 'status 204' },
    });
    WebhookReceiver.verify(secret, receiver.received[0]!);
    const rotated = await ask('POST', `/${id}/secret`);
    await ask('POST', `/${id}/test`);
    for (const valid of [secret, String(rotated.body['secret'])]) {
      WebhookReceiver.verify(valid, receiver.received[1]!);
    }

    expect((await ask('DELETE', `/${id}`)).status).toBe(204);
    expect((await ask('GET', `/${id}`)).status).toBe(404);
    expect((await ask('DELETE', `/${id}`)).status).toBe(404);
  });

  it('has a name that no other of its tenant has', async () => {
    const url = receiver.url;
    const crm = await ask('POST', '', { url, name: 'crm' });
    expect(crm.status).toBe(201);
    expect(await ask('GET', `/${String(crm.body['id'])}`)).toMatchObject({ body: { name: 'crm' } });
    expect(await ask('POST', '', { url, name: 'crm' })).toMatchObject({
      status: 409,
      body: { code: 'WEBHOOK_NAME_TAKEN' },
    });
    expect((await ask('POST', '', { url, name: 'crm' }, tokenOfB)).status).toBe(201);
    const { id } = await add();
    expect(await ask('GET', `/${id}`)).toMatchObject({ body: { name: null } });
    expect(await ask('PATCH', `/${id}`, { name: 'crm' })).toMatchObject({ status: 409 });
    expect(await ask('PATCH', `/${id}`, { name: 'crm' }, tokenOfB)).toMatchObject({ status: 404 });
    expect(await ask('PATCH', `/${id}`, {})).toMatchObject({ status: 400 });
    for (const name of ['wfm', 'wfm', 'wfm-2']) {
      expect(await ask('PATCH', `/${id}`, { name })).toMatchObject({ body: { name, state: 'active' } });
    }
    await ask('DELETE', `/${String(crm.body['id'])}`);
    expect((await ask('POST', '', { url, name: 'crm' })).status).toBe(201);
  });

  it('shows page by page what is dead, which can be tried again', async () => {
    const { id } = await add();
    const calls = Array.from({ length: 3 }, () => aCall({ tenant: 'a' }));
    for (const call of calls) await saveCall(api.pool, call);
    expect(await ask('PATCH', `/${id}`, { state: 'disabled' })).toMatchObject({
      body: { state: 'disabled', disabled_reason: 'operator', dead: 3, waiting: 0 },
    });
    const seen: unknown[] = [];
    let cursor: unknown = '';
    do {
      const page = await ask('GET', `/${id}/dead?limit=2${cursor === '' ? '' : `&cursor=${String(cursor)}`}`);
      seen.push(...(page.body['messages'] as { call_id: string }[]).map(({ call_id: callId }) => callId));
      cursor = page.body['next_cursor'];
    } while (cursor !== null);
    expect(seen).toEqual(calls.map((call) => call.id));
    expect(await ask('POST', `/${id}/replay`, {})).toMatchObject({ status: 200, body: { replayed: 0 } });
    await ask('PATCH', `/${id}`, { state: 'active' });
    expect(await ask('POST', `/${id}/replay`, {})).toMatchObject({ status: 200, body: { replayed: 3 } });
    expect(await ask('GET', `/${id}`)).toMatchObject({ body: { dead: 0, waiting: 3 } });
  });

  it('does not exist for another tenant', async () => {
    const { id } = await add();
    for (const [method, path, body] of [
      ['GET', `/${id}`],
      ['PATCH', `/${id}`, { state: 'disabled' }],
      ['DELETE', `/${id}`],
      ['POST', `/${id}/test`],
      ['POST', `/${id}/secret`],
      ['GET', `/${id}/dead`],
      ['POST', `/${id}/replay`, {}],
    ] as const) {
      expect([method, path, (await ask(method, path, body, tokenOfB)).status]).toEqual([method, path, 404]);
    }
    const { body } = await ask('GET', '', undefined, tokenOfB);
    expect(JSON.stringify(body)).not.toContain(id);
    expect(await ask('GET', `/${id}`, undefined, TEST_TOKEN)).toMatchObject({ body: { state: 'active' } });
    expect(receiver.received).toEqual([]);
  });

  it.each([
    ['no address', {}],
    ['an address of another protocol', { url: 'ftp://crm.example/' }],
    ['an address with a password', { url: 'https://a:b@crm.example/' }],
    ['no URL', { url: 'crm' }],
    ['an unknown event', { url: 'https://crm.example/', event_types: ['call.ended'] }],
    ['no event', { url: 'https://crm.example/', event_types: [] }],
    ['a name in capitals', { url: 'https://crm.example/', name: 'CRM' }],
    ['the name none', { url: 'https://crm.example/', name: 'none' }],
    ['a long name', { url: 'https://crm.example/', name: 'a'.repeat(65) }],
    ['another tenant', { url: 'https://crm.example/', tenant: 'b' }],
  ])('is refused with %s', async (_, body) => {
    expect((await ask('POST', '', body)).status).toBe(400);
  });

  it('is one of twenty at most', async () => {
    const token = await adminOf('many');
    for (let count = 0; count < 20; count += 1) await add(token);
    expect(await ask('POST', '', { url: receiver.url }, token)).toMatchObject({
      status: 400,
      body: { code: 'WEBHOOK_INVALID' },
    });
  });
});
