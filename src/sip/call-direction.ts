import type { HeaderLine } from './identifiers.ts';
import { extensionOf, type Extensions } from './metadata-extensions.ts';

export type CallDirection = 'inbound' | 'outbound' | 'unknown';

export interface DirectionFacts {
  /** Whether the INVITE came from a recording client, which calls us whoever called whom. */
  readonly recording: boolean;
  readonly extensions: Extensions;
  readonly headers: readonly HeaderLine[];
}

/**
 * The call's direction as seen from the people who are recorded, where it is said outright: a `callType` of
 * `origCall` or `termCall` (BroadWorks), a `direction` extension, an `X-…-Direction` header. A plain call came
 * to us.
 */
export function directionOf({ recording, extensions, headers }: DirectionFacts): CallDirection {
  const callType = extensionOf(extensions, 'calltype')?.toLowerCase();
  if (callType === 'origcall') return 'outbound';
  if (callType === 'termcall') return 'inbound';
  const said = (
    extensionOf(extensions, 'direction') ??
    extensionOf(extensions, 'calldirection') ??
    headers.find(({ name }) => /^x-(?:.*-)?direction$/.test(name))?.value
  )?.toLowerCase();
  if (said === 'inbound' || said === 'incoming' || said === 'in') return 'inbound';
  if (said === 'outbound' || said === 'outgoing' || said === 'out') return 'outbound';
  return recording ? 'unknown' : 'inbound';
}

/** The calling party's number or address, where the vendor's extensions tell it. */
export function callingNumberOf(extensions: Extensions): string | undefined {
  const from = extensionOf(extensions, 'fromhdr');
  return (
    extensionOf(extensions, 'callingpartynumber') ??
    (from === undefined ? undefined : /<?\s*((?:sips?|tel):[^>\s;]{1,256})/i.exec(from)?.[1])
  );
}
