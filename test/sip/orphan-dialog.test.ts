import type Srf from 'drachtio-srf';
import { afterEach, expect, it } from 'vitest';

import type { Edge } from '../../src/edge/edge.ts';
import { type DialogPlace, dialogPlace } from '../../src/sip/dialog-place.ts';
import { hangUpOrphan } from '../../src/sip/orphan-dialog.ts';
import {
  ANSWER,
  connectApp,
  type Dialog,
  sipAddress,
  type SrfRequest,
  startTestEdge,
  until,
} from '../edge/app.ts';
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

let edges: Edge[] = [];
let apps: Srf[] = [];
afterEach(async () => {
  for (const app of apps) leave(app);
  for (const edge of edges) await edge.close();
  edges = [];
});

/** drachtio-srf takes it once. */
function leave(app: Srf): void {
  apps = apps.filter((other) => other !== app);
  app.disconnect();
}

async function newEdge(port = 0): Promise<Edge> {
  const edge = await startTestEdge({
    listen: [
      { protocol: 'udp', host: '127.0.0.1', port },
      { protocol: 'tcp', host: '127.0.0.1', port },
    ],
  });
  edges.push(edge);
  return edge;
}

async function newApp(edge: Edge, prepare: (srf: Srf) => void = () => undefined): Promise<Srf> {
  const app = await connectApp(edge, prepare);
  apps.push(app);
  return app;
}

/** A call that is answered, with what its INVITE says of the dialog. */
async function answeredCall(
  edge: Edge,
  peer: SipPeer,
  headers: readonly string[] = [],
): Promise<{
  readonly app: Srf;
  readonly place: DialogPlace;
  readonly call: ReturnType<typeof newCall>;
  readonly tag: string;
}> {
  const answered: { dialog: Dialog; invite: SrfRequest }[] = [];
  const app = await newApp(edge, (srf) => {
    srf.invite((req, res) => {
      void srf.createUAS(req, res, { localSdp: ANSWER }).then((dialog) => {
        answered.push({ dialog, invite: req });
      });
    });
  });
  const call = newCall();
  peer.send(invite(peer, call, { headers }));
  const ok = await peer.next(/^SIP\/2.0 200/);
  peer.send(request(peer, 'ACK', call, { toTag: tagOf(ok) }));
  await until(() => answered.length > 0);
  const { dialog, invite: received } = answered[0]!;
  const { raw } = received.msg;
  const place = dialogPlace(
    { raw, header: (name) => received.get(name) },
    { sipCallId: dialog.sip.callId, localTag: dialog.sip.localTag, remoteTag: dialog.sip.remoteTag },
  );
  return { app, place, call, tag: tagOf(ok) };
}

it.each(['udp', 'tcp'] as const)('an edge that outlived the app says BYE over %s', async (protocol) => {
  const edge = await newEdge();
  await using peer = await (protocol === 'udp' ? udpPeer : tcpPeer)(sipAddress(edge, protocol));
  const { app, place, call, tag } = await answeredCall(edge, peer);
  leave(app);
  await until(() => edge.counters().apps === 0);
  const next = await newApp(edge);

  const ended = hangUpOrphan(next, place, 'recovered');
  const bye = await peer.next(/^BYE /);
  expect(headerOf(bye, 'Call-ID')).toBe(call.callId);
  expect(headerOf(bye, 'From')).toContain(`tag=${tag}`);
  expect(headerOf(bye, 'To')).toContain(`tag=${call.fromTag}`);
  expect(headerOf(bye, 'Reason')).toContain('recovered');
  peer.send(respond(bye, '200 OK'));
  expect(await ended).toBe('ended');
  expect(edge.counters().dialogs).toBe(0);
});

it('where the edge died with the app, the BYE is written as the INVITE said', async () => {
  const edge = await newEdge();
  const { port } = sipAddress(edge, 'udp');
  await using peer = await udpPeer({ host: '127.0.0.1', port });
  const { app, place, call, tag } = await answeredCall(edge, peer, [
    `Record-Route: <sip:${peer.hostport};lr>, <sip:far.example;lr>`,
  ]);
  leave(app);
  await edge.close();
  edges = [];
  const next = await newApp(await newEdge(port));

  const ended = hangUpOrphan(next, place, 'recovered');
  const bye = await peer.next(/^BYE /);
  expect(bye).toMatch(new RegExp(`^BYE sip:[^ ]*${peer.hostport}[^ ]* SIP/2.0`));
  expect(headerOf(bye, 'Call-ID')).toBe(call.callId);
  expect(headerOf(bye, 'From')).toContain(`;tag=${tag}`);
  expect(headerOf(bye, 'To')).toContain(`;tag=${call.fromTag}`);
  expect(Number.parseInt(headerOf(bye, 'CSeq') ?? '', 10)).toBeGreaterThan(100);
  expect(bye).toMatch(/^Route: <sip:[^\r]*far\.example;lr>/im);
  peer.send(respond(bye, '481 Call/Transaction Does Not Exist'));
  expect(await ended).toBe('gone');
});

it('a peer that says nothing more is not waited for', { timeout: 30_000 }, async () => {
  const edge = await newEdge();
  const app = await newApp(edge);
  const place: DialogPlace = {
    sipCallId: 'nobody',
    localTag: 'ours',
    remoteTag: 'theirs',
    localAddress: '<sip:us@127.0.0.1>',
    remoteAddress: '<sip:them@127.0.0.1>;tag=theirs',
    remoteTarget: 'sip:127.0.0.1:9',
    routeSet: [],
  };
  expect(await hangUpOrphan(app, place, 'recovered')).toBe('unanswered');
});

it('reads the place of a dialog from compact and folded headers', () => {
  const raw = [
    'INVITE sip:us@127.0.0.1 SIP/2.0',
    't: "Us" <sip:us@127.0.0.1>',
    'f: sip:them@far.example;tag=a1',
    'm: sip:them@127.0.0.1:5090;transport=tcp',
    'Record-Route: <sip:one;lr>,',
    ' <sip:two;lr>',
    'Record-Route: <sip:three;lr>',
    '',
    '',
  ].join('\r\n');
  const tags = { sipCallId: 'c', localTag: 'l', remoteTag: 'a1' };
  expect(dialogPlace({ raw, header: () => undefined }, tags)).toEqual({
    ...tags,
    localAddress: '"Us" <sip:us@127.0.0.1>',
    remoteAddress: 'sip:them@far.example;tag=a1',
    remoteTarget: 'sip:them@127.0.0.1:5090',
    routeSet: ['<sip:one;lr>', '<sip:two;lr>', '<sip:three;lr>'],
  });
});
