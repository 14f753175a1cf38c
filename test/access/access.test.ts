import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { createApiToken } from '../../src/access/api-tokens.ts';
import { parseEnvironmentToken } from '../../src/access/environment-tokens.ts';
import { isFromThisMachine } from '../../src/access/loopback.ts';
import { type Principal, SCOPES } from '../../src/access/principal.ts';
import { issueTicket, redeemTicket } from '../../src/access/tickets.ts';
import { startTestApi, TEST_TOKEN, type TestApi } from '../support/api.ts';

const apis: TestApi[] = [];
afterEach(async () => {
  for (const api of apis.splice(0)) await api[Symbol.asyncDispose]();
});

async function start(env?: Readonly<Record<string, string>>): Promise<TestApi> {
  const api = await startTestApi(env);
  apis.push(api);
  return api;
}

const statusOf = async (api: TestApi, token?: string): Promise<number> =>
  (await api.fetch('/v1/calls', token === undefined ? {} : { token })).status;

/** Node's own client, since fetch lets nobody set Host and Origin. */
function statusWith(api: TestApi, headers: Readonly<Record<string, string>>): Promise<number> {
  return new Promise((resolve, reject) => {
    request(new URL('/v1/calls', api.url), { headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}

describe('without any token', () => {
  it('a program on this machine is served, a proxy and the page of another site are not', async () => {
    const api = await start({});
    const { host } = new URL(api.url);
    expect(await statusOf(api)).toBe(200);
    for (const headers of [
      { 'x-forwarded-for': '10.0.0.1' },
      { forwarded: 'for=10.0.0.1' },
      { via: '1.1 proxy' },
      { host: 'rebound.example.com' },
      { host, origin: 'https://evil.example.com' },
      { host, origin: 'null' },
    ]) {
      expect([headers, await statusWith(api, headers)]).toEqual([headers, 403]);
    }
    expect(await statusWith(api, { host: 'localhost', origin: 'http://localhost:5173' })).toBe(200);
  });

  it.each([
    ['127.0.0.1', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['10.0.0.1', false],
    ['', false],
  ])('the peer %s counts as this machine: %s', (peerAddress, expected) => {
    const origin = { peerAddress, isForwarded: false, host: '127.0.0.1:8080', origin: undefined };
    expect(isFromThisMachine(origin)).toBe(expected);
  });

  it('this machine is served no longer once there is one, also when it is revoked', async () => {
    const first = await start({});
    await createApiToken(first.pool, tokenNamed('crm'));
    await first.pool.query('update api_tokens set revoked_at = now()');
    expect(await statusOf(first)).toBe(401);
  });
});

const tokenNamed = (name: string): Parameters<typeof createApiToken>[1] => ({
  name,
  tenant: undefined,
  scopes: ['read'],
  requestsPerMinute: undefined,
  expiresAt: undefined,
});

describe('a token of API_TOKENS', () => {
  it.each([
    ['crm:s3cret', SCOPES],
    ['crm:s3cret:read', ['read']],
    ['crm:s3cret:read+live+read', ['read', 'live']],
  ])('%s may %j', (text, scopes) => {
    expect(parseEnvironmentToken(text)).toMatchObject({ name: 'crm', scopes });
    expect(JSON.stringify(parseEnvironmentToken(text))).not.toContain('s3cret');
  });

  it.each([
    'crm',
    'crm:',
    ':s3cret',
    'crm:s3cret:',
    'crm:s3cret:fly',
    'crm:s3cret:read+',
    'c m:x',
    'a:b:read:c',
  ])('%s is none', (text) => {
    expect(parseEnvironmentToken(text)).toBeUndefined();
  });

  it('cannot be guessed at any speed: an address with too many wrong ones has to wait, others need not', async () => {
    const api = await start();
    const { token } = await createApiToken(api.pool, tokenNamed('crm'));
    const statuses = [];
    for (let guess = 0; guess < 70; guess += 1) statuses.push(await statusOf(api, `guess-${guess}`));
    expect(statuses.slice(0, 60)).toEqual(Array.from({ length: 60 }, () => 401));
    expect(statuses.slice(60)).toEqual(Array.from({ length: 10 }, () => 429));
    expect(await statusOf(api, TEST_TOKEN)).toBe(429);
    // What has 256 random bits is no guess.
    expect(await statusOf(api, token)).toBe(200);
  });
});

describe('a stored token', () => {
  it('is in the database as a digest only', async () => {
    const api = await start();
    const { id, token } = await createApiToken(api.pool, tokenNamed('crm'));
    const { rows } = await api.pool.query('select * from api_tokens');
    expect(rows).toMatchObject([{ id, name: 'crm' }]);
    expect(JSON.stringify(rows)).not.toContain(token.split('_').slice(2).join('_'));
  });

  it('may send as many requests a minute as its own limit says, and is told when to come back', async () => {
    const api = await start();
    const { token } = await createApiToken(api.pool, { ...tokenNamed('crm'), requestsPerMinute: 3 });
    const other = await createApiToken(api.pool, tokenNamed('other'));
    for (const status of [200, 200, 200, 429]) expect(await statusOf(api, token)).toBe(status);
    const refused = await api.fetch('/v1/calls', { token });
    expect(await refused.json()).toMatchObject({ status: 429, code: 'TOO_MANY_REQUESTS' });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await statusOf(api, other.token)).toBe(200);
  });
});

describe('a header Authorization', () => {
  it('of another form is refused', async () => {
    const api = await start();
    for (const header of [
      'Basic Y3JtOnMz',
      'Bearer',
      'Bearer a b',
      `Bearer ${'x'.repeat(9_000)}`,
      TEST_TOKEN,
    ]) {
      const response = await api.fetch('/v1/calls', { headers: { authorization: header } });
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Bearer realm="callscribe"');
    }
  });
});

describe('a ticket', () => {
  it('stands for its principal once, and not after its time', async () => {
    const { pool } = await start();
    const principal: Principal = {
      kind: 'token',
      tokenId: 'x',
      name: 'crm',
      tenant: 'a',
      scopes: ['live'],
      requestsPerMinute: undefined,
    };
    const { ticket, expiresAt } = await issueTicket(pool, principal);
    expect(expiresAt.getTime()).toBeGreaterThan(Date.now());
    expect(await Promise.all([redeemTicket(pool, ticket), redeemTicket(pool, ticket)])).toEqual(
      expect.arrayContaining([principal, undefined]),
    );
    const late = await issueTicket(pool, principal);
    await pool.query('update api_tickets set expires_at = now()');
    expect(await redeemTicket(pool, late.ticket)).toBeUndefined();
    expect(await redeemTicket(pool, 'guess')).toBeUndefined();
  });
});

describe('pages of other origins', () => {
  const preflight = (api: TestApi, origin: string): Promise<Response> =>
    api.fetch('/v1/calls', {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'authorization',
      },
    });

  it('are told nothing until they are configured', async () => {
    const response = await preflight(await start(), 'https://crm.example.com');
    expect(response.status).toBe(405);
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('that are configured may ask, with a token, and others may not', async () => {
    const api = await start({
      API_TOKENS: `test:${TEST_TOKEN}`,
      API_CORS_ORIGINS: 'https://crm.example.com,https://qa.example.com',
    });
    const allowed = await preflight(api, 'https://crm.example.com');
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://crm.example.com');
    expect(allowed.headers.get('access-control-allow-credentials')).toBeNull();
    const other = await preflight(api, 'https://evil.example.com');
    expect(other.headers.get('access-control-allow-origin')).toBeNull();
  });
});

describe('a JWT of the configured issuer', () => {
  let issuer: Server;
  let issuerUrl: string;
  let keys: Awaited<ReturnType<typeof generateKeyPair>>;
  let api: TestApi;

  beforeAll(async () => {
    keys = await generateKeyPair('RS256');
    const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'one', alg: 'RS256', use: 'sig' };
    issuer = createServer((asked, response) => {
      response.setHeader('content-type', 'application/json');
      const found =
        asked.url === '/jwks' ? { keys: [jwk] } : { issuer: issuerUrl, jwks_uri: `${issuerUrl}/jwks` };
      response.end(JSON.stringify(found));
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => issuer.once('listening', resolve));
    issuerUrl = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}`;
    api = await startTestApi({ OIDC_ISSUER: issuerUrl, OIDC_AUDIENCE: 'callscribe' });
  });

  afterAll(async () => {
    await api[Symbol.asyncDispose]();
    issuer.close();
  });

  const GOOD = { sub: 'user-1', aud: 'callscribe', tenant: 'a', scope: 'openid callscribe:read' };

  const sign = (claims: JWTPayload, key = keys.privateKey, expires = '5m'): Promise<string> =>
    new SignJWT({ iss: issuerUrl, ...claims })
      .setProtectedHeader({ alg: 'RS256', kid: 'one' })
      .setExpirationTime(expires)
      .sign(key);

  it('is served with the scopes and the tenant that it names', async () => {
    expect(await statusOf(api, await sign(GOOD))).toBe(200);
    const { scope: _, ...claims } = GOOD;
    expect(await statusOf(api, await sign({ ...claims, scp: ['callscribe:read'] }))).toBe(200);
    // A scope of another service of the same issuer is none of ours.
    expect(await statusOf(api, await sign({ ...GOOD, scope: 'read' }))).toBe(403);
    expect(await statusOf(api, await sign({ ...GOOD, scope: 'callscribe:audio' }))).toBe(403);
  });

  it('is refused when it is for somebody else, of somebody else, too old, of no tenant or not signed', async () => {
    const strange = await generateKeyPair('RS256');
    const { tenant: _, ...noTenant } = GOOD;
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(
      JSON.stringify({ ...GOOD, iss: issuerUrl, exp: 4_000_000_000 }),
    ).toString('base64url')}.x`;
    for (const token of [
      await sign({ ...GOOD, aud: 'other' }),
      await sign({ ...GOOD, iss: 'https://other.example.com' }),
      await sign(GOOD, strange.privateKey),
      await sign(GOOD, keys.privateKey, '-2m'),
      await sign(noTenant),
      unsigned,
    ]) {
      expect(await statusOf(api, token)).toBe(401);
    }
    expect(await statusOf(api)).toBe(401);
  });

  it('cannot be judged while the issuer is away: the client may ask again', async () => {
    const away = await start({ OIDC_ISSUER: 'http://127.0.0.1:9', OIDC_AUDIENCE: 'callscribe' });
    const response = await away.fetch('/v1/calls', { token: await sign(GOOD) });
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).not.toBeNull();
  });
});
