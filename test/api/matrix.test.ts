import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createApiToken } from '../../src/access/api-tokens.ts';
import { type Scope, SCOPES } from '../../src/access/principal.ts';
import { revokeApiToken } from '../../src/store/api-tokens.ts';
import { startTestApi, type TestApi } from '../support/api.ts';
import { storeCompleteCall, storeRecording } from '../support/api-calls.ts';
import { loadDocument, type Operation, operationsOf } from '../support/openapi.ts';
import { type OperationRequest, OPERATIONS, type OperationWorld } from './operations.ts';

let api: TestApi;
let operations: readonly Operation[];

beforeAll(async () => {
  api = await startTestApi({});
  operations = operationsOf(await loadDocument(api));
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

interface Answer {
  readonly status: number;
  readonly code: string | undefined;
  readonly text: string;
}

async function tokenOf(scopes: readonly Scope[], tenant?: string, expiresAt?: Date): Promise<string> {
  const { token } = await createApiToken(api.pool, {
    name: 'matrix',
    tenant,
    scopes,
    requestsPerMinute: undefined,
    expiresAt,
  });
  return token;
}

/** A call of tenant `a` that no other check has changed. */
async function newWorld(): Promise<OperationWorld> {
  const call = await storeCompleteCall(api.pool, { tenant: 'a' });
  await storeRecording(api.recordingDir, call);
  return { api, call };
}

async function ask(operation: Operation, world: OperationWorld, token: string | undefined): Promise<Answer> {
  const asked = await OPERATIONS[operation.operationId]!.ask(world);
  const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => asked.path?.[name] ?? name);
  const url = new URL(`${path}?${new URLSearchParams(asked.query).toString()}`, api.url);
  const { headers, body } = bodyOf(asked);
  const ended = new AbortController();
  const response = await api.fetch(url.href, {
    method: operation.method,
    headers: { ...asked.headers, ...headers },
    ...(body === undefined ? {} : { body }),
    ...(token === undefined ? {} : { token }),
    signal: ended.signal,
  });
  // A stream has no end; what it begins with is what was asked for.
  const text = response.headers.get('content-type')?.startsWith('text/event-stream')
    ? await firstPieceOf(response)
    : await response.text();
  ended.abort();
  return { status: response.status, code: codeOf(text), text };
}

async function firstPieceOf({ body }: Response): Promise<string> {
  for await (const piece of body as unknown as AsyncIterable<Uint8Array>) {
    return Buffer.from(piece).toString();
  }
  return '';
}

function bodyOf({ body }: OperationRequest): {
  headers: Record<string, string>;
  body: string | FormData | undefined;
} {
  if (body === undefined || body instanceof FormData) return { headers: {}, body };
  return { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

function codeOf(text: string): string | undefined {
  if (!text.startsWith('{"type":"urn:callscribe:problem:')) return undefined;
  return (JSON.parse(text) as { code: string }).code;
}

describe('the OpenAPI document', () => {
  it('names one scope for each operation, and each has a row in operations.ts', () => {
    expect(operations.map(({ operationId }) => operationId).sort()).toEqual(Object.keys(OPERATIONS).sort());
    expect(operations.filter(({ scope }) => scope === undefined)).toEqual([]);
  });
});

describe('scope by route', () => {
  it('lets nobody in without a credential, or with one that holds no more', async () => {
    const revoked = await tokenOf(SCOPES);
    await revokeApiToken(api.pool, revoked.split('_')[1]!);
    const expired = await tokenOf(SCOPES, undefined, new Date(Date.now() - 1_000));
    const forged = `${(await tokenOf(SCOPES)).slice(0, -1)}-`;
    const world = await newWorld();
    const table = [];
    for (const operation of operations) {
      for (const token of [undefined, revoked, expired, forged, 'guess']) {
        const { status, code } = await ask(operation, world, token);
        table.push({ operation: operation.operationId, status, code });
      }
    }
    expect(table).toEqual(table.map((row) => ({ ...row, status: 401, code: 'UNAUTHENTICATED' })));
    expect(table).toHaveLength(operations.length * 5);
  });

  it('lets each scope do what it is for, and nothing else', async () => {
    const tokens = new Map<Scope, string>();
    for (const scope of SCOPES) tokens.set(scope, await tokenOf([scope]));
    const found = [];
    const expected = [];
    for (const operation of operations) {
      for (const scope of SCOPES) {
        const { status, code } = await ask(operation, await newWorld(), tokens.get(scope));
        const may = scope === operation.scope;
        const name = `${operation.operationId} with ${scope}`;
        found.push({ name, status, code });
        expected.push({
          name,
          status: may ? OPERATIONS[operation.operationId]!.status : 403,
          code: may ? undefined : 'SCOPE_MISSING',
        });
      }
    }
    expect(found).toEqual(expected);
  });
});

describe('tenant by route', () => {
  it('shows a tenant its own, and of another tenant nothing', async () => {
    const ofA = await tokenOf(SCOPES, 'a');
    const ofB = await tokenOf(SCOPES, 'b');
    const found = [];
    const expected = [];
    for (const operation of operations) {
      const { operationId } = operation;
      const { status, otherTenant } = OPERATIONS[operationId]!;
      const world = await newWorld();
      const theirs = await ask(operation, world, ofB);
      const leaks = theirs.text.includes(world.call.id) || theirs.text.includes(' says ');
      const own = await ask(operation, world, ofA);
      found.push({ operationId, own: own.status, theirs: theirs.code ?? theirs.status, leaks });
      expected.push({
        operationId,
        own: status,
        theirs: otherTenant === 'not-found' ? 'NOT_FOUND' : status,
        leaks: false,
      });
    }
    expect(found).toEqual(expected);
  });
});

describe('each kind of bad request', () => {
  it('is refused by every parameter, and says which', async () => {
    const token = await tokenOf(SCOPES);
    const world = await newWorld();
    const found = [];
    for (const { operationId, method, path, parameters } of operations) {
      const { path: good = {} } = await OPERATIONS[operationId]!.ask(world);
      for (const parameter of parameters.filter((one) => one.in !== 'header' && one.name !== 'ticket')) {
        const bad = 'x'.repeat(3_000);
        const values = parameter.in === 'path' ? { ...good, [parameter.name]: 'x'.repeat(90) } : good;
        const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? name);
        const query = parameter.in === 'query' ? `?${parameter.name}=${bad}` : '';
        const response = await api.fetch(`${filled}${query}`, { method, token });
        const { errors = [] } = (await response.json()) as { errors?: { where: string }[] };
        found.push({
          name: `${operationId} ${parameter.name}`,
          status: response.status,
          says: errors.some(({ where }) => where.endsWith(`/${parameter.name}`)),
        });
      }
    }
    expect(found).toEqual(found.map(({ name }) => ({ name, status: 400, says: true })));
    expect(found.length).toBeGreaterThan(operations.length);
  });

  it('is refused by every body: of no JSON, of another shape, of another type, too large', async () => {
    const token = await tokenOf(SCOPES);
    const world = await newWorld();
    const found = [];
    const taking = operations.filter(({ jsonBody }) => jsonBody !== undefined);
    for (const { operationId, method, path, statuses } of taking) {
      const { path: good = {} } = await OPERATIONS[operationId]!.ask(world);
      const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => good[name] ?? name);
      const json = 'application/json';
      for (const [type, body, status] of [
        [json, '{"half":', 400],
        [json, '[1]', 400],
        ['application/x-unknown', '{}', 415],
        [json, `"${'x'.repeat(3_000_000)}"`, 413],
      ] as const) {
        const response = await api.fetch(filled, { method, token, body, headers: { 'content-type': type } });
        await response.arrayBuffer();
        const isNamed = statuses.includes(String(response.status));
        found.push({ operationId, type, wanted: status, status: response.status, isNamed });
      }
    }
    expect(found).toEqual(found.map((row) => ({ ...row, status: row.wanted, isNamed: true })));
  });

  it('of an address that is not there is not found, and of a method that it does not take says which it does', async () => {
    const token = await tokenOf(SCOPES);
    const id = '01900000-0000-7000-8000-000000000000';
    for (const [method, path, status, code, allow] of [
      ['GET', '/v1/nothing', 404, 'NOT_FOUND', null],
      ['GET', '/nothing', 404, 'NOT_FOUND', null],
      ['PUT', '/v1/calls?limit=1', 405, 'METHOD_NOT_ALLOWED', 'GET, HEAD'],
      ['POST', `/v1/calls/${id}`, 405, 'METHOD_NOT_ALLOWED', 'DELETE, GET, HEAD'],
      ['GET', `/v1/calls/${id}/pause`, 405, 'METHOD_NOT_ALLOWED', 'POST'],
      ['OPTIONS', '/v1/live/tickets', 405, 'METHOD_NOT_ALLOWED', 'POST'],
    ] as const) {
      const response = await api.fetch(path, { method, token });
      expect([response.status, response.headers.get('allow')], path).toEqual([status, allow]);
      expect(await response.json()).toMatchObject({ code });
    }
    expect((await api.fetch('/v1/calls/%E0%A4%A', { token })).status).toBe(400);
  });
});
