import { randomUUID } from 'node:crypto';

import type { SipFlow } from '../sipstack/flow.ts';

/**
 * The messages of drachtio's wire protocol, as drachtio-server 0.9.10 and drachtio-srf 5.0 exchange them: a line of
 * fields between bars, the first of them a fresh id, then, after CRLF, a SIP message where there is one.
 */
export type ClientMessage =
  | { readonly kind: 'authenticate'; readonly id: string; readonly secret: string }
  | { readonly kind: 'route'; readonly id: string; readonly verb: string }
  | { readonly kind: 'remove-route'; readonly id: string; readonly verb: string }
  | { readonly kind: 'ping'; readonly id: string }
  | {
      readonly kind: 'sip';
      readonly id: string;
      readonly transactionId: string;
      readonly dialogId: string;
      /** Where a request outside a dialog is to be sent instead of to its Request-URI. */
      readonly routeUrl: string;
      readonly message: Buffer;
    }
  | { readonly kind: 'unreadable'; readonly id: string; readonly reason: string };

const CRLF = Buffer.from('\r\n');

export function decodeClientMessage(payload: Buffer): ClientMessage {
  const end = payload.indexOf(CRLF);
  const [id = '', verb, ...fields] = payload.toString('utf8', 0, end < 0 ? payload.length : end).split('|');
  switch (verb) {
    case undefined:
      return { kind: 'unreadable', id, reason: 'Invalid message format' };
    case 'authenticate':
      return { kind: 'authenticate', id, secret: fields[0] ?? '' };
    case 'route':
      return { kind: 'route', id, verb: (fields[0] ?? '').toUpperCase() };
    case 'remove_route':
      return { kind: 'remove-route', id, verb: (fields[0] ?? '').toUpperCase() };
    case 'ping':
      return { kind: 'ping', id };
    case 'sip': {
      const [transactionId = '', dialogId = '', routeUrl = ''] = fields;
      const message = end < 0 ? Buffer.alloc(0) : payload.subarray(end + CRLF.length);
      return { kind: 'sip', id, transactionId, dialogId, routeUrl, message };
    }
    default:
      return { kind: 'unreadable', id, reason: 'Unknown message type' };
  }
}

/** What the server says about a SIP message: who sent it, how long it is, how it travelled and when. */
export interface WireMeta {
  readonly source: 'network' | 'application';
  readonly bytes: number;
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
  readonly at: Date;
}

/** Between the peer and us: for what came in, and for our responses. */
export function metaOf(source: WireMeta['source'], message: Uint8Array, flow: SipFlow, at: Date): WireMeta {
  return { source, bytes: message.length, protocol: flow.protocol, ...flow.remote, at };
}

/** For a request of ours: over UDP drachtio-server tells its own address, over a connection the peer's. */
export function metaOfRequest(message: Uint8Array, flow: SipFlow, at: Date): WireMeta {
  const address = flow.protocol === 'udp' ? flow.local : flow.remote;
  return { ...metaOf('application', message, flow, at), ...address };
}

function metaFields(meta: WireMeta): string {
  // drachtio-server has microseconds; our clock does not, and nobody reads them.
  const time = `${meta.at.toISOString().slice(11, 23)}000`;
  return `${meta.source}|${meta.bytes}|${meta.protocol}|${meta.host}|${meta.port}|${time}`;
}

function compose(line: string, message?: Uint8Array): Buffer {
  const head = Buffer.from(`${randomUUID()}|${line}`, 'utf8');
  return message === undefined ? head : Buffer.concat([head, CRLF, message]);
}

/** `NO` is for what breaks the protocol and closes the connection, `NOK` for a request that could not be done. */
export function encodeAnswer(id: string, verdict: 'OK' | 'NOK' | 'NO', ...fields: readonly string[]): Buffer {
  return compose(['response', id, verdict, ...fields].join('|'));
}

/** A request that opens something new; `receivedOn` is the address of ours that it was sent to. */
export function encodeNewRequest(
  meta: WireMeta,
  ids: {
    readonly transactionId: string;
    readonly receivedOn: { readonly host: string; readonly port: number };
  },
  message: Uint8Array,
): Buffer {
  const { host, port } = ids.receivedOn;
  return compose(`sip|${metaFields(meta)}|${ids.transactionId}||${host}|${port}|`, message);
}

/** Anything that belongs to a transaction or dialog the client knows: requests, CANCEL, ACK, responses. */
export function encodeKnown(
  meta: WireMeta,
  ids: { readonly transactionId: string; readonly dialogId: string },
  message: Uint8Array,
): Buffer {
  return compose(`sip|${metaFields(meta)}|${ids.transactionId}|${ids.dialogId}|`, message);
}

/** The client's response went out; it gets to see it as the peer does. */
export function encodeResponseSent(
  id: string,
  meta: WireMeta,
  ids: { readonly transactionId: string; readonly dialogId: string },
  message: Uint8Array,
): Buffer {
  const line = `response|${id}|OK|${metaFields(meta)}|${ids.transactionId}|${ids.dialogId}||Msg sent:|`;
  return compose(line, message);
}

/** The client's request went out. Unlike in the other messages there is no dialog id, and one bar less. */
export function encodeRequestSent(
  id: string,
  meta: WireMeta,
  transactionId: string,
  message: Uint8Array,
): Buffer {
  return compose(`response|${id}|OK|${metaFields(meta)}|${transactionId}|Msg sent:|`, message);
}
