import { randomBytes } from 'node:crypto';

import { readNameAddr, readVia, splitList, uriHost } from './fields.ts';
import type { SipFlow } from './flow.ts';
import { header, headerName, headers, type SipHeader, type SipRequest, type SipResponse } from './message.ts';

/** RFC 3261 §19.3: at least 32 random bits. */
export const newTag = (): string => randomBytes(8).toString('hex');
/** RFC 3261 §8.1.1.7: the cookie says that the branch is unique. */
export const newBranch = (): string => `z9hG4bK${randomBytes(10).toString('hex')}`;

/** Every Via value on a line of its own, as responses carry them. */
export function viaValues(message: SipRequest | SipResponse): string[] {
  return headers(message, 'via').flatMap(splitList);
}

/**
 * Notes in the top Via where the request really came from (RFC 3261 §18.2.1, RFC 3581 §4): `received` where the sender
 * wrote another address or asked for `rport`, which is then filled in.
 */
export function stampVia(request: SipRequest, flow: SipFlow): SipRequest {
  const [top, ...rest] = viaValues(request);
  const via = top === undefined ? undefined : readVia(top);
  if (top === undefined || via === undefined) return request;
  const source = flow.remote.host.replace(/%.*$/, '');
  const isSource = via.host.replace(/^\[|\]$/g, '').toLowerCase() === source.toLowerCase();
  let stamped = top.replace(/;\s*(?:received|rport)\s*=\s*[^;,\s]*/gi, (found) =>
    /rport/i.test(found) ? ';rport' : '',
  );
  if (via.parameters.has('rport')) stamped = stamped.replace(/;\s*rport\b/i, `;rport=${flow.remote.port}`);
  if (!isSource) stamped += `;received=${source}`;
  let isFirst = true;
  const stampedHeaders = request.headers.flatMap((line): SipHeader[] => {
    if (headerName(line.name) !== 'via') return [line];
    if (!isFirst) return [];
    isFirst = false;
    return [stamped, ...rest].map((value) => ({ name: line.name, value }));
  });
  return { ...request, headers: stampedHeaders };
}

export interface ReplyOptions {
  readonly status: number;
  readonly reason: string;
  /** The tag that To gets where the request has none; never on 100. */
  readonly toTag: string;
  /** Further headers, after those that every response copies from its request. */
  readonly headers?: readonly SipHeader[];
  readonly body?: Buffer;
}

/** A response to a request. RFC 3261 §8.2.6.2; Record-Route on what may set up a dialog, §12.1.1; as
 * sofia-sip, on 100 too. */
export function reply(request: SipRequest, options: ReplyOptions): SipResponse {
  const copied: SipHeader[] = viaValues(request).map((value) => ({ name: 'Via', value }));
  const copy = (name: string, value: string | undefined): void => {
    if (value !== undefined) copied.push({ name, value });
  };
  if (options.status < 300) {
    for (const value of headers(request, 'record-route')) copied.push({ name: 'Record-Route', value });
  }
  copy('From', header(request, 'from'));
  const to = header(request, 'to');
  const needsTag = options.status > 100 && to !== undefined && !readNameAddr(to)?.parameters.has('tag');
  copy('To', needsTag ? `${to};tag=${options.toTag}` : to);
  copy('Call-ID', header(request, 'call-id'));
  copy('CSeq', header(request, 'cseq'));
  const body = options.body ?? Buffer.alloc(0);
  return {
    kind: 'response',
    status: options.status,
    reason: options.reason,
    headers: [...copied, ...(options.headers ?? []), { name: 'Content-Length', value: String(body.length) }],
    body,
  };
}

/** Our own Via value. RFC 3581 §3 asks for `rport` over UDP; a connection needs none. */
export function ownVia(flow: SipFlow, branch: string): string {
  const rport = flow.protocol === 'udp' ? ';rport' : '';
  return `SIP/2.0/${flow.protocol.toUpperCase()} ${uriHost(flow.local.host)}:${flow.local.port}${rport};branch=${branch}`;
}
