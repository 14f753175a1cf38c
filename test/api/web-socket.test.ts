import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createApiToken } from '../../src/access/api-tokens.ts';
import { type Scope, SCOPES } from '../../src/access/principal.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { startTestApi, type TestApi } from '../support/api.ts';
import { aCall } from '../support/facts.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi({ API_TOKENS: 'test:not-asked-with' });
});
afterAll(() => api[Symbol.asyncDispose]());

async function tokenOf(scopes: readonly Scope[], tenant?: string): Promise<string> {
  const made = { name: 'socket', tenant, scopes, requestsPerMinute: undefined, expiresAt: undefined };
  return (await createApiToken(api.pool, made)).token;
}

const HANDSHAKE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

/** Opens a connection that its client never ends, and asks on it. */
async function ask(
  requestLine: string,
  { token, headers, body = '' }: { token?: string | undefined; headers: readonly string[]; body?: string },
  at = api,
): Promise<Socket> {
  const socket = connect({ port: Number(new URL(at.url).port), host: '127.0.0.1', allowHalfOpen: true });
  const lines = [`${requestLine} HTTP/1.1`, `Host: ${new URL(at.url).host}`, ...headers];
  if (token !== undefined) lines.push(`Authorization: Bearer ${token}`);
  socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`);
  await once(socket, 'readable');
  return socket;
}

const statusOf = (answer: Buffer): number =>
  Number(/^HTTP\/1\.1 (\d{3})/.exec(answer.toString('latin1'))?.[1]);

/** @returns the status and the problem's code, once the service has ended the connection */
async function refusal(
  path: string,
  token: string | undefined,
  headers = HANDSHAKE,
): Promise<readonly [number, string?]> {
  const socket = await ask(`GET ${path}`, { token, headers });
  const pieces: Buffer[] = [];
  for await (const piece of socket) pieces.push(piece as Buffer);
  socket.destroy();
  const answer = Buffer.concat(pieces);
  const code = /"code":"(\w+)"/.exec(answer.toString())?.[1];
  return code === undefined ? [statusOf(answer)] : [statusOf(answer), code];
}

/** @returns the status of an answer that leaves the connection open */
async function opening(path: string, token: string): Promise<number> {
  const socket = await ask(`GET ${path}`, { token, headers: HANDSHAKE });
  const status = statusOf(socket.read() as Buffer);
  socket.destroy();
  return status;
}

describe('a WebSocket', () => {
  it('opens for the scope live alone; whoever else asks is told why, and the connection ends', async () => {
    expect(await refusal('/v1/live', undefined)).toEqual([401, 'UNAUTHENTICATED']);
    expect(await refusal('/v1/live', 'guess')).toEqual([401, 'UNAUTHENTICATED']);
    expect(await refusal('/v1/live?ticket=guess', undefined)).toEqual([401, 'UNAUTHENTICATED']);
    const others = SCOPES.filter((scope) => scope !== 'live');
    expect(await refusal('/v1/live', await tokenOf(others))).toEqual([403, 'SCOPE_MISSING']);
    expect(await opening('/v1/live', await tokenOf(['live']))).toBe(101);
  });

  it('shows a tenant its own calls, and none of another', async () => {
    const call = aCall({ tenant: 'a' });
    await saveCall(api.pool, call);
    const path = `/v1/live?call=${call.id}`;
    expect(await opening(path, await tokenOf(['live'], 'a'))).toBe(101);
    expect(await refusal(path, await tokenOf(['live'], 'b'))).toEqual([404, 'NOT_FOUND']);
  });

  it('is refused where none is spoken, by a bad filter and by half a handshake, and the connection ends', async () => {
    const token = await tokenOf(SCOPES);
    expect(await refusal('/v1/live?role=boss', token)).toEqual([400, 'REQUEST_INVALID']);
    expect(await refusal('/v1/live?call=01900000-0000-7000-8000-000000000000', token)).toEqual([
      404,
      'NOT_FOUND',
    ]);
    expect(await refusal('/nothing', token)).toEqual([404, 'NOT_FOUND']);
    expect(await refusal('/v1/live', token, HANDSHAKE.slice(0, 3))).toEqual([400]);
    expect(await refusal('/v1/calls', token)).toEqual([200]);
    expect(await refusal('/healthz', token)).toEqual([404, 'NOT_FOUND']);
  });

  it('whose client neither reads nor ends does not keep the service from ending', async () => {
    const other = await startTestApi({ API_TOKENS: 'test:of-the-other:live' });
    const sockets = [
      await ask('GET /v1/live', { token: 'of-the-other', headers: HANDSHAKE }, other),
      await ask('GET /v1/live', { token: 'guess', headers: HANDSHAKE }, other),
      await ask('GET /v1/live', { token: 'of-the-other', headers: [] }, other),
    ];
    await other[Symbol.asyncDispose]();
    for (const socket of sockets) socket.destroy();
  });
});

describe('another upgrade', () => {
  it('that a client offers is not taken, and its request is answered with its body', async () => {
    const body = JSON.stringify({ url: `https://crm.example.com/${'x'.repeat(1_000)}` });
    const headers = [
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: AAEAAEAAAAIAAAAB',
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
    ];
    const token = await tokenOf(['admin', 'read']);
    const socket = await ask('POST /v1/webhooks', { token, headers, body });
    expect(statusOf(socket.read() as Buffer)).toBe(201);
    // The connection goes on.
    socket.write(`GET /v1/calls HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
    await once(socket, 'readable');
    expect(statusOf(socket.read() as Buffer)).toBe(200);
    socket.destroy();
  });
});
