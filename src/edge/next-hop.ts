import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

import { CallscribeError } from '../errors.ts';
import { readNameAddr, readSipUri } from '../sipstack/fields.ts';
import type { SipEndpoint, SipFlow, SipProtocol } from '../sipstack/flow.ts';
import type { Dialog } from './dialog.ts';

/** Finds the way on which a request of ours goes out. */
export class NextHop {
  readonly #endpoints: readonly SipEndpoint[];

  constructor(endpoints: readonly SipEndpoint[]) {
    this.#endpoints = endpoints;
  }

  /**
   * Inside a dialog: where the peer's last request came from, which also passes a NAT whose Contact lies; with a route set
   * over UDP, and where the peer's connection is gone, to the first route or the remote target.
   *
   * @throws {CallscribeError} `SIP_FLOW_CLOSED`
   */
  async inDialog(dialog: Dialog): Promise<SipFlow> {
    const { flow, routeSet } = dialog;
    if (flow.isOpen && (flow.protocol !== 'udp' || routeSet.length === 0)) return flow;
    const route = readNameAddr(routeSet[0] ?? '')?.uri;
    return this.toUri(route ?? dialog.remoteTarget, flow.protocol);
  }

  /** RFC 3263 in short: the transport parameter and an address, or what the resolver says; no NAPTR or SRV. */
  async toUri(uri: string, protocolDefault: SipProtocol = 'udp'): Promise<SipFlow> {
    const target = readSipUri(uri);
    if (target === undefined) throw new CallscribeError('SIP_FLOW_CLOSED', 'next hop: not a sip: URI');
    // RFC 3261 §26.2.2: whatever transport a sips: URI names, TLS runs over it.
    const isSecure = /^sips:/i.test(uri);
    const transport = isSecure
      ? 'tls'
      : (target.parameters.get('transport')?.toLowerCase() ?? protocolDefault);
    const host = isIP(target.host) === 0 ? (await lookup(target.host)).address : target.host;
    const endpoint = this.#endpoints.find(
      (able) => able.protocol === transport && isIP(able.bound.host) === isIP(host),
    );
    if (endpoint === undefined) {
      throw new CallscribeError(
        'SIP_FLOW_CLOSED',
        'next hop: no socket of that transport and address family',
      );
    }
    return endpoint.flowTo({ host, port: target.port ?? (transport === 'tls' ? 5061 : 5060) });
  }
}
