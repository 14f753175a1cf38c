import { describe, expect, it } from 'vitest';

import { mayReach } from '../../src/webhooks/addresses.ts';

describe('where a webhook may go', () => {
  it.each(['93.184.216.34', '1.1.1.1', '2606:4700:4700::1111', '2001:4860:4860::8888'])(
    'is %s by TLS, and not without',
    (address) => {
      expect(mayReach(address, 'https:', [])).toBe(true);
      expect(mayReach(address, 'http:', [])).toBe(false);
    },
  );

  it.each([
    ['loopback', '127.0.0.1'],
    ['loopback in IPv6', '::1'],
    ['loopback as IPv4 in IPv6', '::ffff:127.0.0.1'],
    ['loopback as deprecated IPv4 in IPv6', '::127.0.0.1'],
    ['this host', '0.0.0.0'],
    ['a private range', '10.1.2.3'],
    ['a private range', '172.16.0.1'],
    ['a private range', '192.168.1.1'],
    ['the metadata of clouds', '169.254.169.254'],
    ['the metadata of Alibaba Cloud', '100.100.100.200'],
    ['link-local in IPv6', 'fe80::1'],
    ['unique local', 'fd00::1'],
    ['site-local', 'fec0::1'],
    ['a private address behind NAT64', '64:ff9b::a01:203'],
    ['a private address behind 6to4', '2002:0a01:0203::1'],
    ['multicast', '224.0.0.1'],
    ['broadcast', '255.255.255.255'],
    ['documentation', '2001:db8::1'],
    ['no address', 'localhost'],
    ['an address with a zone', 'fe80::1%eth0'],
    ['nothing', ''],
  ])('is not %s (%s)', (_, address) => {
    expect(mayReach(address, 'https:', [])).toBe(false);
    expect(mayReach(address, 'http:', [])).toBe(false);
  });

  it('is what is allowed, also without TLS, and nothing beside it', () => {
    const allow = ['10.1.0.0/16', '::1', '192.0.2.7'];
    for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '::1', '192.0.2.7']) {
      expect(mayReach(address, 'http:', allow)).toBe(true);
    }
    for (const address of ['10.2.0.1', '::2', '192.0.2.8']) {
      expect(mayReach(address, 'https:', allow)).toBe(false);
    }
  });
});
