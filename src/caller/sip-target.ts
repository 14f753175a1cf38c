import { uriHost } from '../sipstack/fields.ts';

/** Where an INVITE goes. */
export interface SipTarget {
  readonly user: string | undefined;
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

const TARGET =
  /^(?:sips?:)?(?:([A-Za-z0-9\-_.!~*'()&=+$,;?/%]+)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::(\d{1,5}))?$/;

/** Reads `sip:user@host:port`, where only the host must be there. @returns undefined when it is something else */
export function readSipTarget(text: string): SipTarget | undefined {
  const found = TARGET.exec(text);
  if (found === null || text.startsWith('sips:')) return undefined;
  const port = found[3] === undefined ? 5060 : Number(found[3]);
  if (port < 1 || port > 65_535) return undefined;
  return { user: found[1], host: found[2]!.replace(/^\[|\]$/g, ''), port };
}

export function targetUri({ user, host, port }: SipTarget): string {
  return `sip:${user === undefined ? '' : `${user}@`}${uriHost(host)}:${port}`;
}
