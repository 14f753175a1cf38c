import type { ClientTransaction } from '../sipstack/client-transaction.ts';
import { readCSeq, readNameAddr, splitList } from '../sipstack/fields.ts';
import type { SipFlow } from '../sipstack/flow.ts';
import { header, headers, type SipHeader, type SipRequest, type SipResponse } from '../sipstack/message.ts';
import type { ServerTransaction } from '../sipstack/server-transaction.ts';
import type { AppClient } from './app-client.ts';
import type { ReliableProvisional } from './reliable-provisional.ts';

/**
 * `pending`: the INVITE is with the app (or with the peer) and no dialog exists on the network yet; `early`: a
 * provisional response has made one; `confirmed`: a 2xx has; `ended`: by BYE, failure or time-out. RFC 3261 §12.
 */
export type DialogState = 'pending' | 'early' | 'confirmed' | 'ended';

/** The state of a dialog (RFC 3261 §12) as the edge keeps it for the app that owns it. */
export interface Dialog {
  /** `<Call-ID>;from-tag=<tag of who sent the INVITE>`, as drachtio-server names it. */
  readonly id: string;
  /** What it was made for (RFC 5057 §2): a call, or a subscription of the peer's (RFC 6665). */
  readonly usage: 'invite' | 'subscribe';
  readonly role: 'uas' | 'uac';
  readonly client: AppClient;
  readonly callId: string;
  /** Transaction id of the INVITE, which its ACK is reported under. */
  readonly transactionId: string;
  readonly inviteNumber: number;
  state: DialogState;
  localTag: string;
  remoteTag: string;
  /** From of our requests, without its tag; To likewise. */
  readonly localAddress: string;
  remoteAddress: string;
  localNumber: number;
  remoteNumber: number;
  remoteTarget: string;
  routeSet: readonly string[];
  localContact: string;
  /** Where the peer's last request came from. */
  flow: SipFlow;
  /** The session description that we gave last, for a refresh. */
  localSession: Buffer;
  /** Runs while the session has an end (RFC 4028), or until the subscription has. */
  sessionTimer: NodeJS.Timeout | undefined;
  /** A re-INVITE of the edge's own is on its way, of which the app knows nothing. */
  refreshing: boolean;
  /** Our provisional response that the peer has not acknowledged yet. */
  reliable: ReliableProvisional | undefined;
  /** RSeq of the last such response, 0 before the first. */
  rseq: number;
  /** Our 2xx that the peer has not acknowledged yet. */
  unacknowledged: { readonly number: number; readonly transaction: ServerTransaction } | undefined;
  /** The last INVITE of ours that is not over: answered with 2xx and waiting for the app's ACK, or still open. */
  outgoingInvite: { readonly number: number; readonly transaction: ClientTransaction } | undefined;
}

export const dialogIdOf = (callId: string, fromTag: string): string => `${callId};from-tag=${fromTag}`;

/** What identifies the dialog that a request means. RFC 3261 §12.2.2. */
export interface DialogTags {
  readonly callId: string;
  readonly fromTag: string;
  /** `undefined` outside a dialog. */
  readonly toTag: string | undefined;
}

export function dialogTags(request: SipRequest): DialogTags {
  const tag = (name: string): string | undefined =>
    readNameAddr(header(request, name) ?? '')?.parameters.get('tag');
  return { callId: header(request, 'call-id') ?? '', fromTag: tag('from') ?? '', toTag: tag('to') };
}

/** The dialog that an INVITE or SUBSCRIBE from the network may become. RFC 3261 §12.1.1. */
export function uasDialog(
  transaction: ServerTransaction,
  options: { client: AppClient; transactionId: string; localContact: string },
): Dialog {
  const { request, flow } = transaction;
  const { callId, fromTag } = dialogTags(request);
  const number = readCSeq(header(request, 'cseq') ?? '')?.number ?? 0;
  return {
    id: dialogIdOf(callId, fromTag),
    usage: request.method === 'SUBSCRIBE' ? 'subscribe' : 'invite',
    role: 'uas',
    client: options.client,
    callId,
    transactionId: options.transactionId,
    inviteNumber: number,
    state: 'pending',
    localTag: transaction.toTag,
    remoteTag: fromTag,
    localAddress: withoutTag(header(request, 'to') ?? ''),
    remoteAddress: withoutTag(header(request, 'from') ?? ''),
    // sofia-sip goes on from the number of the INVITE; any would do (§12.1.1 leaves it empty).
    localNumber: number,
    remoteNumber: number,
    remoteTarget: contactUri(request) ?? '',
    routeSet: headers(request, 'record-route').flatMap(splitList),
    localContact: options.localContact,
    flow,
    localSession: Buffer.alloc(0),
    sessionTimer: undefined,
    refreshing: false,
    reliable: undefined,
    rseq: 0,
    unacknowledged: undefined,
    outgoingInvite: undefined,
  };
}

