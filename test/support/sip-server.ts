import { startEdge } from '../../src/edge/edge.ts';
import { silentLogger } from '../../src/log.ts';
import type { Admission } from '../../src/sipstack/flow.ts';

/** What drachtio-srf connects to, and where SIP peers reach it. */
export interface TestSipServer extends AsyncDisposable {
  readonly kind: 'embedded' | 'drachtio-server';
  readonly host: string;
  readonly port: number;
  readonly secret: string;
  readonly sip: Readonly<Record<'udp' | 'tcp', { readonly host: string; readonly port: number }>>;
}

/** The drachtio-server that `CALLSCRIBE_TEST_DRACHTIO=host:port:secret:sipPort` names, if any. */
export function realDrachtio(): Omit<TestSipServer, typeof Symbol.asyncDispose> | undefined {
  const [host, port, secret, sipPort] = (process.env['CALLSCRIBE_TEST_DRACHTIO'] ?? '').split(':');
  if (host === undefined || port === undefined || secret === undefined || sipPort === undefined) {
    return undefined;
  }
  const address = { host, port: Number(sipPort) };
  return { kind: 'drachtio-server', host, port: Number(port), secret, sip: { udp: address, tcp: address } };
}

/** That one, or else an embedded edge of the test's own. */
export async function startSipServer(
  options: { readonly admit?: (address: string) => Admission } = {},
): Promise<TestSipServer> {
  const real = realDrachtio();
  if (real !== undefined) return { ...real, [Symbol.asyncDispose]: () => Promise.resolve() };
  const edge = await startEdge({
    ...options,
    listen: [
      { protocol: 'udp', host: '127.0.0.1', port: 0 },
      { protocol: 'tcp', host: '127.0.0.1', port: 0 },
    ],
    logger: silentLogger,
  });
  const at = (protocol: string): { host: string; port: number } =>
    edge.sipAddresses.find((address) => address.protocol === protocol)!;
  const { host, port, secret } = edge;
  return {
    kind: 'embedded',
    host,
    port,
    secret,
    sip: { udp: at('udp'), tcp: at('tcp') },
    [Symbol.asyncDispose]: () => edge.close(),
  };
}
