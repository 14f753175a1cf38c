import ipaddr from 'ipaddr.js';

import { AddressBlocks } from '../address-blocks.ts';

/** Blocks of addresses that webhooks may reach though they are not public, as CIDR or single addresses. */
export type AllowedBlocks = readonly string[];

/** Every unicast address that is given out lies here (IANA IPv6 address space). */
const GLOBAL_UNICAST = ipaddr.parseCIDR('2000::/3');

/**
 * Whether a webhook may be sent to this address: to public ones by TLS alone, to those in `allow` also without.
 * Addresses that carry another one (6to4, NAT64 and such) are not public; one of IPv4 that is written as IPv6 counts
 * as what it is.
 */
export function mayReach(address: string, protocol: 'http:' | 'https:', allow: AllowedBlocks): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  if (new AddressBlocks(allow).contains(address)) return true;
  return protocol === 'https:' && isPublic(parsed);
}

function isPublic(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  if (address.range() !== 'unicast') return false;
  return !(address instanceof ipaddr.IPv6) || address.match(GLOBAL_UNICAST);
}
