import { readCSeq } from '../sipstack/fields.ts';
import { header, headers, type SipRequest } from '../sipstack/message.ts';

/** RFC 3261 §9.1: everything that names the INVITE, and what the app adds (Reason, say). */
export function cancelOf(invite: SipRequest, written?: SipRequest): SipRequest {
  const copied = ['route', 'max-forwards', 'from', 'to', 'call-id'].flatMap((name) =>
    headers(invite, name).map((value) => ({ name: SPELLED.get(name) ?? name, value })),
  );
  const number = readCSeq(header(invite, 'cseq') ?? '')?.number ?? 0;
  const reasons = written === undefined ? [] : headers(written, 'reason');
  return {
    kind: 'request',
    method: 'CANCEL',
    uri: invite.uri,
    headers: [
      ...copied,
      { name: 'CSeq', value: `${number} CANCEL` },
      ...reasons.map((value) => ({ name: 'Reason', value })),
    ],
    body: Buffer.alloc(0),
  };
}

const SPELLED: ReadonlyMap<string, string> = new Map([
  ['route', 'Route'],
  ['max-forwards', 'Max-Forwards'],
  ['from', 'From'],
  ['to', 'To'],
  ['call-id', 'Call-ID'],
]);
