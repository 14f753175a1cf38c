import { once } from 'node:events';

import type Srf from 'drachtio-srf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Edge } from '../../src/edge/edge.ts';
import { headerOf, invite, newCall, request, type SipPeer, tcpPeer, udpPeer } from '../support/sip-peer.ts';
import { connectApp, sipAddress, startTestEdge, until } from './app.ts';

let edge: Edge;
let app: Srf;
let peer: SipPeer;
let asked: string[];
beforeEach(async () => {
  asked = [];
  edge = await startTestEdge();
  app = await connectApp(edge, (srf) => {
    srf.invite((req, res) => {
      asked.push(req.get('Call-ID'));
      res.send(486);
    });
    srf.use('options', (_req, res) => {
      res.send(200);
    });
  });
  peer = await udpPeer(sipAddress(edge, 'udp'));
});
afterEach(async () => {
  app.disconnect();
  await peer.close();
  await edge.close();
});

/** The edge still does its work. */
async function isAlive(): Promise<void> {
  await using other = await udpPeer(sipAddress(edge, 'udp'));
  other.send(request(other, 'OPTIONS', newCall()));
  await other.next(/^SIP\/2.0 200/);
}

const edited = (find: RegExp, replace: string): string =>
  invite(peer, newCall()).toString().replace(find, replace);

describe('over UDP', () => {
  it.each([
    ['without Call-ID', /^Call-ID: .*\r\n/m, '', '400 Bad Request'],
    ['without To', /^To: .*\r\n/m, '', '400 Bad Request'],
    ['without From', /^From: .*\r\n/m, '', '400 Bad Request'],
    ['without CSeq', /^CSeq: .*\r\n/m, '', '400 Bad Request'],
    ['with the CSeq of another method', /^CSeq: .*\r\n/m, 'CSeq: 1 OPTIONS\r\n', '400 Bad Request'],
    ['with a CSeq that is no number', /^CSeq: .*\r\n/m, 'CSeq: abc INVITE\r\n', '400 Bad CSeq Header'],
    ['with a CSeq beyond 31 bits', /^CSeq: .*\r\n/m, 'CSeq: 2147483648 INVITE\r\n', '400 Bad CSeq Header'],
    ['with an unreadable From', /^From: .*\r\n/m, 'From: <sip:a b\r\n', '400 Bad From Header'],
    ['with an unreadable Contact', /^Contact: .*\r\n/m, 'Contact: <<<\r\n', '400 Bad Contact Header'],
    [
      'with a Contact whose URI names no host',
      /^Contact: .*\r\n/m,
      'Contact: <sip:@@@::>\r\n',
      '400 Bad Contact Header',
    ],
    [
      'with a Session-Expires without number',
      /^Contact: /m,
      'x: abc\r\nContact: ',
      '400 Bad Session-Expires Header',
    ],
    ['with a line that is no header', /^Contact: /m, 'Garbage\r\nContact: ', '400 Bad Request'],
    [
      'with more body announced than sent',
      /^Content-Length: \d+/m,
      'Content-Length: 9999',
      '400 Bad Request',
    ],
    ['with a length that is no number', /^Content-Length: \d+/m, 'Content-Length: x', '400 Bad Request'],
    ['with two lengths', /^Content-Length: /m, 'Content-Length: 5\r\nContent-Length: ', '400 Bad Request'],
    ['with two From', /^Contact: /m, 'f: <sip:other@example.org>;tag=1\r\nContact: ', '400 Bad Request'],
    ['of another SIP version', /SIP\/2\.0\r\nVia/, 'SIP/3.0\r\nVia', '505 Version Not Supported'],
  ])('an INVITE %s is refused', async (_, find, replace, status) => {
    peer.send(edited(find, replace));
    await peer.next(new RegExp(`^SIP/2.0 ${status}\r\n`));
    expect(asked).toEqual([]);
    await isAlive();
  });

  it.each([
    ['garbage', 'hello world\r\n\r\n'],
    ['zero bytes', '\0\0\0\0'],
    ['a keep-alive', '\r\n\r\n'],
    ['an empty datagram', ''],
    [
      'a response to nothing',
      'SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\r\nCSeq: 1 INVITE\r\n\r\n',
    ],
    ['a status line alone', 'SIP/2.0 200 OK\r\n\r\n'],
    ['an INVITE without Via', 'INVITE sip:a SIP/2.0\r\nCall-ID: x\r\n\r\n'],
    ['an ACK of nothing', 'ACK sip:a SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\r\n\r\n'],
  ])('%s is dropped without an answer', async (_, text) => {
    peer.send(text);
    await isAlive();
    expect(peer.received).toEqual([]);
    expect(asked).toEqual([]);
  });

  it.each([
    ['no Contact', /^Contact: .*\r\n/m, ''],
    ['no Max-Forwards', /^Max-Forwards: .*\r\n/m, ''],
    ['a From without tag', /;tag=from-\w+/, ''],
    [
      'a tel: Request-URI and From',
      /sip:uas@example\.org SIP|<sip:peer@example\.org>/g,
      'tel:+8613800138000 SIP',
    ],
    ['an underscore in a host name', /@example\.org>/g, '@pbx_1.local>'],
    ['two Via values in one line', /^(Via: .*)\r\n/m, '$1, SIP/2.0/UDP 192.0.2.8;branch=z9hG4bKproxy\r\n'],
    ['compact header names', /^Call-ID: /m, 'i: '],
    ['a folded header', /^Max-Forwards: 70/m, 'Subject: one\r\n two\r\nMax-Forwards: 70'],
  ])('an INVITE with %s is taken', async (_, find, replace) => {
    const text = edited(find, replace).replace(
      'From: "Peer" tel:+8613800138000 SIP',
      'From: <tel:+8613800138000>',
    );
    peer.send(
      text.replace(/Content-Length: \d+/, `Content-Length: ${text.length - text.indexOf('\r\n\r\n') - 4}`),
    );
    const busy = await peer.next(/^SIP\/2.0 486/);
    expect(headerOf(busy, 'Via')).toContain(`rport=${peer.port}`);
    expect(asked).toHaveLength(1);
  });

  it('a body longer than Content-Length is cut there', async () => {
    peer.send(`${invite(peer, newCall()).toString()}trailing`);
    await peer.next(/^SIP\/2.0 486/);
  });
});

