import { describe, expect, it } from 'vitest';

import { ConfigError, loadConfig, MAINLAND_WS_URL } from '../src/config.ts';

function faultsOf(env: Record<string, string>): readonly { name: string; found: string; allowed: string }[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

describe('loadConfig', () => {
  it('has a default for everything, so that an empty environment runs embedded', () => {
    expect(loadConfig({})).toMatchObject({
      dashscope: { apiKey: undefined, wsUrl: undefined },
      asr: { model: 'paraformer-realtime-8k-v2', startsPerSecond: 20 },
      databaseUrl: undefined,
      redisUrl: undefined,
      drachtio: undefined,
      rtp: { portMin: 20_000, portMax: 29_999 },
      http: { host: '127.0.0.1', port: 8080 },
      maxLegs: 1000,
      logLevel: 'info',
    });
  });

  it('takes the mainland address with a key, and the given address before that', () => {
    expect(loadConfig({ DASHSCOPE_API_KEY: 'sk-1' }).dashscope.wsUrl).toBe(MAINLAND_WS_URL);
    expect(
      loadConfig({ DASHSCOPE_API_KEY: 'sk-1', DASHSCOPE_WS_URL: 'ws://127.0.0.1:1/x' }).dashscope.wsUrl,
    ).toBe('ws://127.0.0.1:1/x');
  });

  it('reads addresses of both families and takes 0 as a value', () => {
    const config = loadConfig({
      SIP_LISTEN: 'udp:127.0.0.1:0, tcp:[::1]:5062',
      HTTP_LISTEN: '[::]:0',
      DRAIN_SECONDS: '0',
    });
    expect(config.sip.listen).toEqual([
      { protocol: 'udp', host: '127.0.0.1', port: 0 },
      { protocol: 'tcp', host: '::1', port: 5062 },
    ]);
    expect(config.http).toEqual({ host: '::', port: 0 });
    expect(config.drainTimeoutMs).toBe(0);
  });

  it('reads what SIP over TLS and digest authentication need', () => {
    const { sip } = loadConfig({
      SIP_LISTEN: 'tls:[::]:5061',
      SIP_TLS_CERT: '/c.pem',
      SIP_TLS_KEY: '/k.pem',
      SIP_DIGEST_USERS: 'alice:open:sesame, bob:x',
      SIP_DIGEST_ALGORITHMS: 'md5',
      SIP_REFUSE: 'silent',
    });
    expect(sip).toMatchObject({
      listen: [{ protocol: 'tls', host: '::', port: 5061 }],
      strangers: 'silent',
      tls: { certFile: '/c.pem', keyFile: '/k.pem', caFile: undefined },
      digest: {
        realm: 'callscribe',
        users: [
          { name: 'alice', secret: 'open:sesame' },
          { name: 'bob', secret: 'x' },
        ],
        algorithms: ['MD5'],
      },
    });
    expect(loadConfig({}).sip).toMatchObject({ strangers: '403', tls: undefined, digest: undefined });
  });

  it('wants a certificate and its key wherever one of them is needed', () => {
    expect(faultsOf({ SIP_LISTEN: 'udp:0.0.0.0:5060, tls:0.0.0.0:5061' }).map(({ name }) => name)).toEqual([
      'SIP_TLS_CERT',
      'SIP_TLS_KEY',
    ]);
    expect(faultsOf({ SIP_TLS_CERT: '/c.pem' })).toEqual([
      {
        name: 'SIP_TLS_KEY',
        found: 'nothing, though another SIP_TLS setting is there',
        allowed: 'a PEM file with its private key',
      },
    ]);
  });

  it('shows no digest secret', () => {
    expect(faultsOf({ SIP_DIGEST_USERS: 'hunter2' })[0]?.found).toBe('[secret], 7 characters');
  });

  it('is frozen to the last level', () => {
    const config = loadConfig({});
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.sip.listen[0])).toBe(true);
  });

  it('lists all faults at once with name, what was found and what is allowed', () => {
    const faults = faultsOf({
      SIP_LISTEN: 'udp:nowhere',
      RTP_PORTS: '30000-20000',
      MAX_LEGS: '-1',
      SIP_ALLOW: '10.0.0.0/33',
      HTTP_LISTEN: '8080',
      DATABASE_URL: 'mysql://x',
      LOG_LEVEL: 'loud',
      DRACHTIO_HOST: 'sbc',
    });
    expect(faults.map((fault) => fault.name).sort()).toEqual([
      'DATABASE_URL',
      'DRACHTIO_SECRET',
      'HTTP_LISTEN',
      'LOG_LEVEL',
      'MAX_LEGS',
      'RTP_PORTS',
      'SIP_ALLOW',
      'SIP_LISTEN',
    ]);
    expect(faults.find((fault) => fault.name === 'MAX_LEGS')).toEqual({
      name: 'MAX_LEGS',
      found: '"-1"',
      allowed: 'a whole number from 1 to 100000',
    });
  });

  it('shows no secret, not even a wrong one', () => {
    const [fault] = faultsOf({ REDIS_URL: 'http://user:hunter2@host' });
    expect(fault?.found).toBe('[secret], 24 characters');
  });

  it.each(['x', '70000', '1.5', '', '0x10', '-0'])('takes no port %j', (port) => {
    expect(faultsOf({ HTTP_LISTEN: `127.0.0.1:${port}` })).toHaveLength(1);
  });

  it.each([
    [{ DASHSCOPE_API_KEY: 'sk-1' }, 'https://dashscope.aliyuncs.com/api/v1'],
    [{ DASHSCOPE_API_KEY: 'sk-1', DASHSCOPE_WS_URL: 'ws://127.0.0.1:1/x' }, undefined],
    [{ DASHSCOPE_HTTP_URL: 'http://127.0.0.1:1/api/v1' }, 'http://127.0.0.1:1/api/v1'],
    [{}, undefined],
  ])(
    'of %j the REST address is %s: no key goes to the vendor where its sockets are elsewhere',
    (env, url) => {
      expect(loadConfig(env).dashscope.httpUrl).toBe(url);
    },
  );
});
