import type { SipPeer } from '../../support/sip-peer.ts';
import type { Scenario } from './script.ts';

/** Messages as one line each, without what differs from call to call and from server to server by nature. */
export type Normaliser = (received: readonly string[]) => string[];

/** What every response must repeat, and so says nothing. */
const COPIED: ReadonlySet<string> = new Set([
  'via',
  'from',
  'to',
  'call-id',
  'cseq',
  'content-length',
  'max-forwards',
]);

export function normaliserOf({
  peer,
  server,
  scenario,
}: {
  peer: SipPeer;
  server: { readonly host: string; readonly port: number };
  scenario: Scenario;
}): Normaliser {
  return (received) => {
    const tags = new Map<string, string>();
    const seen = new Set<string>();
    const lines: string[] = [];
    for (const text of received) {
      if (seen.has(text) || isSameButVia(text, seen)) {
        const last = lines.at(-1) ?? '';
        if (scenario.counts === 'repeats' && !last.endsWith(' again')) lines.push(`${startOf(text)} again`);
        continue;
      }
      seen.add(text);
      lines.push(describe(text, { tags, shows: scenario.shows }));
    }
    const [ours, theirs] = [`${server.host}:${server.port}`, peer.hostport];
    return lines.map((line) => line.replaceAll(ours, 'SERVER').replaceAll(theirs, 'PEER'));
  };
}

/** A request that is sent again may carry the same branch or another. */
function isSameButVia(text: string, seen: ReadonlySet<string>): boolean {
  if (text.startsWith('SIP/2.0')) return false;
  const withoutVia = (message: string): string => message.replace(/\r\nVia:[^\r]*/gi, '');
  return [...seen].some((earlier) => withoutVia(earlier) === withoutVia(text));
}

function startOf(text: string): string {
  const status = /^SIP\/2.0 (\d+)/.exec(text)?.[1];
  const method = /\r\nCSeq: *\d+ *(\S+)/i.exec(text)?.[1] ?? '';
  return status === undefined ? method : `${status} ${method}`;
}

function describe(
  text: string,
  { tags, shows }: { tags: Map<string, string>; shows: Scenario['shows'] },
): string {
  if (!text.startsWith('SIP/2.0') && !/^[A-Z]+ \S+ SIP/.test(text)) return JSON.stringify(text);
  const [head = '', body = ''] = text.split('\r\n\r\n');
  const [start = '', ...lines] = head.split('\r\n');
  const headers = lines.map((line) => ({
    name: line.slice(0, line.indexOf(':')).trim().toLowerCase(),
    value: line.slice(line.indexOf(':') + 1).trim(),
  }));
  const first = (name: string): string | undefined => headers.find((header) => header.name === name)?.value;
  const parts = [
    start.startsWith('SIP/2.0')
      ? `${start.slice(8)} to ${first('cseq') ?? 'nothing'}`
      : `${start.replace(/ SIP\/2\.0$/, '')} as ${first('cseq') ?? ''}`,
  ];
  if (start.startsWith('SIP/2.0')) {
    const tag = /;\s*tag=([^;\s]+)/i.exec(first('to') ?? '')?.[1];
    if (tag !== undefined) {
      if (!tags.has(tag)) tags.set(tag, 'ABCDEF'[tags.size] ?? '?');
      parts.push(`tag ${tags.get(tag)!}`);
    }
  }
  for (const name of [...new Set(headers.map((header) => header.name))].sort()) {
    if (COPIED.has(name)) continue;
    const values = headers.filter((header) => header.name === name).map(({ value }) => value);
    parts.push(name === 'rseq' ? name : `${name} ${values.join(', ')}`);
  }
  if (shows === 'via') {
    const vias = headers.filter(({ name }) => name === 'via').flatMap(({ value }) => value.split(/,\s*/));
    const names = (vias[0] ?? '')
      .split(';')
      .slice(1)
      .map((parameter) => parameter.split('=')[0]?.trim());
    parts.push(
      `${vias.length} via with ${
        names
          .filter((name) => name !== 'branch')
          .sort()
          .join(' ') || 'nothing more'
      }`,
    );
  }
  const missing = ['from', 'to', 'call-id', 'cseq'].filter((name) => first(name) === undefined);
  if (missing.length > 0) parts.push(`without ${missing.join(' ')}`);
  if (body !== '') parts.push(`${body.startsWith('v=0') ? 'sdp' : 'body'} ${body.length}`);
  return parts.join(', ').replaceAll('|', '/');
}
