import { once } from 'node:events';

import Srf, { type Dialog, type SrfRequest, type SrfResponse } from 'drachtio-srf';

import { type Edge, startEdge } from '../../src/edge/edge.ts';
import { silentLogger } from '../../src/log.ts';
import type { SipAddress } from '../../src/sipstack/flow.ts';

export type { Dialog, SrfRequest, SrfResponse };

export const ANSWER = 'v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0\r\n';

export const startTestEdge = (
  options: { listen?: readonly SipAddress[]; allow?: (address: string) => 'allow' | 'refuse' } = {},
): Promise<Edge> =>
  startEdge({
    listen: options.listen ?? [
      { protocol: 'udp', host: '127.0.0.1', port: 0 },
      { protocol: 'tcp', host: '127.0.0.1', port: 0 },
    ],
    logger: silentLogger,
    ...(options.allow === undefined ? {} : { allow: options.allow }),
  });

/** A real drachtio-srf application, connected and with its routes acknowledged. */
export async function connectApp(edge: Edge, prepare: (srf: Srf) => void): Promise<Srf> {
  const srf = new Srf();
  prepare(srf);
  srf.on('error', () => {
    // A connection that the test cut.
  });
  srf.connect({ host: edge.host, port: edge.port, secret: edge.secret, reconnect: { maxAttempts: 1 } } as never);
  const [error] = (await once(srf, 'connect')) as [Error | null];
  if (error) throw error;
  return srf;
}

export const sipAddress = (edge: Edge, protocol: 'udp' | 'tcp'): { host: string; port: number } =>
  edge.sipAddresses.find((address) => address.protocol === protocol)!;

/** Resolves when the condition holds; asks once a turn, so nothing waits for a clock. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
