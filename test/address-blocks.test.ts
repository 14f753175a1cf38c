import { describe, expect, it } from 'vitest';

import { AddressBlocks } from '../src/address-blocks.ts';

describe('blocks of addresses', () => {
  const blocks = new AddressBlocks(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', '::1']);

  it.each([
    ['10.1.2.3', true],
    ['192.0.2.7', true],
    ['192.0.2.8', false],
    ['::ffff:10.9.9.9', true],
    ['::ffff:11.9.9.9', false],
    ['2001:db8:1::5', true],
    ['2001:db9::5', false],
    ['::1', true],
    ['not an address', false],
    ['', false],
  ])('%s: %s', (address, allowed) => {
    expect(blocks.contains(address)).toBe(allowed);
  });
});
