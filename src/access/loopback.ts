import ipaddr from 'ipaddr.js';

import { type Principal, SCOPES } from './principal.ts';

/** Where a request comes from, for a service without any token. */
export interface RequestOrigin {
  readonly peerAddress: string;
  readonly isForwarded: boolean;
  readonly host: string;
  readonly origin: string | undefined;
}

/** Who asks where no token is configured: whoever is on this machine. */
export const LOOPBACK_PRINCIPAL: Principal = {
  kind: 'loopback',
  tokenId: 'loopback',
  name: 'loopback',
  tenant: undefined,
  scopes: SCOPES,
  requestsPerMinute: undefined,
};

/**
 * Whether a program on this machine asks for itself. Not what a proxy on this machine hands on. Nor what a page of
 * somewhere else makes a browser on this machine ask: then the host is a foreign name that leads here (DNS
 * rebinding), or the origin is foreign.
 */
export function isFromThisMachine({ peerAddress, isForwarded, host, origin }: RequestOrigin): boolean {
  if (isForwarded || !isLoopbackAddress(peerAddress)) return false;
  if (!isLoopbackUrl(`http://${host}`)) return false;
  return origin === undefined || isLoopbackUrl(origin);
}

function isLoopbackAddress(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.process(address).range() === 'loopback';
}

function isLoopbackUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const name = new URL(text).hostname.replace(/^\[(.*)\]$/, '$1');
  return name === 'localhost' || isLoopbackAddress(name);
}