describe('over TCP', () => {
  it('two messages in one segment and one in pieces are three requests', async () => {
    await using stream = await tcpPeer(sipAddress(edge, 'tcp'));
    const [a, b, c] = [newCall(), newCall(), newCall()].map((call) => request(stream, 'OPTIONS', call));
    stream.send(Buffer.concat([a!, b!]));
    await stream.next(/^SIP\/2.0 200/);
    await stream.next(/^SIP\/2.0 200/);
    for (const byte of c!) stream.send(Buffer.from([byte]));
    await stream.next(/^SIP\/2.0 200/);
    expect(stream.received).toHaveLength(3);
  });

  it('a keep-alive is answered', async () => {
    await using stream = await tcpPeer(sipAddress(edge, 'tcp'));
    stream.send('\r\n\r\n');
    expect(await stream.next(/^\r\n$/)).toBe('\r\n');
    stream.send(request(stream, 'OPTIONS', newCall()));
    await stream.next(/^SIP\/2.0 200/);
  });

  it('a message that cannot be read is dropped, and the next one is served', async () => {
    await using stream = await tcpPeer(sipAddress(edge, 'tcp'));
    stream.send('garbage\r\n\r\n');
    stream.send(request(stream, 'OPTIONS', newCall()));
    await stream.next(/^SIP\/2.0 200/);
    expect(edge.counters().malformed).toBe(1);
  });

  it.each([
    ['is longer than 64 KiB', `OPTIONS sip:a SIP/2.0\r\nContent-Length: 65536\r\n\r\n`],
    ['has no end of its head within 64 KiB', 'x'.repeat(65_537)],
    ['has a length that is no number', 'OPTIONS sip:a SIP/2.0\r\nContent-Length: many\r\n\r\n'],
    ['has two lengths', 'OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\nl: 9\r\n\r\n'],
  ])('a connection whose message %s is closed', async (_, text) => {
    await using stream = await tcpPeer(sipAddress(edge, 'tcp'));
    stream.socket.on('error', () => undefined);
    stream.send(text);
    await once(stream.socket, 'close');
    expect(edge.counters()).toMatchObject({ malformed: 1 });
    await isAlive();
  });

  it('a large message arrives whole', async () => {
    await using stream = await tcpPeer(sipAddress(edge, 'tcp'));
    const call = newCall();
    stream.send(invite(stream, call, { body: `v=0\r\n${'a=x\r\n'.repeat(12_000)}` }));
    await stream.next(/^SIP\/2.0 486/);
    expect(asked).toEqual([call.callId]);
  });

  it('a peer that goes before the answer leaves nothing behind', async () => {
    const stream = await tcpPeer(sipAddress(edge, 'tcp'));
    stream.send(invite(stream, newCall()));
    await stream.close();
    await until(() => edge.counters().connections === 0 && edge.counters().requestsWithApp === 0);
    expect(edge.counters()).toMatchObject({ dialogs: 0, serverTransactions: 0 });
    await isAlive();
  });
});
