import type Srf from 'drachtio-srf';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { Edge } from '../../src/edge/edge.ts';
import { setSipTimers } from '../../src/sipstack/sipjs.ts';
import {
  headerOf,
  invite,
  newCall,
  request,
  respond,
  type SipPeer,
  tagOf,
  tcpPeer,
  udpPeer,
} from '../support/sip-peer.ts';
import {
  ANSWER,
  connectApp,
  type Dialog,
  requestIn,
  sendResponse,
  sipAddress,
  type SrfResponse,
  startTestEdge,
  until,
} from './app.ts';

// 64·T1 is 320 ms here and 32 s in the field; the shape of the time-outs is the same.
beforeAll(() => {
  setSipTimers({ t1Ms: 5, t2Ms: 40, t4Ms: 50 });
});
afterAll(() => {
  setSipTimers();
});

let edge: Edge;
let app: Srf;
let responses: SrfResponse[];
let dialogs: Dialog[];
let destroyed: { reason: string; source: string }[];
beforeEach(async () => {
  responses = [];
  dialogs = [];
  destroyed = [];
  edge = await startTestEdge();
  app = await connectApp(edge, (srf) => {
    srf.invite((req, res) => {
      responses.push(res);
      if (req.get('X-Answer') !== 'yes') return;
      void srf.createUAS(req, res, { localSdp: ANSWER }).then((dialog) => {
        dialogs.push(dialog);
        dialog.on('destroy', (bye) => {
          destroyed.push({ reason: bye.get('Reason'), source: bye.source });
        });
      });
    });
  });
});
afterEach(async () => {
  if (edge.counters().apps > 0) app.disconnect();
  await edge.close();
});

const count = (peer: SipPeer, start: string): number =>
  peer.received.filter((text) => text.startsWith(start)).length;
const ANSWERED = { headers: ['X-Answer: yes'] };

describe('a 200 that is never acknowledged', () => {
  it('is repeated over UDP, then the call is hung up and the app told why', async () => {
    await using peer = await udpPeer(sipAddress(edge, 'udp'));
    const call = newCall();
    peer.send(invite(peer, call, ANSWERED));
    const bye = await peer.next(/^BYE /);
    // 5, 10, 20, 40, 40 … ms: about eleven within 320 ms.
    expect(count(peer, 'SIP/2.0 200')).toBeGreaterThan(3);
    expect(headerOf(bye, 'Reason')).toBe('SIP;cause=200;text="ACK timeout"');
    expect(headerOf(bye, 'CSeq')).toBe('2 BYE');
    peer.send(respond(bye, '200 OK'));
    await until(() => destroyed.length === 1);
    expect(destroyed).toEqual([{ reason: 'SIP;cause=200;text="ACK timeout"', source: 'application' }]);
    expect(edge.counters()).toMatchObject({ dialogs: 0, requestsWithApp: 0 });
  });

  it('goes out once over TCP, and the call is hung up all the same', async () => {
    await using peer = await tcpPeer(sipAddress(edge, 'tcp'));
    peer.send(invite(peer, newCall(), ANSWERED));
    await peer.next(/^BYE /);
    expect(count(peer, 'SIP/2.0 200')).toBe(1);
  });

  it('is not repeated any more after the ACK', async () => {
    await using peer = await udpPeer(sipAddress(edge, 'udp'));
    const call = newCall();
    peer.send(invite(peer, call, ANSWERED));
    const ok = await peer.next(/^SIP\/2.0 200/);
    peer.send(request(peer, 'ACK', call, { toTag: tagOf(ok) }));
    await until(() => edge.counters().requestsWithApp === 0);
    const before = count(peer, 'SIP/2.0 200');
    // The transaction outlives what would have been the repetitions.
    await until(() => edge.counters().serverTransactions === 0);
    expect(count(peer, 'SIP/2.0 200')).toBe(before);
    expect(edge.counters().dialogs).toBe(1);
  });

  it('may be acknowledged under the branch of the INVITE', async () => {
    await using peer = await udpPeer(sipAddress(edge, 'udp'));
    const call = newCall();
    peer.send(invite(peer, call, ANSWERED));
    const ok = await peer.next(/^SIP\/2.0 200/);
    peer.send(request(peer, 'ACK', call, { branch: call.branch, toTag: tagOf(ok) }));
    await until(() => edge.counters().requestsWithApp === 0);
    await until(() => edge.counters().serverTransactions === 0);
    expect(edge.counters().dialogs).toBe(1);
  });

  it('is not repeated any more when the peer hangs up instead', async () => {
    await using peer = await udpPeer(sipAddress(edge, 'udp'));
    const call = newCall();
    peer.send(invite(peer, call, ANSWERED));
    const ok = await peer.next(/^SIP\/2.0 200/);
    peer.send(request(peer, 'BYE', call, { cseq: 2, toTag: tagOf(ok) }));
    await peer.next(/^SIP\/2.0 200[^]*CSeq: 2 BYE/);
    const before = count(peer, 'SIP/2.0 200');
    await until(() => edge.counters().serverTransactions === 0);
    expect(count(peer, 'SIP/2.0 200')).toBe(before);
    expect(count(peer, 'BYE')).toBe(0);
  });

  it('does not keep the call of an app that has gone', async () => {
    await using peer = await udpPeer(sipAddress(edge, 'udp'));
    const call = newCall();
    peer.send(invite(peer, call, ANSWERED));
    const ok = await peer.next(/^SIP\/2.0 200/);
    app.disconnect();
    await until(() => edge.counters().apps === 0);
    peer.send(request(peer, 'INFO', call, { cseq: 2, toTag: tagOf(ok) }));
    await peer.next(/^SIP\/2.0 481[^]*CSeq: 2 INFO/);
    await peer.next(/^BYE /);
    expect(edge.counters().dialogs).toBe(0);
  });
});

