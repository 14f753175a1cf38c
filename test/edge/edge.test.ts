import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';

import type Srf from 'drachtio-srf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { type Edge, startEdge } from '../../src/edge/edge.ts';
import { CallscribeError } from '../../src/errors.ts';
import { silentLogger } from '../../src/log.ts';
import {
  headerOf,
  invite,
  newCall,
  request,
  type SipPeer,
  tagOf,
  tcpPeer,
  udpPeer,
} from '../support/sip-peer.ts';
import {
  ANSWER,
  connectApp,
  type Dialog,
  hangUp,
  sipAddress,
  type SrfRequest,
  type SrfResponse,
  startTestEdge,
  until,
} from './app.ts';

let edge: Edge;
let app: Srf | undefined;
beforeEach(async () => {
  edge = await startTestEdge();
});
afterEach(async () => {
  app?.disconnect();
  app = undefined;
  await edge.close();
});

const peerOf = (protocol: 'udp' | 'tcp'): Promise<SipPeer> =>
  (protocol === 'udp' ? udpPeer : tcpPeer)(sipAddress(edge, protocol));

/** Answers every INVITE, and notes what happens. */
async function answering(events: string[], dialogs: Dialog[] = []): Promise<Srf> {
  return connectApp(edge, (srf) => {
    srf.invite((req, res) => {
      void srf.createUAS(req, res, { localSdp: ANSWER }).then((dialog) => {
        dialogs.push(dialog);
        dialog.on('ack', () => events.push('ack'));
        dialog.on('destroy', () => events.push('destroy'));
      });
    });
  });
}

describe.each(['udp', 'tcp'] as const)('a call over %s', (protocol) => {
  it('is offered, answered, acknowledged and ended by the peer', async () => {
    const events: string[] = [];
    const dialogs: Dialog[] = [];
    app = await answering(events, dialogs);
    await using peer = await peerOf(protocol);
    const call = newCall();
    peer.send(invite(peer, call));
    await peer.next(/^SIP\/2.0 100/);
    const ok = await peer.next(/^SIP\/2.0 200/);
    expect(ok).toContain(ANSWER);
    expect(headerOf(ok, 'Via')).toContain(`;rport=${peer.port}`);
    const { port } = sipAddress(edge, protocol);
    expect(headerOf(ok, 'Contact')).toBe(
      protocol === 'udp' ? `<sip:127.0.0.1:${port}>` : `<sip:127.0.0.1:${port};transport=tcp>`,
    );
    peer.send(request(peer, 'ACK', call, { toTag: tagOf(ok) }));
    await until(() => events.includes('ack'));
    expect(dialogs[0]).toMatchObject({
      id: `${call.callId};from-tag=${call.fromTag}`,
      sip: { callId: call.callId, localTag: tagOf(ok), remoteTag: call.fromTag },
    });
    peer.send(request(peer, 'BYE', call, { cseq: 2, toTag: tagOf(ok) }));
    await peer.next(/^SIP\/2.0 200[^]*CSeq: 2 BYE/);
    await until(() => events.includes('destroy'));
    expect(events).toEqual(['ack', 'destroy']);
    expect(edge.counters()).toMatchObject({ dialogs: 0, requestsWithApp: 0, apps: 1 });
  });

  it('is ended by the app, with its headers', async () => {
    const events: string[] = [];
    const dialogs: Dialog[] = [];
    app = await answering(events, dialogs);
    await using peer = await peerOf(protocol);
    const call = newCall();
    peer.send(invite(peer, call, { cseq: 7 }));
    const ok = await peer.next(/^SIP\/2.0 200/);
    peer.send(request(peer, 'ACK', call, { cseq: 7, toTag: tagOf(ok) }));
    await until(() => events.includes('ack'));
    const ended = hangUp(dialogs[0]!, { 'X-Reason': 'done' });
    const bye = await peer.next(/^BYE /);
    expect(bye.split('\r\n')[0]).toBe(
      `BYE sip:peer@${peer.hostport}${protocol === 'tcp' ? ';transport=tcp' : ''} SIP/2.0`,
    );
    expect(headerOf(bye, 'From')).toBe(`<sip:uas@example.org>;tag=${tagOf(ok)}`);
    expect(headerOf(bye, 'To')).toBe(`"Peer" <sip:peer@example.org>;tag=${call.fromTag}`);
    expect(headerOf(bye, 'CSeq')).toBe('8 BYE');
    expect(headerOf(bye, 'X-Reason')).toBe('done');
    peer.send(`SIP/2.0 200 OK\r\n${bye.slice(bye.indexOf('Via:'))}`);
    await ended;
    expect(edge.counters().dialogs).toBe(0);
  });
});

