import { afterEach, describe, expect, it } from 'vitest';

import { createApiToken } from '../../src/access/api-tokens.ts';
import type { Principal } from '../../src/access/principal.ts';
import { stillHold } from '../../src/access/still-hold.ts';
import type { CallId } from '../../src/ids.ts';
import { revokeApiToken } from '../../src/store/api-tokens.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { startTestApi, TEST_TOKEN, type TestApi } from '../support/api.ts';
import { aCall } from '../support/facts.ts';
import { CurlClient, EventSourceClient, WebSocketClient } from '../support/live-clients.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startApi(env: Readonly<Record<string, string>>): Promise<TestApi> {
  const tokens = [`test:${TEST_TOKEN}`, 'viewer:may-follow-live-only:live'];
  const api = await startTestApi({ API_TOKENS: tokens.join(','), ...env });
  closers.push(async () => api[Symbol.asyncDispose]());
  return api;
}

async function aToken(
  api: TestApi,
  tenant?: string,
): Promise<{ readonly id: string; readonly token: string }> {
  return createApiToken(api.pool, {
    name: 'some',
    tenant,
    scopes: ['live'],
    requestsPerMinute: undefined,
    expiresAt: undefined,
  });
}

async function ticketOf(api: TestApi, token: string): Promise<string> {
  const response = await api.fetch('/v1/live/tickets', { method: 'POST', token });
  return ((await response.json()) as { ticket: string }).ticket;
}

describe('live streams', () => {
  it('are bounded for each credential and for all, and a place is free when its stream is gone', async () => {
    const api = await startApi({ API_STREAMS_PER_TOKEN: '2', API_STREAMS: '3' });
    const open = (token: string): Promise<Response> => api.fetch('/v1/live', { token });
    const first = await open(TEST_TOKEN);
    expect([first.status, (await open(TEST_TOKEN)).status]).toEqual([200, 200]);
    const refused = await open(TEST_TOKEN);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '2']);
    expect(await refused.json()).toMatchObject({ code: 'TOO_MANY_STREAMS' });
    const upgraded = await fetch(`${api.url}/v1/live?ticket=${await ticketOf(api, TEST_TOKEN)}`);
    expect(upgraded.status).toBe(429);

    expect((await open('may-follow-live-only')).status).toBe(200);
    expect((await open('may-follow-live-only')).status).toBe(429);
    await first.body?.cancel();
    while ((await open('may-follow-live-only')).status !== 200) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const refusals = await api.metrics.apiRefusals.get();
    const count = refusals.values.find(({ labels }) => labels.reason === 'TOO_MANY_STREAMS')?.value;
    expect(count).toBeGreaterThanOrEqual(3);
    expect(await api.metrics.registry.metrics()).toMatch(/^callscribe_live_streams_open 3$/m);
  });

  it('are ended when their token is revoked, also those that a ticket of it opened; others go on', async () => {
    const api = await startApi({ API_STREAM_CHECK_SECONDS: '1' });
    const { id, token } = await aToken(api);
    const other = new CurlClient(`${api.url}/v1/live`, 'may-follow-live-only');
    const byToken = new CurlClient(`${api.url}/v1/live`, token);
    const source = new EventSourceClient(`${api.url}/v1/live?ticket=${await ticketOf(api, token)}`);
    const socket = new WebSocketClient(`${api.url}/v1/live?ticket=${await ticketOf(api, token)}`);
    const clients = [other, byToken, source, socket];
    for (const client of clients) closers.push(() => client.close());
    for (const client of clients) await client.until(() => client.of('hello').length > 0);

    expect(await revokeApiToken(api.pool, id)).toBe(true);
    for (const client of [byToken, source]) {
      await client.until(() => client.of('end').length > 0);
      expect(client.of('end')).toEqual([{ reason: 'revoked' }]);
    }
    while ((await revokedStreams(api)) < 3) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(other.of('end')).toEqual([]);
    expect(await api.metrics.registry.metrics()).toMatch(/^callscribe_live_subscribers 1$/m);
  });

  it('are opened for as long as an issuer said, and without a token until there is one', async () => {
    const api = await startApi({});
    const principal = (fields: Partial<Principal>): Principal => ({
      kind: 'oidc',
      tokenId: 'oidc:somebody',
      name: 'somebody',
      tenant: undefined,
      scopes: ['live'],
      requestsPerMinute: undefined,
      ...fields,
    });
    const now = new Date('2026-11-23T12:00:00Z');
    const expired = principal({ expiresAt: now });
    const lasting = principal({ expiresAt: new Date(now.getTime() + 1) });
    const loopback = principal({ kind: 'loopback', tokenId: 'loopback' });
    const all = [expired, lasting, loopback];
    expect(await stillHold(api.pool, all, now)).toEqual(new Set([lasting, loopback]));
    await aToken(api);
    expect(await stillHold(api.pool, all, now)).toEqual(new Set([lasting]));
  });
});

const revokedStreams = async (api: TestApi): Promise<number> => {
  const { values } = await api.metrics.liveStreams.get();
  return values.find(({ labels }) => labels.outcome === 'revoked')?.value ?? 0;
};

describe('positions that a client hands in', () => {
  const withMessage = (api: TestApi, ticket: string, message: string): WebSocketClient => {
    const client = new (class extends WebSocketClient {
      protected override firstMessage(): string {
        return message;
      }
    })(`${api.url}/v1/live?resume=positions&ticket=${ticket}`);
    closers.push(() => client.close());
    return client;
  };

  it('bring nothing of a call of another tenant', async () => {
    const api = await startApi({});
    const theirs = aCall();
    const own = { ...aCall(), tenant: 'other' };
    for (const call of [theirs, own]) await saveCall(api.pool, call);
    const { token } = await aToken(api, 'other');
    const positions: Record<CallId, string> = { [theirs.id]: '0', [own.id]: '0' };
    const client = withMessage(api, await ticketOf(api, token), JSON.stringify({ positions }));
    await client.until(() => client.of('call').length > 0);
    expect(client.of('call').map(({ call_id }) => call_id)).toEqual([own.id]);
    const { rows } = await api.pool.query('select call_id from access_log');
    expect(rows).toEqual([{ call_id: own.id }]);
  });

  it.each([
    ['that are no JSON', 'positions'],
    ['that are not there', '{}'],
    ['of something that is no call', '{"positions":{"12":"0"}}'],
    ['that no stream has', '{"positions":{"01900000-0000-7000-8000-000000000000":"somewhere"}}'],
    ['since a time that is none', '{"positions":{},"since":"yesterday"}'],
    [
      'of too many calls',
      JSON.stringify({
        positions: Object.fromEntries(
          Array.from({ length: 2_001 }, (_, no) => [
            `01900000-0000-7000-8000-${String(no).padStart(12, '0')}`,
            '0',
          ]),
        ),
      }),
    ],
  ])('are refused, %s', async (_what, message) => {
    const api = await startApi({});
    const client = withMessage(api, await ticketOf(api, TEST_TOKEN), message);
    await client.until(() => client.closeReason !== undefined);
    expect([client.closeReason, client.received]).toEqual(['positions_invalid', []]);
  });

  it('are for a WebSocket over many calls', async () => {
    const api = await startApi({});
    expect((await api.fetch('/v1/live?resume=positions', { token: TEST_TOKEN })).status).toBe(400);
  });
});
