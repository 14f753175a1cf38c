import type Srf from 'drachtio-srf';

/** Our Contact in the answer to a request that makes a dialog. The edge puts its own address in the place of `localhost`. */
export function ownContact({ protocol, uri }: Srf.SrfRequest): string {
  // RFC 3261 §12.1.1: a request to a sips: URI is answered with one.
  const scheme = protocol === 'tls' && /^sips:/i.test(uri) ? 'sips' : 'sip';
  const transport = protocol === 'udp' || scheme === 'sips' ? '' : `;transport=${protocol}`;
  return `<${scheme}:callscribe@localhost${transport}>`;
}
