import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';

import { Agent, buildConnector } from 'undici';

import { CallscribeError } from '../errors.ts';
import { type AllowedBlocks, mayReach } from './addresses.ts';

/** Asks for all addresses of a name; `dns.lookup` in production. */
export type Lookup = (
  hostname: string,
  done: (error: Error | null, addresses: readonly LookupAddress[]) => void,
) => void;

export interface GuardedAgentOptions {
  readonly allow: AllowedBlocks;
  readonly connectTimeoutMs: number;
  readonly lookup?: Lookup;
  /** PEM of authorities that are trusted in place of the system's. */
  readonly ca?: string;
}

/** A receiver that takes long holds up its own messages, not the sockets of others. */
const CONNECTIONS_PER_ORIGIN = 16;
const KEEP_ALIVE_MS = 10_000;

const lookupAll: Lookup = (hostname, done) => {
  systemLookup(hostname, { all: true }, (error, addresses) => {
    done(error, error === null ? addresses : []);
  });
};

/**
 * An HTTP client that connects to nothing that {@link mayReach} denies. The very address that a connection goes to is
 * looked at, so a name that answers otherwise the second time (DNS rebinding) gains nothing. Redirects are not
 * followed. A denied connection fails with WEBHOOK_ADDRESS_REFUSED.
 */
export function createGuardedAgent(options: GuardedAgentOptions): Agent {
  const { allow, connectTimeoutMs, ca, lookup = lookupAll } = options;
  const connectors = { 'http:': connectorFor('http:'), 'https:': connectorFor('https:') };

  function connectorFor(protocol: 'http:' | 'https:'): buildConnector.connector {
    const guarded: LookupFunction = (hostname, { all }, done) => {
      lookup(hostname, (error, addresses) => {
        const open = addresses.filter(({ address }) => mayReach(address, protocol, allow));
        const [first] = open;
        if (error !== null) done(error, []);
        else if (first === undefined) done(refused(), []);
        else if (all === true) done(null, open);
        else done(null, first.address, first.family);
      });
    };
    return buildConnector({
      lookup: guarded,
      timeout: connectTimeoutMs,
      ...(ca === undefined ? {} : { ca }),
    });
  }

  return new Agent({
    connections: CONNECTIONS_PER_ORIGIN,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connect: (target, done) => {
      const protocol = target.protocol === 'http:' ? 'http:' : 'https:';
      const host = target.hostname.replace(/^\[(.*)\]$/, '$1');
      // An address in place of a name is never looked up.
      if (isIP(host) !== 0 && !mayReach(host, protocol, allow)) done(refused(), null);
      else connectors[protocol](target, done);
    },
  });
}

const refused = (): CallscribeError =>
  new CallscribeError(
    'WEBHOOK_ADDRESS_REFUSED',
    'the endpoint leads to an address that is not public, or there by http:. Where that is meant, name the address ' +
      'in WEBHOOK_ALLOW',
  );