describe('a provisional response that asks for PRACK', () => {
  const RELIABLE = { headers: { Require: '100rel' }, body: ANSWER };

  it('is repeated until PRACK comes, which the app sees', async () => {
    await using peer = await tcpPeer(sipAddress(edge, 'tcp'));
    const call = newCall();
    peer.send(invite(peer, call, { headers: ['Supported: timer, 100rel'] }));
    await until(() => responses.length === 1);
    expect(await sendResponse(responses[0]!, 183, RELIABLE)).toBeUndefined();
    const progress = await peer.next(/^SIP\/2.0 183/);
    expect(headerOf(progress, 'Contact')).toContain('sip:127.0.0.1');
    expect(await peer.next(/^SIP\/2.0 183/)).toBe(progress);
    const toTag = tagOf(progress);
    const rseq = headerOf(progress, 'RSeq')!;
    peer.send(
      request(peer, 'PRACK', call, { cseq: 2, toTag, headers: [`RAck: ${Number(rseq) + 1} 1 INVITE`] }),
    );
    await peer.next(/^SIP\/2.0 481[^]*CSeq: 2 PRACK/);
    peer.send(request(peer, 'PRACK', call, { cseq: 3, toTag, headers: [`RAck: ${rseq} 1 INVITE`] }));
    // drachtio-srf answers it by itself.
    await peer.next(/^SIP\/2.0 200[^]*CSeq: 3 PRACK/);
    const before = count(peer, 'SIP/2.0 183');
    await sendResponse(responses[0]!, 200, { body: ANSWER });
    await peer.next(/^BYE /);
    expect(count(peer, 'SIP/2.0 183')).toBe(before);
  });

  it('and gets none ends the call', async () => {
    await using peer = await udpPeer(sipAddress(edge, 'udp'));
    peer.send(invite(peer, newCall(), { headers: ['Require: 100rel'] }));
    await until(() => responses.length === 1);
    await sendResponse(responses[0]!, 183, RELIABLE);
    await peer.next(/^SIP\/2.0 504/);
    expect(edge.counters().dialogs).toBe(0);
  });

  it('is not sent to a peer that knows no PRACK', async () => {
    await using peer = await udpPeer(sipAddress(edge, 'udp'));
    peer.send(invite(peer, newCall()));
    await until(() => responses.length === 1);
    expect(await sendResponse(responses[0]!, 183, RELIABLE)).toBe('Remote endpoint does not support 100rel');
    await sendResponse(responses[0]!, 486);
    await peer.next(/^SIP\/2.0 486/);
    expect(count(peer, 'SIP/2.0 183')).toBe(0);
  });
});

