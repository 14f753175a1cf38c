import { readNameAddr, uriHost } from '../sipstack/fields.ts';
import type { SipProtocol, SocketAddress } from '../sipstack/flow.ts';
import { headerName, type SipHeader, type SipMessage } from '../sipstack/message.ts';

/** Of a message from the app: what goes on to the network beside the headers that the edge fills in itself. */
export interface AppHeaders {
  readonly contact: string | undefined;
  /** Everything else, named as on the network, Content-Type included. */
  readonly others: readonly SipHeader[];
}

/** Never taken from the app: the edge knows them better (drachtio-server drops or overwrites the same). */
const FILLED_IN: ReadonlySet<string> = new Set([
  'via',
  'route',
  'rseq',
  'record-route',
  'content-length',
  'from',
  'to',
  'call-id',
  'cseq',
  'max-forwards',
]);

/** Names whose spelling does not follow from the rule of one capital a word. */
const SPELLINGS: ReadonlyMap<string, string> = new Map([
  ['www-authenticate', 'WWW-Authenticate'],
  ['mime-version', 'MIME-Version'],
  ['min-se', 'Min-SE'],
  ['sip-etag', 'SIP-ETag'],
  ['sip-if-match', 'SIP-If-Match'],
  ['rack', 'RAck'],
]);

/**
 * Reads the headers of a message that the app wrote. `@localhost` in an address stands for the address of ours that the
 * peer reaches, as with drachtio-server.
 *
 * @returns the reason why it cannot be sent, or the headers
 */
export function readAppHeaders(message: SipMessage, local: SocketAddress): AppHeaders | string {
  let contact: string | undefined;
  const others: SipHeader[] = [];
  for (const line of message.headers) {
    const name = headerName(line.name);
    if (FILLED_IN.has(name)) continue;
    const value = withRealHost(name, line.value, local);
    if (name === 'contact') contact = value;
    else others.push({ name: networkName(line.name), value });
  }
  if (contact !== undefined && contact !== '*' && readNameAddr(contact) === undefined) {
    return 'Unknown server error sending response';
  }
  if (message.body.length > 0 && !others.some((line) => headerName(line.name) === 'content-type')) {
    if (message.body.toString('latin1', 0, 3) === 'v=0') {
      others.push({ name: 'Content-Type', value: 'application/sdp' });
    } else if (message.kind === 'request') return 'missing content-type';
  }
  return { contact, others };
}

export function withRealHost(name: string, value: string, local: SocketAddress): string {
  const mayHold = name === 'contact' || name === 'from' || name === 'to' || name === 'p-asserted-identity';
  if (!mayHold) return value;
  return value.replace(/@localhost(?::\d+)?(?![\w.-])/gi, `@${uriHost(local.host)}:${local.port}`);
}

/** drachtio-srf writes known names in lower case; names that begin with `X-` belong to the app. */
function networkName(name: string): string {
  if (/^x-/i.test(name)) return name;
  const spelling = SPELLINGS.get(name.toLowerCase());
  return (
    spelling ??
    name.replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase())
  );
}

/** Our Contact: where the peer reaches us for the rest of the dialog. */
export function ownContact(local: SocketAddress, protocol: SipProtocol): string {
  const transport = protocol === 'udp' ? '' : `;transport=${protocol}`;
  return `<sip:${uriHost(local.host)}:${local.port}${transport}>`;
}
