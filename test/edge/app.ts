import { once } from 'node:events';

import Srf, { type Dialog, type SrfRequest, type SrfResponse } from 'drachtio-srf';

import { type Edge, type EdgeOptions, startEdge } from '../../src/edge/edge.ts';
import { silentLogger } from '../../src/log.ts';
import type { SipProtocol } from '../../src/sipstack/flow.ts';

export type { Dialog, SrfRequest, SrfResponse };

export const ANSWER =
  'v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0\r\n';

export const startTestEdge = (
  options: Partial<Pick<EdgeOptions, 'listen' | 'admit' | 'onTurnedAway' | 'limits' | 'tls'>> = {},
): Promise<Edge> =>
  startEdge({
    ...options,
    listen: options.listen ?? [
      { protocol: 'udp', host: '127.0.0.1', port: 0 },
      { protocol: 'tcp', host: '127.0.0.1', port: 0 },
    ],
    logger: silentLogger,
  });

// The published types of drachtio-srf leave out, or get wrong, what these interfaces say.
interface SrfClient {
  connect(options: { host: string; port: number; secret: string }): void;
  request(uri: string, options: object, done: (error: Error | null, sent: SrfRequest) => void): void;
}
interface ResponseClient {
  send(status: number, options: object, done: (error: unknown) => void): void;
}

/**
 * A real drachtio-srf application, connected. Its routes are on their way then, on a connection of this process, and so
 * are there before any SIP that a test sends afterwards over another.
 */
export async function connectApp(edge: Edge, prepare: (srf: Srf) => void): Promise<Srf> {
  const srf = new Srf();
  prepare(srf);
  srf.on('error', () => {
    // A connection that the test cut.
  });
  (srf as unknown as SrfClient).connect({ host: edge.host, port: edge.port, secret: edge.secret });
  const [error] = (await once(srf, 'connect')) as [Error | null];
  if (error !== null) throw error;
  return srf;
}

export const sipAddress = (edge: Edge, protocol: SipProtocol): { host: string; port: number } =>
  edge.sipAddresses.find((address) => address.protocol === protocol)!;

/** Resolves when the condition holds; asks once a turn, so nothing waits for a clock. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** Sends a response and tells what the server said about it: the error text, or `undefined`. */
export function sendResponse(res: SrfResponse, status: number, options: object = {}): Promise<unknown> {
  return new Promise((resolve) => {
    (res as unknown as ResponseClient).send(status, options, (error) => {
      resolve(error ?? undefined);
    });
  });
}

/** Hangs up; resolves when the peer has answered. */
export function hangUp(dialog: Dialog, headers: Record<string, string> = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    dialog.destroy({ headers }, (error: Error | null) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

/** Sends a request inside a dialog; resolves with the final response. */
export function requestIn(
  dialog: Dialog,
  options: { method: string; headers?: Record<string, string>; body?: string },
): Promise<SrfResponse> {
  return dialog.request(options as unknown as SrfRequest);
}

/** Sends a request outside a dialog; resolves with the final response. */
export function requestOut(srf: Srf, uri: string, options: object): Promise<SrfResponse> {
  return new Promise((resolve, reject) => {
    (srf as unknown as SrfClient).request(uri, options, (error, sent) => {
      if (error !== null) {
        reject(error);
        return;
      }
      sent.on('response', (res) => {
        if (res !== undefined && res.status >= 200) resolve(res);
      });
    });
  });
}
