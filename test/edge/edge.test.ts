import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type Srf from 'drachtio-srf';

import type { Edge } from '../../src/edge/edge.ts';
import { ANSWER, connectApp, type Dialog, sipAddress, startTestEdge, until } from './app.ts';
import { headerOf, invite, newCall, request, type SipPeer, tagOf, tcpPeer, udpPeer } from './sip-peer.ts';

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

describe.each(['udp', 'tcp'] as const)('a call over %s', (protocol) => {
  it('is offered, answered, acknowledged and ended by the peer', async () => {
    const dialogs: Dialog[] = [];
    const events: string[] = [];
    app = await connectApp(edge, (srf) => {
      srf.invite((req, res) => {
        void srf.createUAS(req, res, { localSdp: ANSWER }).then((dialog) => {
          dialogs.push(dialog);
          dialog.on('ack', () => events.push('ack'));
          dialog.on('destroy', () => events.push('destroy'));
        });
      });
    });
    await using peer: SipPeer = await (protocol === 'udp' ? udpPeer : tcpPeer)(sipAddress(edge, protocol));
    const call = newCall();
    peer.send(invite(peer, call));
    await peer.next(/^SIP\/2.0 100/);
    const ok = await peer.next(/^SIP\/2.0 200/);
    expect(ok).toContain(ANSWER);
    expect(headerOf(ok, 'Contact')).toMatch(/^<sip:127\.0\.0\.1:\d+(;transport=tcp)?>$/);
    peer.send(request(peer, 'ACK', call, { toTag: tagOf(ok) }));
    await until(() => events.includes('ack'));
    peer.send(request(peer, 'BYE', call, { cseq: 2, toTag: tagOf(ok) }));
    await peer.next(/^SIP\/2.0 200[^]*CSeq: 2 BYE/);
    await until(() => events.includes('destroy'));
    expect(events).toEqual(['ack', 'destroy']);
    expect(dialogs).toHaveLength(1);
    expect(edge.counters()).toMatchObject({ dialogs: 0, requestsWithApp: 0 });
  });
});
