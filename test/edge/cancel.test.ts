import { once } from 'node:events';
import { connect } from 'node:net';

import type Srf from 'drachtio-srf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Edge } from '../../src/edge/edge.ts';
import { invite, newCall, request, type SipPeer, tagOf, udpPeer } from '../support/sip-peer.ts';
import {
  ANSWER,
  connectApp,
  sendResponse,
  sipAddress,
  type SrfRequest,
  type SrfResponse,
  startTestEdge,
  until,
} from './app.ts';

let edge: Edge;
let app: Srf;
let peer: SipPeer;
let calls: { req: SrfRequest; res: SrfResponse }[];
let cancelled: string[];
beforeEach(async () => {
  calls = [];
  cancelled = [];
  edge = await startTestEdge();
  app = await connectApp(edge, (srf) => {
    srf.invite((req, res) => {
      calls.push({ req, res });
      req.on('cancel', (cancel) => cancelled.push(cancel.get('Reason')));
    });
  });
  peer = await udpPeer(sipAddress(edge, 'udp'));
});
afterEach(async () => {
  app.disconnect();
  await peer.close();
  await edge.close();
});

const UNKNOWN = 'Response not sent due to unknown transaction';

describe('CANCEL', () => {
  it('before any answer ends the call; the app is told, and its late answer is refused', async () => {
    const call = newCall();
    peer.send(invite(peer, call));
    await until(() => calls.length === 1);
    peer.send(request(peer, 'CANCEL', call, { branch: call.branch, headers: ['Reason: SIP;cause=200'] }));
    await peer.next(/^SIP\/2.0 200[^]*CSeq: 1 CANCEL/);
    const terminated = await peer.next(/^SIP\/2.0 487 Request Terminated[^]*CSeq: 1 INVITE/);
    peer.send(request(peer, 'ACK', call, { branch: call.branch, toTag: tagOf(terminated) }));
    await until(() => cancelled.length === 1);
    expect(cancelled).toEqual(['SIP;cause=200']);
    expect(await sendResponse(calls[0]!.res, 200, { body: ANSWER })).toBe(UNKNOWN);
    expect(edge.counters()).toMatchObject({ dialogs: 0, requestsWithApp: 0 });
  });

  it('after a provisional response ends the early dialog under its tag', async () => {
    const call = newCall();
    peer.send(invite(peer, call));
    await until(() => calls.length === 1);
    expect(await sendResponse(calls[0]!.res, 180)).toBeUndefined();
    const ringing = await peer.next(/^SIP\/2.0 180/);
    expect(tagOf(ringing)).not.toBe('');
    peer.send(request(peer, 'CANCEL', call, { branch: call.branch }));
    expect(tagOf(await peer.next(/^SIP\/2.0 200[^]*CSeq: 1 CANCEL/))).toBe(tagOf(ringing));
    expect(tagOf(await peer.next(/^SIP\/2.0 487/))).toBe(tagOf(ringing));
    await until(() => cancelled.length === 1);
    expect(await sendResponse(calls[0]!.res, 487)).toBe(UNKNOWN);
    expect(edge.counters().dialogs).toBe(0);
  });

  it('after 200 comes too late: 481, and the call stays', async () => {
    const call = newCall();
    peer.send(invite(peer, call));
    await until(() => calls.length === 1);
    await sendResponse(calls[0]!.res, 200, { body: ANSWER });
    await peer.next(/^SIP\/2.0 200/);
    peer.send(request(peer, 'CANCEL', call, { branch: call.branch }));
    await peer.next(/^SIP\/2.0 481[^]*CSeq: 1 CANCEL/);
    expect(cancelled).toEqual([]);
    expect(edge.counters().dialogs).toBe(1);
  });

  it('of nothing we know gets 481', async () => {
    peer.send(request(peer, 'CANCEL', newCall()));
    await peer.next(/^SIP\/2.0 481[^]*CSeq: 1 CANCEL/);
  });
});