describe('what the app is told about a request', () => {
  let requests: SrfRequest[];
  beforeEach(async () => {
    requests = [];
    app = await connectApp(edge, (srf) => {
      srf.invite((req, res) => {
        requests.push(req);
        res.send(486, { headers: { 'Retry-After': '30', 'X-Cause': 'busy' } });
      });
    });
  });

  it('is its source, the address it was received on, and its bytes with the Via filled in', async () => {
    await using peer = await udpPeer(sipAddress(edge, 'udp'));
    peer.send(invite(peer, newCall()));
    await peer.next(/^SIP\/2.0 486/);
    expect(requests[0]).toMatchObject({
      source: 'network',
      protocol: 'udp',
      source_address: '127.0.0.1',
      source_port: peer.port,
      receivedOn: `127.0.0.1:${sipAddress(edge, 'udp').port}`,
    });
    expect(requests[0]!.get('Via')).toContain(`rport=${peer.port}`);
  });

  it('keeps text beyond ASCII in headers and in every part of a body', async () => {
    const body = Buffer.from(
      `--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\ns=坐席 ☎\r\n--b\r\n` +
        `Content-Type: application/rs-metadata+xml\r\n\r\n<name>张三 ünï 😀</name>\r\n--b--\r\n`,
    );
    await using peer = await tcpPeer(sipAddress(edge, 'tcp'));
    peer.send(
      invite(peer, newCall(), {
        body,
        contentType: 'multipart/mixed;boundary=b',
        headers: ['Subject: 投诉'],
      }),
    );
    await peer.next(/^SIP\/2.0 486/);
    expect(requests[0]!.get('Subject')).toBe('投诉');
    expect(requests[0]!.body).toBe(body.toString('utf8'));
    expect(requests[0]!.payload.map(({ content }) => content)).toEqual([
      expect.stringContaining('坐席 ☎'),
      expect.stringContaining('张三 ünï 😀'),
    ]);
  });

  it('passes the refusal and its headers on, and absorbs the ACK', async () => {
    await using peer = await udpPeer(sipAddress(edge, 'udp'));
    const call = newCall();
    peer.send(invite(peer, call));
    const busy = await peer.next(/^SIP\/2.0 486 Busy Here/);
    expect(headerOf(busy, 'Retry-After')).toBe('30');
    expect(headerOf(busy, 'X-Cause')).toBe('busy');
    expect(headerOf(busy, 'Contact')).toBeUndefined();
    peer.send(request(peer, 'ACK', call, { branch: call.branch, toTag: tagOf(busy) }));
    peer.send(request(peer, 'OPTIONS', newCall()));
    await peer.next(/^SIP\/2.0 503/);
    expect(requests).toHaveLength(1);
    expect(edge.counters()).toMatchObject({ dialogs: 0, requestsWithApp: 0 });
  });
});

