import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';

import { createTemporaryToken } from '../../src/dashscope/token.ts';
import { TokenProvider, type TokenProviderOptions } from '../../src/dashscope/token-provider.ts';
import { silentLogger } from '../../src/log.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { FakeClock } from '../support/fake-clock.ts';

const running: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each[Symbol.asyncDispose]();
});

async function sandboxAt(clock: FakeClock): Promise<Sandbox> {
  const sandbox = await startSandbox({
    host: '127.0.0.1',
    port: 0,
    recogniser: captionsRecogniser,
    logger: silentLogger,
    apiKeys: ['sk-1'],
    clock,
  });
  running.push(sandbox);
  return sandbox;
}

/** 101, or the status of the refusal. */
function statusOf(url: string, key: string): Promise<number> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, { headers: { Authorization: `Bearer ${key}` } });
    socket.on('open', () => {
      socket.terminate();
      resolve(101);
    });
    socket.on('unexpected-response', (_request, response) => {
      response.resume();
      socket.terminate();
      resolve(response.statusCode ?? 0);
    });
    socket.on('error', () => undefined);
  });
}

describe('a temporary token', () => {
  it('opens connections until it ends', async () => {
    const clock = new FakeClock();
    const { url, httpUrl } = await sandboxAt(clock);
    const { token, expiresAt, lifetimeMs } = await createTemporaryToken({
      baseUrl: httpUrl,
      apiKey: 'sk-1',
      expireInSeconds: 30,
    });
    expect(token).toMatch(/^st-/);
    expect(expiresAt.getTime() - clock.wallTime().getTime()).toBeLessThanOrEqual(30_000);
    expect(expiresAt.getTime() - clock.wallTime().getTime()).toBeGreaterThan(28_000);
    expect(lifetimeMs).toBe(30_000);
    expect(await statusOf(url, token)).toBe(101);
    clock.advance(30_000);
    expect(await statusOf(url, token)).toBe(401);
    await expect(createTemporaryToken({ baseUrl: httpUrl, apiKey: 'sk-2' })).rejects.toMatchObject({
      httpStatus: 401,
      accountFault: true,
    });
  });

  it.each([0, 1_801, 1.5, Number.NaN])('is not asked for with %s seconds', async (expireInSeconds) => {
    const options = { baseUrl: 'http://127.0.0.1:9', apiKey: 'sk-1', expireInSeconds };
    await expect(createTemporaryToken(options)).rejects.toMatchObject({
      code: 'ASR_USAGE',
      faults: [{ parameter: 'expireInSeconds' }],
    });
    expect(() => new TokenProvider(options)).toThrow(expect.objectContaining({ code: 'ASR_USAGE' }));
  });
});

describe('the provider', () => {
  // The service's clock is thirty years ahead of ours: lives are told from its own.
  async function providerWith(
    options: Partial<TokenProviderOptions> = {},
  ): Promise<{ sandbox: Sandbox; clock: FakeClock; provider: TokenProvider; failed: Error[] }> {
    const service = new FakeClock();
    service.advance(1_000_000_000_000);
    const sandbox = await sandboxAt(service);
    const clock = new FakeClock();
    const failed: Error[] = [];
    const provider = new TokenProvider({
      baseUrl: sandbox.httpUrl,
      apiKey: 'sk-1',
      expireInSeconds: 100,
      maxAttempts: 1,
      clock,
      onRenewalFailed: (error) => failed.push(error),
      ...options,
    });
    return { sandbox, clock, provider, failed };
  }
  const untilNew = async (provider: TokenProvider, old: string): Promise<string> => {
    for (;;) {
      const token = await provider.token();
      if (token !== old) return token;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };

  it('shares one request among all who wait', async () => {
    const { sandbox, provider } = await providerWith();
    const tokens = await Promise.all(Array.from({ length: 20 }, () => provider.apiKey()));
    expect(new Set(tokens).size).toBe(1);
    expect(sandbox.live.tokens).toBe(1);
    expect(await statusOf(sandbox.url, tokens[0]!)).toBe(101);
  });

  it('gives the token out as long as it holds, and renews it before it ends', async () => {
    const { sandbox, clock, provider } = await providerWith();
    const first = await provider.token();
    clock.advance(74_000);
    expect(await provider.token()).toBe(first);
    expect(sandbox.live.tokens).toBe(1);
    clock.advance(2_000);
    expect(await provider.token()).toBe(first);
    expect(await untilNew(provider, first)).toMatch(/^st-/);
    expect(sandbox.live.tokens).toBe(2);
  });

  it('goes on with the last good token while a renewal fails, and tries again a little later', async () => {
    const { sandbox, clock, provider, failed } = await providerWith();
    const first = await provider.token();
    sandbox.desk.order({ fault: 'rest-refuse:status=500' });
    clock.advance(80_000);
    expect(await provider.token()).toBe(first);
    while (failed.length === 0) await new Promise((resolve) => setImmediate(resolve));
    for (let no = 0; no < 10; no += 1) expect(await provider.token()).toBe(first);
    expect(sandbox.desk.list()[0]?.struck).toBe(1);
    expect(failed[0]).toMatchObject({ httpStatus: 500 });
    sandbox.desk.cancelAll();
    clock.advance(1_000);
    expect(await untilNew(provider, first)).toMatch(/^st-/);
  });

  it('does not give out a token that ends during the handshake; then the fault is the caller’s', async () => {
    const { sandbox, clock, provider } = await providerWith();
    const first = await provider.token();
    clock.advance(95_001);
    sandbox.desk.order({ fault: 'rest-refuse:status=503', times: 1 });
    await expect(provider.token()).rejects.toMatchObject({ httpStatus: 503, retryable: true });
    expect(await provider.token()).not.toBe(first);
  });
});
