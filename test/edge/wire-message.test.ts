import { describe, expect, it } from 'vitest';

import {
  decodeClientMessage,
  encodeAnswer,
  encodeKnown,
  encodeNewRequest,
  encodeRequestSent,
  encodeResponseSent,
  type WireMeta,
} from '../../src/edge/wire-message.ts';

const meta: WireMeta = {
  source: 'network',
  bytes: 9,
  protocol: 'udp',
  host: '192.0.2.1',
  port: 5060,
  at: new Date('2026-01-02T03:04:05.678Z'),
};
const ids = { transactionId: 'txn', dialogId: 'dlg' };
const message = Buffer.from('BYE ü', 'utf8');
/** Without the random id in front. */
const tail = (payload: Buffer): string => payload.toString('utf8').replace(/^[0-9a-f-]{36}\|/, '');

describe('decodeClientMessage', () => {
  it.each([
    ['a|authenticate|s3cret|', { kind: 'authenticate', id: 'a', secret: 's3cret' }],
    ['a|authenticate|s3cret|tag1,tag2', { kind: 'authenticate', id: 'a', secret: 's3cret' }],
    ['b|route|invite', { kind: 'route', id: 'b', verb: 'INVITE' }],
    ['b|remove_route|invite', { kind: 'remove-route', id: 'b', verb: 'INVITE' }],
    ['c|ping', { kind: 'ping', id: 'c' }],
    ['abc', { kind: 'unreadable', id: 'abc', reason: 'Invalid message format' }],
    ['d|bogus|x', { kind: 'unreadable', id: 'd', reason: 'Unknown message type' }],
  ])('reads %s', (text, expected) => {
    expect(decodeClientMessage(Buffer.from(text))).toEqual(expected);
  });

  it('splits a sip message at the first line end only', () => {
    const payload = Buffer.from('e|sip|txn|dlg|sip:proxy\r\nSIP/2.0 200 OK\r\n\r\nüber', 'utf8');
    expect(decodeClientMessage(payload)).toEqual({
      kind: 'sip',
      id: 'e',
      transactionId: 'txn',
      dialogId: 'dlg',
      routeUrl: 'sip:proxy',
      message: Buffer.from('SIP/2.0 200 OK\r\n\r\nüber', 'utf8'),
    });
  });
});

// The lines of drachtio-server 0.9.10, with other ids.
describe('what the edge writes', () => {
  it('answers', () => {
    expect(tail(encodeAnswer('id', 'OK'))).toBe('response|id|OK');
    expect(tail(encodeAnswer('id', 'NO', 'incorrect secret'))).toBe('response|id|NO|incorrect secret');
  });

  it('offers a new request with the address that it was received on, and no dialog', () => {
    const receivedOn = { host: '192.0.2.9', port: 5070 };
    expect(tail(encodeNewRequest(meta, { transactionId: 'txn', receivedOn }, message))).toBe(
      'sip|network|9|udp|192.0.2.1|5060|03:04:05.678000|txn||192.0.2.9|5070|\r\nBYE ü',
    );
  });

  it('names transaction and dialog where both are known', () => {
    expect(tail(encodeKnown(meta, ids, message))).toBe(
      'sip|network|9|udp|192.0.2.1|5060|03:04:05.678000|txn|dlg|\r\nBYE ü',
    );
  });

  it('shows the response that was sent, with one field more than for a request', () => {
    const sent = { ...meta, source: 'application' as const };
    expect(tail(encodeResponseSent('id', sent, ids, message))).toBe(
      'response|id|OK|application|9|udp|192.0.2.1|5060|03:04:05.678000|txn|dlg||Msg sent:|\r\nBYE ü',
    );
    expect(tail(encodeRequestSent('id', sent, 'txn', message))).toBe(
      'response|id|OK|application|9|udp|192.0.2.1|5060|03:04:05.678000|txn|Msg sent:|\r\nBYE ü',
    );
  });
});