describe('a repeated INVITE', () => {
  it('reaches the app once, and gets what was answered last', async () => {
    const call = newCall();
    peer.send(invite(peer, call));
    await until(() => calls.length === 1);
    peer.send(invite(peer, call));
    await until(() => edge.counters().retransmissionsAbsorbed === 1);
    await sendResponse(calls[0]!.res, 180);
    await peer.next(/^SIP\/2.0 180/);
    peer.send(invite(peer, call));
    await peer.next(/^SIP\/2.0 180/);
    await sendResponse(calls[0]!.res, 200, { body: ANSWER });
    const first = await peer.next(/^SIP\/2.0 200/);
    peer.send(invite(peer, call));
    expect(await peer.next(/^SIP\/2.0 200/)).toBe(first);
    peer.send(request(peer, 'ACK', call, { toTag: tagOf(first) }));
    peer.send(invite(peer, call));
    expect(await peer.next(/^SIP\/2.0 200/)).toBe(first);
    expect(calls).toHaveLength(1);
  });

  it('gets the same refusal again', async () => {
    const call = newCall();
    peer.send(invite(peer, call));
    await until(() => calls.length === 1);
    await sendResponse(calls[0]!.res, 488);
    const first = await peer.next(/^SIP\/2.0 488/);
    peer.send(invite(peer, call));
    expect(await peer.next(/^SIP\/2.0 488/)).toBe(first);
    expect(calls).toHaveLength(1);
  });

  it('over another path is a loop (482), and the first goes on (RFC 3261 §8.2.2.2)', async () => {
    const call = newCall();
    peer.send(invite(peer, call));
    await until(() => calls.length === 1);
    peer.send(invite(peer, { ...call, branch: 'z9hG4bK-other' }));
    await peer.next(/^SIP\/2.0 482/);
    await sendResponse(calls[0]!.res, 200, { body: ANSWER });
    await peer.next(/^SIP\/2.0 200/);
    expect(calls).toHaveLength(1);
  });
});

describe('before the call is answered', () => {
  let call: ReturnType<typeof newCall>;
  let toTag: string;
  beforeEach(async () => {
    call = newCall();
    peer.send(invite(peer, call));
    await until(() => calls.length === 1);
    await sendResponse(calls[0]!.res, 180);
    toTag = tagOf(await peer.next(/^SIP\/2.0 180/));
  });

  it('BYE ends it as CANCEL would (RFC 3261 §15)', async () => {
    peer.send(request(peer, 'BYE', call, { cseq: 2, toTag }));
    await peer.next(/^SIP\/2.0 200[^]*CSeq: 2 BYE/);
    await peer.next(/^SIP\/2.0 487[^]*CSeq: 1 INVITE/);
    expect(await sendResponse(calls[0]!.res, 200, { body: ANSWER })).toBe(UNKNOWN);
    expect(edge.counters().dialogs).toBe(0);
  });

  it('UPDATE reaches the app, and has an answer of its own', async () => {
    let updates = 0;
    (calls[0]!.req as unknown as NodeJS.EventEmitter).on('update', (_req: SrfRequest, res: SrfResponse) => {
      updates += 1;
      res.send(200);
    });
    peer.send(request(peer, 'UPDATE', call, { cseq: 2, toTag }));
    await peer.next(/^SIP\/2.0 200[^]*CSeq: 2 UPDATE/);
    expect(updates).toBe(1);
    await sendResponse(calls[0]!.res, 200, { body: ANSWER });
    await peer.next(/^SIP\/2.0 200[^]*CSeq: 1 INVITE/);
  });

  it('what the app does not route gets 503, which leaves the early dialog alone', async () => {
    peer.send(request(peer, 'OPTIONS', call, { cseq: 2, toTag }));
    await peer.next(/^SIP\/2.0 503[^]*CSeq: 2 OPTIONS/);
    await sendResponse(calls[0]!.res, 200, { body: ANSWER });
    await peer.next(/^SIP\/2.0 200[^]*CSeq: 1 INVITE/);
  });
});