describe('a refusal', () => {
  it('is repeated over UDP until its ACK', async () => {
    await using peer = await udpPeer(sipAddress(edge, 'udp'));
    const call = newCall();
    peer.send(invite(peer, call));
    await until(() => responses.length === 1);
    await sendResponse(responses[0]!, 486);
    const [first, second] = [await peer.next(/^SIP\/2.0 486/), await peer.next(/^SIP\/2.0 486/)];
    expect(second).toBe(first);
    peer.send(request(peer, 'ACK', call, { branch: call.branch, toTag: tagOf(first) }));
    // Whatever was on its way has come when this is answered.
    peer.send(request(peer, 'OPTIONS', newCall()));
    await peer.next(/^SIP\/2.0 503/);
    const before = count(peer, 'SIP/2.0 486');
    await until(() => edge.counters().serverTransactions === 0);
    expect(count(peer, 'SIP/2.0 486')).toBe(before);
    expect(edge.counters().dialogs).toBe(0);
  });

  it('without ACK is given up', async () => {
    await using peer = await udpPeer(sipAddress(edge, 'udp'));
    peer.send(invite(peer, newCall()));
    await until(() => responses.length === 1);
    await sendResponse(responses[0]!, 486);
    await until(() => edge.counters().serverTransactions === 0);
    expect(count(peer, 'SIP/2.0 486')).toBeGreaterThan(3);
  });
});

describe('an app that never answers', () => {
  it('leaves a new call with 500, and is refused later', async () => {
    await using peer = await udpPeer(sipAddress(edge, 'udp'));
    peer.send(invite(peer, newCall()));
    await peer.next(/^SIP\/2.0 500/);
    expect(await sendResponse(responses[0]!, 200, { body: ANSWER })).toBe(
      'Response not sent due to unknown transaction',
    );
    expect(edge.counters()).toMatchObject({ dialogs: 0, requestsWithApp: 0 });
  });

  it('but has said that it rings keeps the call', async () => {
    await using peer = await udpPeer(sipAddress(edge, 'udp'));
    const [ringing, silent] = [newCall(), newCall()];
    peer.send(invite(peer, ringing));
    await until(() => responses.length === 1);
    await sendResponse(responses[0]!, 180);
    peer.send(invite(peer, silent));
    // The second call is given up after the first would have been.
    await peer.next(/^SIP\/2.0 500/);
    expect(await sendResponse(responses[0]!, 200, { body: ANSWER })).toBeUndefined();
  });

  it('leaves a request inside a call with 500, and the call up', async () => {
    await using peer = await udpPeer(sipAddress(edge, 'udp'));
    const call = newCall();
    peer.send(invite(peer, call, ANSWERED));
    const ok = await peer.next(/^SIP\/2.0 200/);
    peer.send(request(peer, 'ACK', call, { toTag: tagOf(ok) }));
    await until(() => dialogs.length === 1);
    dialogs[0]!.on('info', () => undefined);
    peer.send(request(peer, 'INFO', call, { cseq: 2, toTag: tagOf(ok) }));
    await peer.next(/^SIP\/2.0 500[^]*CSeq: 2 INFO/);
    expect(edge.counters()).toMatchObject({ dialogs: 1, requestsWithApp: 0 });
  });
});

it('a request of the app that nobody answers is repeated, then answered 408', async () => {
  await using peer = await udpPeer(sipAddress(edge, 'udp'));
  const call = newCall();
  peer.send(invite(peer, call, ANSWERED));
  const ok = await peer.next(/^SIP\/2.0 200/);
  peer.send(request(peer, 'ACK', call, { toTag: tagOf(ok) }));
  await until(() => dialogs.length === 1);
  expect((await requestIn(dialogs[0]!, { method: 'OPTIONS' })).status).toBe(408);
  expect(count(peer, 'OPTIONS ')).toBeGreaterThan(3);
  await until(() => edge.counters().clientTransactions === 0);
});

it('an answer over UDP is kept for repeated requests, and then forgotten', async () => {
  await using peer = await udpPeer(sipAddress(edge, 'udp'));
  const sent = request(peer, 'OPTIONS', newCall());
  peer.send(sent);
  const first = await peer.next(/^SIP\/2.0 503/);
  peer.send(sent);
  expect(await peer.next(/^SIP\/2.0 503/)).toBe(first);
  await until(() => edge.counters().serverTransactions === 0);
});