it('serves IPv6 with brackets where an address stands in a URI', async () => {
  await using v6 = await startTestEdge({
    listen: [
      { protocol: 'udp', host: '::1', port: 0 },
      { protocol: 'tcp', host: '::1', port: 0 },
    ],
  });
  const requests: SrfRequest[] = [];
  const srf = await connectApp(v6, (made) => {
    made.invite((req, res) => {
      requests.push(req);
      void made.createUAS(req, res, { localSdp: ANSWER });
    });
  });
  for (const protocol of ['udp', 'tcp'] as const) {
    await using peer = await (protocol === 'udp' ? udpPeer : tcpPeer)(sipAddress(v6, protocol));
    const call = newCall();
    peer.send(invite(peer, call));
    const ok = await peer.next(/^SIP\/2.0 200/);
    const { port } = sipAddress(v6, protocol);
    expect(headerOf(ok, 'Contact')).toContain(`sip:[::1]:${port}`);
    expect(requests.at(-1)).toMatchObject({ source_address: '::1', receivedOn: `[::1]:${port}` });
    peer.send(request(peer, 'BYE', call, { cseq: 2, toTag: tagOf(ok) }));
    await peer.next(/^SIP\/2.0 200[^]*CSeq: 2 BYE/);
  }
  srf.disconnect();
});

it('tells a peer of a wildcard socket the address that it reaches', async () => {
  await using wide = await startTestEdge({ listen: [{ protocol: 'udp', host: '0.0.0.0', port: 0 }] });
  const srf = await connectApp(wide, (made) => {
    made.invite((req, res) => void made.createUAS(req, res, { localSdp: ANSWER }));
  });
  const { port } = sipAddress(wide, 'udp');
  await using peer = await udpPeer({ host: '127.0.0.1', port });
  peer.send(invite(peer, newCall()));
  expect(headerOf(await peer.next(/^SIP\/2.0 200/), 'Contact')).toBe(`<sip:127.0.0.1:${port}>`);
  srf.disconnect();
});