/** The dialog that an INVITE of the app may become. RFC 3261 §12.1.2; the peer's half comes with its responses. */
export function uacDialog(
  invite: SipRequest,
  flow: SipFlow,
  options: { client: AppClient; transactionId: string; localContact: string },
): Dialog {
  const from = header(invite, 'from') ?? '';
  const localTag = readNameAddr(from)?.parameters.get('tag') ?? '';
  const callId = header(invite, 'call-id') ?? '';
  const number = readCSeq(header(invite, 'cseq') ?? '')?.number ?? 0;
  return {
    id: dialogIdOf(callId, localTag),
    usage: 'invite',
    role: 'uac',
    client: options.client,
    callId,
    transactionId: options.transactionId,
    inviteNumber: number,
    state: 'pending',
    localTag,
    remoteTag: '',
    localAddress: withoutTag(from),
    remoteAddress: header(invite, 'to') ?? '',
    localNumber: number,
    remoteNumber: 0,
    remoteTarget: invite.uri,
    routeSet: [],
    localContact: options.localContact,
    flow,
    localSession: Buffer.alloc(0),
    sessionTimer: undefined,
    refreshing: false,
    reliable: undefined,
    rseq: 0,
    unacknowledged: undefined,
    outgoingInvite: undefined,
  };
}

/**
 * What a provisional or successful response to an INVITE of ours says about the peer. RFC 3261 §12.1.2, §12.2.1.2: the
 * first one with a tag establishes the dialog; every one may move the remote target.
 */
export function refreshByResponse(
  dialog: Dialog,
  response: SipResponse,
  role: 'may establish' | 'refreshes',
): void {
  const to = header(response, 'to') ?? '';
  const toTag = readNameAddr(to)?.parameters.get('tag');
  if (role === 'may establish' && dialog.state !== 'confirmed' && toTag !== undefined) {
    dialog.remoteTag = toTag;
    dialog.remoteAddress = withoutTag(to);
    dialog.routeSet = headers(response, 'record-route').flatMap(splitList).reverse();
    dialog.state = response.status >= 200 ? 'confirmed' : 'early';
  }
  dialog.remoteTarget = contactUri(response) ?? dialog.remoteTarget;
}

export function contactUri(message: { readonly headers: readonly SipHeader[] }): string | undefined {
  const value = header({ ...message, body: Buffer.alloc(0) }, 'contact');
  return value === undefined ? undefined : readNameAddr(splitList(value)[0] ?? '')?.uri;
}

const withoutTag = (address: string): string => address.replace(/;\s*tag\s*=\s*[^;,\s]*/i, '');
const withTag = (address: string, tag: string): string => (tag === '' ? address : `${address};tag=${tag}`);

/**
 * A request inside the dialog, without Via. RFC 3261 §12.2.1.1; loose routing only, so the Request-URI is the remote
 * target. ACK takes the number of its INVITE, every other request the next one.
 */
export function dialogRequest(
  dialog: Dialog,
  method: string,
  options: { number?: number; uri?: string; headers?: readonly SipHeader[]; body?: Buffer } = {},
): SipRequest {
  if (options.number === undefined) dialog.localNumber += 1;
  const number = options.number ?? dialog.localNumber;
  const body = options.body ?? Buffer.alloc(0);
  return {
    kind: 'request',
    method,
    uri: options.uri ?? dialog.remoteTarget,
    headers: [
      ...dialog.routeSet.map((value) => ({ name: 'Route', value })),
      { name: 'Max-Forwards', value: '70' },
      { name: 'From', value: withTag(dialog.localAddress, dialog.localTag) },
      { name: 'To', value: withTag(dialog.remoteAddress, dialog.remoteTag) },
      { name: 'Call-ID', value: dialog.callId },
      { name: 'CSeq', value: `${number} ${method}` },
      ...(options.headers ?? []),
      { name: 'Content-Length', value: String(body.length) },
    ],
    body,
  };
}
