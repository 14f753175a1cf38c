import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';

import { RestClient, type RestClientOptions, type RestRequest } from '../../src/dashscope/rest-client.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}
type Answer = (response: ServerResponse, no: number) => void;

/** A server that keeps what it is sent and answers as it is told. */
async function serve(answer: Answer): Promise<{ baseUrl: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method, url, headers } = request;
      seen.push({ method, url, headers, body: Buffer.concat(chunks).toString('utf8') });
      answer(response, seen.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1`, seen };
}

const json =
  (status: number, body: unknown): Answer =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };

const refusal = (status: number, code: string): Answer =>
  json(status, { code, message: 'said sk-secret', request_id: 'r-1' });

function call(
  baseUrl: string,
  options: Partial<RestClientOptions> = {},
  request: Partial<RestRequest<{ ok: boolean }>> = {},
): Promise<unknown> {
  const client = new RestClient({ baseUrl, apiKey: 'sk-1', retryDelayMs: 1, ...options });
  return client.request({
    method: 'GET',
    path: '/thing',
    answer: z.object({ ok: z.boolean() }),
    repeat: 'safe',
    ...request,
  });
}

describe('a request on the wire', () => {
  it('has the key, the workspace and a JSON body, and nothing that was not asked for', async () => {
    const { baseUrl, seen } = await serve(json(200, { ok: true, request_id: 'r-1' }));
    const answer = await call(
      `${baseUrl}/`,
      { workspace: 'ws-1' },
      { method: 'POST', path: '/a/b', query: { n: 3, q: 'x y' }, body: { text: '热词', gone: undefined } },
    );
    expect(answer).toMatchObject({ value: { ok: true }, requestId: 'r-1', attempts: 1 });
    expect(seen[0]).toMatchObject({
      method: 'POST',
      url: '/api/v1/a/b?n=3&q=x+y',
      headers: {
        authorization: 'Bearer sk-1',
        'content-type': 'application/json',
        'x-dashscope-workspace': 'ws-1',
      },
      body: '{"text":"热词"}',
    });
  });

  it('asks a provider of keys for each attempt', async () => {
    const { baseUrl, seen } = await serve((response, no) => {
      (no === 1 ? refusal(429, 'Throttling.RateQuota') : json(200, { ok: true }))(response, no);
    });
    let asked = 0;
    await call(baseUrl, { apiKey: () => Promise.resolve(`sk-${(asked += 1)}`) });
    expect(seen.map(({ headers }) => headers.authorization)).toEqual(['Bearer sk-1', 'Bearer sk-2']);
  });

  it('takes only addresses of http', () => {
    expect(() => new RestClient({ baseUrl: 'ws://x', apiKey: 'k' })).toThrow(
      expect.objectContaining({ code: 'ASR_USAGE' }),
    );
  });
});

describe('a request that is refused', () => {
  it.each<[number, string, boolean]>([
    [400, 'InvalidParameter', false],
    [401, 'InvalidApiKey', false],
    [403, 'AccessDenied', false],
    [404, 'ModelNotFound', false],
    [429, 'Throttling.RateQuota', true],
    [429, 'PrepaidBillOverdue', false],
    [500, 'InternalError', true],
    [503, 'ModelUnavailable', true],
    [400, 'no code at all!', false],
    [503, 'no code at all!', true],
  ])('with %i %s is retryable: %s', async (status, code, retryable) => {
    const { baseUrl, seen } = await serve(refusal(status, code));
    const refused = call(baseUrl);
    await expect(refused).rejects.toMatchObject({
      name: 'DashScopeRequestRefused',
      code: 'ASR_REQUEST_REFUSED',
      kind: 'handshake',
      httpStatus: status,
      requestId: 'r-1',
      retryable,
    });
    // What it says may quote what it was sent.
    await expect(refused).rejects.not.toThrow(/secret/);
    expect(seen).toHaveLength(retryable ? 3 : 1);
  });

  it('may have no body that can be read', async () => {
    const { baseUrl } = await serve((response) => {
      response.writeHead(502);
      response.end('<html>');
    });
    await expect(call(baseUrl)).rejects.toMatchObject({ httpStatus: 502, retryable: true });
  });

  it.each([
    [429, 2],
    [500, 1],
  ])('with %i, where it must not be done twice, is sent %i times', async (status, times) => {
    const { baseUrl, seen } = await serve((response, no) => {
      const code = status === 429 ? 'Throttling.RateQuota' : 'InternalError';
      (no === 1 ? refusal(status, code) : json(200, { ok: true }))(response, no);
    });
    await call(baseUrl, {}, { repeat: 'once' }).catch(() => undefined);
    expect(seen).toHaveLength(times);
  });

  it('is not led to another address, which would get the key', async () => {
    const { baseUrl, seen } = await serve((response) => {
      response.writeHead(307, { location: '/elsewhere' });
      response.end();
    });
    await expect(call(baseUrl)).rejects.toMatchObject({ httpStatus: 307, retryable: false });
    expect(seen).toHaveLength(1);
  });
});

describe('a request without an answer', () => {
  it('ends with its time, at any point of the answer', async () => {
    const silent = await serve(() => undefined);
    const halfway = await serve((response) => {
      response.writeHead(200);
      response.write('{"ok"');
    });
    for (const { baseUrl, seen } of [silent, halfway]) {
      await expect(call(baseUrl, { timeoutMs: 40, maxAttempts: 2 })).rejects.toMatchObject({
        code: 'ASR_TIMEOUT',
        kind: 'timeout',
        retryable: true,
      });
      expect(seen).toHaveLength(2);
    }
  });

  it('ends with its time while the provider of the key hangs', async () => {
    const { baseUrl, seen } = await serve(json(200, { ok: true }));
    const apiKey = (): Promise<string> => new Promise(() => undefined);
    await expect(call(baseUrl, { apiKey, timeoutMs: 20, maxAttempts: 1 })).rejects.toMatchObject({
      code: 'ASR_TIMEOUT',
    });
    expect(seen).toEqual([]);
  });

  it('says which host cannot be reached', async () => {
    const { baseUrl } = await serve(() => undefined);
    closers.pop()?.();
    await expect(call(baseUrl)).rejects.toMatchObject({
      code: 'ASR_UNREACHABLE',
      kind: 'network',
      retryable: true,
      message: expect.stringContaining('127.0.0.1'),
    });
  });

  it('is tried again after a cut connection', async () => {
    const { baseUrl } = await serve((response, no) => {
      if (no === 1) response.destroy();
      else json(200, { ok: true })(response, no);
    });
    await expect(call(baseUrl)).resolves.toMatchObject({ attempts: 2 });
  });

  it('ends at once with its signal, also between two attempts', async () => {
    const { baseUrl, seen } = await serve(refusal(503, 'ServiceUnavailable'));
    const during = new AbortController();
    const between = call(baseUrl, { retryDelayMs: 60_000, random: () => 0.99 }, { signal: during.signal });
    const stopped = expect(between).rejects.toMatchObject({ code: 'ASR_ABORTED', kind: 'aborted' });
    while (seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
    during.abort();
    await stopped;
    await expect(call(baseUrl, {}, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ASR_ABORTED',
    });
    expect(seen).toHaveLength(1);
  });
});

describe('an answer that is none', () => {
  it.each<[string, Answer]>([
    ['no JSON', (response) => response.end('<html>')],
    ['another form', json(200, { ok: 'yes' })],
    ['longer than the bound', (response) => response.end(' '.repeat(2_000))],
  ])('is a broken protocol: %s', async (_case, answer) => {
    const { baseUrl, seen } = await serve(answer);
    await expect(call(baseUrl, { maxBodyBytes: 1_000 })).rejects.toMatchObject({
      code: 'ASR_PROTOCOL',
      kind: 'protocol',
    });
    expect(seen).toHaveLength(1);
  });
});
