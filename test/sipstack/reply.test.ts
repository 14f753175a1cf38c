import { describe, expect, it } from 'vitest';

import type { SipFlow } from '../../src/sipstack/flow.ts';
import { formatSipMessage, parseSipMessage, type SipRequest } from '../../src/sipstack/message.ts';
import { newBranch, newTag, ownVia, reply, stampVia, viaValues } from '../../src/sipstack/reply.ts';

const flow = (host: string, port: number, protocol: 'udp' | 'tcp' = 'udp'): SipFlow => ({
  protocol,
  remote: { host, port },
  local: { host: host.includes(':') ? '::1' : '192.0.2.9', port: 5060 },
  isOpen: true,
  send: () => Promise.resolve(),
});
const request = (...headers: string[]): SipRequest => {
  const read = parseSipMessage(Buffer.from(`${['INVITE sip:a SIP/2.0', ...headers].join('\r\n')}\r\n\r\n`));
  if (read.kind !== 'request') throw new Error('not a request');
  return read;
};

describe('stampVia (RFC 3261 §18.2.1, RFC 3581 §4)', () => {
  it.each([
    ['h:1;branch=b;rport', '10.0.0.1', 'h:1;branch=b;rport=7;received=10.0.0.1'],
    ['10.0.0.1:1;rport;branch=b', '10.0.0.1', '10.0.0.1:1;rport=7;branch=b'],
    ['10.0.0.1;branch=b', '10.0.0.1', '10.0.0.1;branch=b'],
    ['10.0.0.2;branch=b', '10.0.0.1', '10.0.0.2;branch=b;received=10.0.0.1'],
    ['h;rport=9;received=6.6.6.6;branch=b', '10.0.0.1', 'h;rport=7;branch=b;received=10.0.0.1'],
    ['[2001:db8::1];branch=b', '2001:db8::1', '[2001:db8::1];branch=b'],
    ['[::1];branch=b', 'fe80::1%eth0', '[::1];branch=b;received=fe80::1'],
  ])('%s from %s', (via, host, stamped) => {
    const result = stampVia(request(`Via: SIP/2.0/UDP ${via}`), flow(host, 7));
    expect(viaValues(result)).toEqual([`SIP/2.0/UDP ${stamped}`]);
  });

  it('touches the top value only, also where several stand in one line', () => {
    const stamped = stampVia(
      request(
        'Via: SIP/2.0/UDP a;rport;branch=1, SIP/2.0/UDP b;rport;branch=2',
        'To: x',
        'v: SIP/2.0/UDP c;branch=3',
      ),
      flow('10.0.0.1', 7),
    );
    expect(viaValues(stamped)).toEqual([
      'SIP/2.0/UDP a;rport=7;branch=1;received=10.0.0.1',
      'SIP/2.0/UDP b;rport;branch=2',
      'SIP/2.0/UDP c;branch=3',
    ]);
    expect(stamped.headers.map(({ name }) => name)).toEqual(['Via', 'Via', 'Via', 'To']);
  });
});

describe('reply (RFC 3261 §8.2.6)', () => {
  const asked = request(
    'v: SIP/2.0/UDP a;branch=1',
    'f: <sip:f>;tag=1',
    't: <sip:t>',
    'i: id',
    'CSeq: 4 INVITE',
    'Record-Route: <sip:p;lr>',
  );

  it('copies what a response must have, and tags To', () => {
    const made = reply(asked, { status: 200, reason: 'OK', toTag: 'tt', body: Buffer.from('ü') });
    expect(formatSipMessage(made).toString()).toBe(
      [
        'SIP/2.0 200 OK',
        'Via: SIP/2.0/UDP a;branch=1',
        'Record-Route: <sip:p;lr>',
        'From: <sip:f>;tag=1',
        'To: <sip:t>;tag=tt',
        'Call-ID: id',
        'CSeq: 4 INVITE',
        'Content-Length: 2',
        '',
        'ü',
      ].join('\r\n'),
    );
  });

  it('leaves To as it is on 100 and where it has a tag', () => {
    const to = (made: ReturnType<typeof reply>): string | undefined =>
      made.headers.find(({ name }) => name === 'To')?.value;
    expect(to(reply(asked, { status: 100, reason: 'Trying', toTag: 'tt' }))).toBe('<sip:t>');
    const tagged = request('To: <sip:t>;tag=old');
    expect(to(reply(tagged, { status: 404, reason: 'Not Found', toTag: 'tt' }))).toBe('<sip:t>;tag=old');
  });

  it('names the proxies only where a dialog may come of it', () => {
    const has = (status: number): boolean =>
      reply(asked, { status, reason: '', toTag: 'x' }).headers.some(({ name }) => name === 'Record-Route');
    expect([100, 183, 200, 302, 486].map(has)).toEqual([true, true, true, false, false]);
  });
});

it('ownVia asks for rport over UDP only, and brackets IPv6', () => {
  expect(ownVia(flow('10.0.0.1', 7), 'b')).toBe('SIP/2.0/UDP 192.0.2.9:5060;rport;branch=b');
  expect(ownVia(flow('::2', 7, 'tcp'), 'b')).toBe('SIP/2.0/TCP [::1]:5060;branch=b');
});

it('tags and branches do not repeat', () => {
  const many = Array.from({ length: 1_000 }, () => [newTag(), newBranch()]).flat();
  expect(new Set(many).size).toBe(2_000);
});
