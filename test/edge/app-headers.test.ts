import { describe, expect, it } from 'vitest';

import { ownContact, readAppHeaders } from '../../src/edge/app-headers.ts';
import type { SipResponse } from '../../src/sipstack/message.ts';

const local = { host: '192.0.2.9', port: 5070 };
const response = (headers: Record<string, string>, body = ''): SipResponse => ({
  kind: 'response',
  status: 200,
  reason: 'OK',
  headers: Object.entries(headers).map(([name, value]) => ({ name, value })),
  body: Buffer.from(body),
});
const others = (headers: Record<string, string>, body = ''): unknown => {
  const read = readAppHeaders(response(headers, body), local);
  return typeof read === 'string' ? read : read.others.map(({ name, value }) => `${name}: ${value}`);
};

describe('readAppHeaders', () => {
  it('leaves out what the edge fills in', () => {
    expect(
      others({
        Via: 'SIP/2.0/UDP 9.9.9.9',
        'record-route': '<sip:9.9.9.9;lr>',
        'Call-ID': 'x',
        cseq: '99 INVITE',
        from: '<sip:x@y>',
        to: '<sip:x@y>',
        'Content-Length': '3',
        'retry-after': '30',
      }),
    ).toEqual(['Retry-After: 30']);
  });

  it('writes names as drachtio-server does', () => {
    const names = ['user-agent', 'x-lower', 'X-MiXed', 'some-header', 'www-authenticate', 'min-se'];
    expect(others(Object.fromEntries(names.map((name) => [name, '1'])))).toEqual([
      'User-Agent: 1',
      'x-lower: 1',
      'X-MiXed: 1',
      'Some-Header: 1',
      'WWW-Authenticate: 1',
      'Min-SE: 1',
    ]);
  });

  it('puts the real address where an address says localhost, only with a user part', () => {
    const read = readAppHeaders(response({ contact: '<sip:me@localhost>' }), local);
    expect(read).toMatchObject({ contact: '<sip:me@192.0.2.9:5070>' });
    expect(readAppHeaders(response({ contact: '<sip:localhost>' }), local)).toMatchObject({
      contact: '<sip:localhost>',
    });
    expect(others({ 'p-asserted-identity': '<sip:a@localhost>', subject: 'a@localhost' })).toEqual([
      'P-Asserted-Identity: <sip:a@192.0.2.9:5070>',
      'Subject: a@localhost',
    ]);
  });

  it('knows a session description without its type, and nothing else', () => {
    expect(others({}, 'v=0\r\n')).toEqual(['Content-Type: application/sdp']);
    expect(others({}, 'hello')).toEqual([]);
    const request = { ...response({}, 'hello'), kind: 'request', method: 'INFO', uri: 'sip:a' } as const;
    expect(readAppHeaders(request, local)).toBe('missing content-type');
    expect(others({ 'content-type': 'text/plain' }, 'v=0')).toEqual(['Content-Type: text/plain']);
  });

  it('refuses a Contact that nobody could use', () => {
    expect(readAppHeaders(response({ contact: '<<<bad' }), local)).toBe(
      'Unknown server error sending response',
    );
  });
});

describe('ownContact', () => {
  it.each([
    ['udp', '192.0.2.9', '<sip:192.0.2.9:5070>'],
    ['tcp', '192.0.2.9', '<sip:192.0.2.9:5070;transport=tcp>'],
    ['udp', 'fe80::1%eth0', '<sip:[fe80::1]:5070>'],
  ] as const)('over %s from %s', (protocol, host, contact) => {
    expect(ownContact({ host, port: 5070 }, protocol)).toBe(contact);
  });
});
