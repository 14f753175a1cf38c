import { describe, expect, it } from 'vitest';

import {
  readCSeq,
  readNameAddr,
  readSipUri,
  readVia,
  splitList,
  uriHost,
} from '../../src/sipstack/fields.ts';

describe('splitList', () => {
  it.each([
    ['a, b ,c', ['a', 'b', 'c']],
    ['"x, \\" y" <sip:a,b@c>;p="1,2", <sip:d>', ['"x, \\" y" <sip:a,b@c>;p="1,2"', '<sip:d>']],
    ['', []],
    [',,a,', ['a']],
    ['"never ends, <sip:a>', ['"never ends, <sip:a>']],
  ])('%j', (value, parts) => {
    expect(splitList(value)).toEqual(parts);
  });
});

describe('readNameAddr', () => {
  it.each([
    ['<sip:a@b;transport=tcp>;tag=1;+sip.src', 'sip:a@b;transport=tcp', { tag: '1', '+sip.src': '' }],
    ['sip:a@b;tag=1', 'sip:a@b', { tag: '1' }],
    ['"张三 <;\\">" <sip:a@b>;tag=2', 'sip:a@b', { tag: '2' }],
    ['张三 <sip:a@b>', 'sip:a@b', {}],
    ['<tel:+8613800138000>;TAG=x', 'tel:+8613800138000', { tag: 'x' }],
    ['<sip:a@host_x>', 'sip:a@host_x', {}],
    ['<urn:service:sos> ; tag = y ', 'urn:service:sos', { tag: 'y' }],
    ['<sip:[2001:db8::1]:5060>', 'sip:[2001:db8::1]:5060', {}],
  ])('%s', (value, uri, parameters) => {
    const read = readNameAddr(value);
    expect(read?.uri).toBe(uri);
    expect(Object.fromEntries(read?.parameters ?? [])).toEqual(parameters);
  });

  it.each(['', '*', '<<<bad', '<sip:a@b', 'no uri', '<sip:a b>', '<>'])('refuses %j', (value) => {
    expect(readNameAddr(value)).toBeUndefined();
  });
});

describe('readVia', () => {
  it.each([
    ['SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport', 'UDP', '10.0.0.1', 5060],
    ['SIP/2.0/tcp host.example', 'TCP', 'host.example', undefined],
    ['SIP / 2.0 / UDP [2001:db8::1]:7 ; branch = x', 'UDP', '[2001:db8::1]', 7],
  ])('%s', (value, transport, host, port) => {
    expect(readVia(value)).toMatchObject({ transport, host, port });
  });

  it('reads the parameters', () => {
    const via = readVia('SIP/2.0/UDP h;branch=z9hG4bKx;rport;ttl=1');
    expect(Object.fromEntries(via!.parameters)).toEqual({ branch: 'z9hG4bKx', rport: '', ttl: '1' });
  });

  it.each(['', 'UDP h', 'SIP/2.0/UDP', 'SIP/2.0/UDP h:70000', 'HTTP/1.1/UDP h'])('refuses %j', (value) => {
    expect(readVia(value)).toBeUndefined();
  });
});

describe('readCSeq', () => {
  it.each([
    ['1 INVITE', { number: 1, method: 'INVITE' }],
    ['2147483647   BYE', { number: 2_147_483_647, method: 'BYE' }],
  ])('%s', (value, expected) => {
    expect(readCSeq(value)).toEqual(expected);
  });
  it.each(['', 'INVITE', '-1 BYE', '2147483648 BYE', '1', '1 BYE x'])('refuses %j', (value) => {
    expect(readCSeq(value)).toBeUndefined();
  });
});

describe('readSipUri', () => {
  it.each([
    ['sip:a@b.example', 'b.example', undefined, {}],
    ['sip:10.0.0.1:5070;lr;transport=TCP', '10.0.0.1', 5070, { lr: '', transport: 'TCP' }],
    ['sips:a:secret@[2001:db8::1]:5061?Subject=x', '2001:db8::1', 5061, {}],
    ['sip:pbx_1', 'pbx_1', undefined, {}],
  ])('%s', (uri, host, port, parameters) => {
    const read = readSipUri(uri);
    expect(read).toMatchObject({ host, port });
    expect(Object.fromEntries(read!.parameters)).toEqual(parameters);
  });
  it.each(['', 'tel:+49123', 'http://x', 'sip:', 'sip:a@@b', 'sip:h:99999'])('refuses %j', (uri) => {
    expect(readSipUri(uri)).toBeUndefined();
  });
});

it('uriHost brackets IPv6 and drops its zone', () => {
  expect(['10.0.0.1', 'h.example', '::1', 'fe80::1%eth0'].map(uriHost)).toEqual([
    '10.0.0.1',
    'h.example',
    '[::1]',
    '[fe80::1]',
  ]);
});
