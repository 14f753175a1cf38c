import { FaultDesk } from './fault-desk.ts';
import type { RefusalFault } from './faults.ts';
import type { SandboxProtocol } from './protocol-terms.ts';

/** How one socket behaves. */
export interface SocketTerms {
  readonly protocol: SandboxProtocol;
  /** Faults of this socket alone. */
  readonly desk: FaultDesk;
}

export type SocketTermsResult =
  | { readonly kind: 'terms'; readonly terms: SocketTerms }
  | { readonly kind: 'refused'; readonly refusal: RefusalFault };

/** `?fault=…` (any number of them), `?seed=…`, `?protocol=strict`; other names say nothing to us. */
export function readSocketTerms(query: URLSearchParams, usual: SandboxProtocol): SocketTermsResult {
  const seed = query.get('seed') ?? '1';
  if (!/^\d{1,9}$/.test(seed)) return refused('seed is a whole number of up to nine digits');
  const protocol = query.get('protocol') ?? usual;
  if (protocol !== 'strict' && protocol !== 'lenient') return refused('protocol is strict or lenient');
  const desk = new FaultDesk();
  for (const fault of query.getAll('fault')) {
    const result = desk.order({ fault, seed: Number(seed) });
    if (result.kind === 'invalid') return refused(`fault: ${result.reason}`);
  }
  return { kind: 'terms', terms: { protocol, desk } };
}

function refused(message: string): SocketTermsResult {
  return { kind: 'refused', refusal: { status: 400, code: 'InvalidParameter', message } };
}