describe('the answers of the app', () => {
  it('come from the app that was asked only', async () => {
    const call = newCall();
    peer.send(invite(peer, call));
    await until(() => calls.length === 1);
    const { stackTxnId } = calls[0]!.req as unknown as { stackTxnId: string };
    const socket = connect(edge.port, edge.host);
    const frame = (text: string): string => `${Buffer.byteLength(text)}#${text}`;
    socket.write(frame(`1|authenticate|${edge.secret}|`));
    await once(socket, 'data');
    socket.write(frame(`2|sip|${stackTxnId}|\r\nSIP/2.0 603 Decline\r\n\r\n`));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toContain(`|response|2|NOK|${UNKNOWN}`);
    socket.destroy();
    await sendResponse(calls[0]!.res, 486);
    await peer.next(/^SIP\/2.0 486/);
  });

  it('must name their request', async () => {
    const socket = connect(edge.port, edge.host);
    const frame = (text: string): string => `${Buffer.byteLength(text)}#${text}`;
    socket.write(frame(`1|authenticate|${edge.secret}|`));
    await once(socket, 'data');
    socket.write(frame('2|sip||\r\nSIP/2.0 200 OK\r\n\r\n'));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toContain('|response|2|NO|transaction id missing');
    await once(socket, 'close');
  });

  it('may not be provisional where the request is no INVITE (RFC 4320 §4.1)', async () => {
    const options: SrfResponse[] = [];
    app.use('options', (_req, res) => options.push(res));
    peer.send(request(peer, 'OPTIONS', newCall()));
    await until(() => options.length === 1);
    expect(await sendResponse(options[0]!, 183)).toBe('Unknown server error sending response');
    expect(await sendResponse(options[0]!, 200)).toBeUndefined();
    await peer.next(/^SIP\/2.0 200/);
  });

  it('end with the first final one: a second is confirmed until the ACK, and sent never', async () => {
    const call = newCall();
    peer.send(invite(peer, call));
    await until(() => calls.length === 1);
    const { res } = calls[0]!;
    await sendResponse(res, 200, { body: ANSWER });
    const ok = await peer.next(/^SIP\/2.0 200/);
    (res as unknown as { finished: boolean }).finished = false;
    expect(await sendResponse(res, 500)).toBeUndefined();
    peer.send(request(peer, 'ACK', call, { toTag: tagOf(ok) }));
    await until(() => edge.counters().requestsWithApp === 0);
    (res as unknown as { finished: boolean }).finished = false;
    expect(await sendResponse(res, 500)).toBe(UNKNOWN);
    expect(peer.received.some((text) => text.startsWith('SIP/2.0 500'))).toBe(false);
  });

  it('may choose the tag of the dialog and the Contact', async () => {
    const call = newCall();
    peer.send(invite(peer, call));
    await until(() => calls.length === 1);
    const headers = { To: '<sip:x@y>;tag=mine', Contact: '<sip:me@192.0.2.7:5099>' };
    await sendResponse(calls[0]!.res, 200, { body: ANSWER, headers });
    const ok = await peer.next(/^SIP\/2.0 200/);
    expect(tagOf(ok)).toBe('mine');
    expect(ok).toContain('\r\nContact: <sip:me@192.0.2.7:5099>\r\n');
    expect(ok).toContain('\r\nTo: <sip:uas@example.org>;tag=mine\r\n');
  });

  it('keep the proxies of the call in the answer', async () => {
    const call = newCall();
    const route = ['Record-Route: <sip:p2.example.org;lr>, <sip:p1.example.org;lr>'];
    peer.send(invite(peer, call, { headers: route }));
    await until(() => calls.length === 1);
    await sendResponse(calls[0]!.res, 200, { body: ANSWER });
    expect(await peer.next(/^SIP\/2.0 200/)).toContain(`\r\n${route[0]!}\r\n`);
  });
});