describe('applications', () => {
  it('are let in with the secret and told the SIP addresses', async () => {
    app = await connectApp(edge, () => undefined);
    const socket = connect(edge.port, edge.host);
    const hello = `id-1|authenticate|${edge.secret}|`;
    socket.write(`${hello.length}#${hello}`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    const hostports = edge.sipAddresses
      .map(({ protocol, host, port }) => `${protocol}/${host}:${port}`)
      .join(',');
    expect(answer.toString()).toMatch(/^\d+#[0-9a-f-]{36}\|response\|id-1\|OK\|/);
    expect(answer.toString().split('|')).toEqual([
      expect.anything(),
      'response',
      'id-1',
      'OK',
      hostports,
      expect.stringMatching(/^v\d+\.\d+\.\d+/),
      hostports,
    ]);
    socket.destroy();
  });

  it.each([
    ['a wrong secret', 'a|authenticate|wrong|', 'a|NO|incorrect secret'],
    ['a route before the secret', 'b|route|invite', 'b|NO|not authenticated'],
    ['an unknown verb', 'c|bogus|x', 'c|NO|Unknown message type'],
    ['no verb', 'abc', 'abc|NO|Invalid message format'],
  ])('are cut off after %s', async (_, payload, answer) => {
    const socket = connect(edge.port, edge.host);
    socket.write(`${payload.length}#${payload}`);
    const [reply] = (await once(socket, 'data')) as [Buffer];
    expect(reply.toString()).toMatch(new RegExp(`\\|response\\|${answer.replaceAll('|', '\\|')}$`));
    await once(socket, 'close');
  });

  it('are cut off when the stream has lost its frame', async () => {
    const socket = connect(edge.port, edge.host);
    socket.write('abc#abc');
    socket.resume();
    await once(socket, 'close');
  });

  it('take new requests in turn', async () => {
    const taken: string[] = [];
    const busy = (name: string) => (srf: Srf) => {
      srf.invite((_req: SrfRequest, res: SrfResponse) => {
        taken.push(name);
        res.send(486);
      });
    };
    app = await connectApp(edge, busy('first'));
    const second = await connectApp(edge, busy('second'));
    await using peer = await udpPeer(sipAddress(edge, 'udp'));
    for (let at = 0; at < 4; at += 1) {
      peer.send(invite(peer, newCall()));
      await peer.next(/^SIP\/2.0 486/);
    }
    second.disconnect();
    expect(taken.toSorted()).toEqual(['first', 'first', 'second', 'second']);
  });
});

describe('without an app', () => {
  it('a new call gets 100 and 503', async () => {
    await using peer = await udpPeer(sipAddress(edge, 'udp'));
    peer.send(invite(peer, newCall()));
    await peer.next(/^SIP\/2.0 503 Service Unavailable/);
    expect(peer.received.map((text) => text.slice(8, 11))).toEqual(['100', '503']);
  });

  it('a call whose app has gone gets 481 to its next request', async () => {
    const events: string[] = [];
    app = await answering(events);
    await using peer = await udpPeer(sipAddress(edge, 'udp'));
    const call = newCall();
    peer.send(invite(peer, call));
    const ok = await peer.next(/^SIP\/2.0 200/);
    peer.send(request(peer, 'ACK', call, { toTag: tagOf(ok) }));
    await until(() => events.includes('ack'));
    app.disconnect();
    app = undefined;
    await until(() => edge.counters().apps === 0);
    // Another one that takes such requests outside a call does not inherit it.
    app = await connectApp(edge, (srf) => {
      srf.use('info', (_req, res) => {
        res.send(200);
      });
    });
    for (const [cseq, method] of [
      [2, 'INFO'],
      [3, 'INVITE'],
      [4, 'BYE'],
    ] as const) {
      peer.send(request(peer, method, call, { cseq, toTag: tagOf(ok) }));
      await peer.next(new RegExp(`^SIP/2.0 481[^]*CSeq: ${cseq} ${method}`));
    }
    expect(edge.counters().dialogs).toBe(0);
  });

  it('a call that waits for its answer gets 503 when the app goes', async () => {
    app = await connectApp(edge, (srf) => {
      srf.invite((_req, res) => {
        res.send(180, () => {
          srf.disconnect();
        });
      });
    });
    await using peer = await udpPeer(sipAddress(edge, 'udp'));
    peer.send(invite(peer, newCall()));
    await peer.next(/^SIP\/2.0 180/);
    await peer.next(/^SIP\/2.0 503/);
    app = undefined;
    expect(edge.counters()).toMatchObject({ dialogs: 0, requestsWithApp: 0 });
  });
});

it('answers 403 to whoever may not call, and the app never hears of it', async () => {
  await using guarded = await startTestEdge({
    admit: (address) => (address === '127.0.0.1' ? 'refuse' : 'serve'),
  });
  let asked = 0;
  const srf = await connectApp(guarded, (made) => {
    made.invite(() => (asked += 1));
    made.use('options', () => (asked += 1));
  });
  await using peer = await udpPeer(sipAddress(guarded, 'udp'));
  peer.send(invite(peer, newCall()));
  await peer.next(/^SIP\/2.0 403 Forbidden[^]*INVITE/);
  peer.send(request(peer, 'OPTIONS', newCall()));
  await peer.next(/^SIP\/2.0 403 Forbidden[^]*OPTIONS/);
  expect(guarded.counters()).toMatchObject({ refused: 2, dialogs: 0 });
  expect(asked).toBe(0);
  srf.disconnect();
});

describe('who may not call', () => {
  const stranger = async (
    admission: 'refuse' | 'ignore',
    protocol: 'udp' | 'tcp',
  ): Promise<{ guarded: Edge; peer: SipPeer; closed: Promise<void> } & AsyncDisposable> => {
    const guarded = await startTestEdge({ admit: () => admission });
    if (protocol === 'udp') {
      const peer = await udpPeer(sipAddress(guarded, 'udp'));
      return { guarded, peer, closed: Promise.resolve(), [Symbol.asyncDispose]: () => guarded.close() };
    }
    const peer = await tcpPeer(sipAddress(guarded, 'tcp'));
    peer.socket.on('error', () => undefined);
    const closed = new Promise<void>((resolve) =>
      peer.socket.once('close', () => {
        resolve();
      }),
    );
    return { guarded, peer, closed, [Symbol.asyncDispose]: () => guarded.close() };
  };

  it('is told so on a stream, once, and the stream is closed', async () => {
    await using it = await stranger('refuse', 'tcp');
    it.peer.send(Buffer.concat([invite(it.peer, newCall()), invite(it.peer, newCall())]));
    await it.peer.next(/^SIP\/2.0 403 Forbidden/);
    await it.closed;
    expect(it.peer.received).toHaveLength(1);
    expect(it.guarded.counters()).toMatchObject({ refused: 1, serverTransactions: 0 });
  });

  it('gets the same answer to the same request, and none to ACK and CANCEL (RFC 3261 §8.2.7)', async () => {
    await using it = await stranger('refuse', 'udp');
    const call = newCall();
    for (const method of ['ACK', 'CANCEL']) it.peer.send(request(it.peer, method, call));
    const asked = request(it.peer, 'OPTIONS', call);
    it.peer.send(asked);
    it.peer.send(asked);
    const [first, second] = [await it.peer.next(/^SIP/), await it.peer.next(/^SIP/)];
    expect(first).toMatch(/^SIP\/2.0 403 [^]*CSeq: 1 OPTIONS/);
    expect(second).toBe(first);
    expect(it.guarded.counters()).toMatchObject({ refused: 4, serverTransactions: 0 });
    await it.peer.close();
  });

  it('hears nothing over UDP where silence is wanted', async () => {
    await using it = await stranger('ignore', 'udp');
    it.peer.send(invite(it.peer, newCall()));
    it.peer.send('garbage');
    await until(() => it.guarded.counters().refused === 2);
    expect(it.peer.received).toEqual([]);
    expect(it.guarded.counters()).toMatchObject({ messagesSent: 0, malformed: 0, serverTransactions: 0 });
    await it.peer.close();
  });

  it('is cut off on a stream where silence is wanted', async () => {
    await using it = await stranger('ignore', 'tcp');
    await it.closed;
    expect(it.guarded.counters()).toMatchObject({ refused: 1, messagesSent: 0, connections: 0 });
  });
});

it('a request with more than 256 header lines is refused, one with 256 is not', async () => {
  const turnedAway: string[] = [];
  await using limited = await startTestEdge({ onTurnedAway: (reason) => turnedAway.push(reason) });
  await using peer = await udpPeer(sipAddress(limited, 'udp'));
  const filled = (lines: number): string => {
    const call = request(peer, 'OPTIONS', newCall()).toString();
    const present = call.trimEnd().split('\r\n').length - 1;
    return call.replace('\r\n', `\r\n${'X-Filler: 1\r\n'.repeat(lines - present)}`);
  };
  peer.send(filled(256));
  await peer.next(/^SIP\/2.0 503/);
  expect(turnedAway).toEqual([]);
  // The Via comes too late to be read: there is nobody to answer. At the end it is read in time.
  const [first = '', ...rest] = filled(300).trimEnd().split('\r\n');
  peer.send(`${[first, ...rest.reverse()].join('\r\n')}\r\n\r\n`);
  await peer.next(/^SIP\/2.0 400 Too Many Headers/);
  expect(turnedAway).toEqual(['headers']);
});

it.each(['udp', 'tcp'] as const)('names a %s address that is taken, and the way out', async (protocol) => {
  const { port } = sipAddress(edge, protocol);
  const listen = [{ protocol, host: '127.0.0.1', port }];
  const failure = await startEdge({ listen, logger: silentLogger }).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(CallscribeError);
  expect(failure).toMatchObject({
    code: 'ADDRESS_IN_USE',
    message: expect.stringMatching(new RegExp(`${protocol}:127\\.0\\.0\\.1:${port} .*SIP_LISTEN`)) as unknown,
  });
});

it('gives its ports back when it is closed, and may be closed twice', async () => {
  const { port } = sipAddress(edge, 'udp');
  await edge.close();
  await edge.close();
  const socket = createSocket('udp4').bind(port, '127.0.0.1');
  await once(socket, 'listening');
  socket.close();
});
