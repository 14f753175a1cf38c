import type Srf from 'drachtio-srf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Edge } from '../../src/edge/edge.ts';
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
import { invite, newCall, request, type SipPeer, tagOf, udpPeer } from './sip-peer.ts';

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

describe('the answers of the app', () => {
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
