import type Srf from 'drachtio-srf';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { Edge } from '../../src/edge/edge.ts';
import { readSessionExpires } from '../../src/edge/session-timer.ts';
import {
  type CallOfPeer,
  headerOf,
  invite,
  newCall,
  OFFER,
  request,
  respond,
  type SipPeer,
  tagOf,
  udpPeer,
} from '../support/sip-peer.ts';
import { ANSWER, connectApp, type Dialog, sipAddress, startTestEdge, until } from './app.ts';

it.each([
  ['1800;refresher=uac', { seconds: 1_800, refresher: 'uac' }],
  ['90 ; Refresher = UAS', { seconds: 90, refresher: 'uas' }],
  ['4294967295', { seconds: 86_400, refresher: undefined }],
  ['90;refresher=us', { seconds: 90, refresher: undefined }],
])('Session-Expires: %s', (value, expected) => {
  expect(readSessionExpires([{ name: 'x', value }])).toEqual(expected);
});

describe('a session timer', () => {
  let edge: Edge;
  let app: Srf;
  let peer: SipPeer;
  let call: CallOfPeer;
  let dialogs: Dialog[];
  let reasons: string[];
  /** What the app puts into its 200. */
  let headers: Record<string, string>;

  beforeEach(async () => {
    // Only what waits: sockets and promises run on.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    dialogs = [];
    reasons = [];
    headers = {};
    edge = await startTestEdge();
    app = await connectApp(edge, (srf) => {
      srf.invite((req, res) => {
        void srf.createUAS(req, res, { localSdp: ANSWER, headers }).then((dialog) => {
          dialogs.push(dialog);
          dialog.on('destroy', (bye) => reasons.push(bye.get('Reason')));
        });
      });
    });
    peer = await udpPeer(sipAddress(edge, 'udp'));
    call = newCall();
  });
  afterEach(async () => {
    vi.useRealTimers();
    app.disconnect();
    await peer.close();
    await edge.close();
  });

  async function establish(...offered: readonly string[]): Promise<string> {
    peer.send(invite(peer, call, { headers: offered }));
    const ok = await peer.next(/^SIP\/2.0 200/);
    peer.send(request(peer, 'ACK', call, { toTag: tagOf(ok) }));
    await until(() => edge.counters().requestsWithApp === 0);
    return ok;
  }

  it('that the peer refreshes ends the call when it does not', async () => {
    const ok = await establish('Session-Expires: 60;refresher=uac');
    expect(headerOf(ok, 'Session-Expires')).toBe('90;refresher=uac');
    vi.advanceTimersByTime(89_000);
    expect(edge.counters().dialogs).toBe(1);
    vi.advanceTimersByTime(1_000);
    const bye = await peer.next(/^BYE /);
    expect(headerOf(bye, 'Reason')).toBe('SIP;cause=200;text="Session timer expired"');
    await until(() => reasons.length === 1);
    expect(reasons).toEqual(['SIP;cause=200;text="Session timer expired"']);
    expect(edge.counters().dialogs).toBe(0);
  });

  it('starts again with every refresh, and agrees to it', async () => {
    const toTag = tagOf(await establish('Session-Expires: 100;refresher=uac'));
    vi.advanceTimersByTime(60_000);
    peer.send(request(peer, 'UPDATE', call, { cseq: 2, toTag, headers: ['Session-Expires: 120'] }));
    const ok = await peer.next(/^SIP\/2.0 200[^]*CSeq: 2 UPDATE/);
    expect(headerOf(ok, 'Session-Expires')).toBe('120;refresher=uac');
    vi.advanceTimersByTime(119_000);
    expect(edge.counters().dialogs).toBe(1);
    vi.advanceTimersByTime(1_000);
    await peer.next(/^BYE /);
  });

  it('is not run where the offer names no refresher', async () => {
    expect(headerOf(await establish('Session-Expires: 90'), 'Session-Expires')).toBeUndefined();
    vi.advanceTimersByTime(1_000_000);
    expect(edge.counters().dialogs).toBe(1);
  });

  it('of the app is sent as it is', async () => {
    headers = { 'Session-Expires': '200;refresher=uac' };
    const ok = await establish();
    expect(ok.match(/Session-Expires/g)).toHaveLength(1);
    expect(headerOf(ok, 'Session-Expires')).toBe('200;refresher=uac');
    vi.advanceTimersByTime(200_000);
    await peer.next(/^BYE /);
  });

  it('that is ours is refreshed at half time with our last description, and the app sees nothing', async () => {
    expect(headerOf(await establish('Session-Expires: 100;refresher=uas'), 'Session-Expires')).toBe(
      '100;refresher=uas',
    );
    for (let round = 0; round < 2; round += 1) {
      vi.advanceTimersByTime(50_000);
      const refresh = await peer.next(/^INVITE /);
      expect(headerOf(refresh, 'Session-Expires')).toBe('100;refresher=uac');
      expect(refresh.endsWith(ANSWER)).toBe(true);
      const type = [`Contact: <sip:peer@${peer.hostport}>`, 'Content-Type: application/sdp'];
      const ok = respond(refresh, '200 OK', [...type, 'Session-Expires: 100;refresher=uac']);
      peer.send(`${ok.replace('Content-Length: 0', `Content-Length: ${OFFER.length}`)}${OFFER}`);
      const ack = await peer.next(/^ACK /);
      expect(headerOf(ack, 'CSeq')).toBe(headerOf(refresh, 'CSeq')!.replace('INVITE', 'ACK'));
    }
    expect(reasons).toEqual([]);
  });

  it('that is ours: a re-INVITE that crosses the refresh gets 491, and the call goes on', async () => {
    const toTag = tagOf(await establish('Session-Expires: 100;refresher=uas'));
    vi.advanceTimersByTime(50_000);
    const refresh = await peer.next(/^INVITE /);
    peer.send(request(peer, 'INVITE', call, { cseq: 2, toTag, body: OFFER }));
    await peer.next(/^SIP\/2.0 491[^]*CSeq: 2 INVITE/);
    peer.send(respond(refresh, '491 Request Pending'));
    await peer.next(/^ACK /);
    peer.send(request(peer, 'INVITE', call, { cseq: 3, toTag, body: OFFER }));
    await peer.next(/^SIP\/2.0 200[^]*CSeq: 3 INVITE/);
    expect(reasons).toEqual([]);
  });

  it('that is ours is refreshed with what was said last, also in answer to an UPDATE', async () => {
    const toTag = tagOf(await establish('Session-Expires: 100;refresher=uas'));
    const later = ANSWER.replace('o=- 2 1', 'o=- 2 2');
    dialogs[0]!.on('update', (_req, res) => {
      res.send(200, { body: later });
    });
    const timer = ['Session-Expires: 100;refresher=uas'];
    peer.send(request(peer, 'UPDATE', call, { cseq: 2, toTag, body: OFFER, headers: timer }));
    await peer.next(/^SIP\/2.0 200[^]*CSeq: 2 UPDATE/);
    vi.advanceTimersByTime(50_000);
    expect((await peer.next(/^INVITE /)).endsWith(later)).toBe(true);
  });

  it('that is ours and is refused ends the call', async () => {
    await establish('Session-Expires: 100;refresher=uas');
    vi.advanceTimersByTime(50_000);
    peer.send(respond(await peer.next(/^INVITE /), '481 Gone'));
    await peer.next(/^BYE /);
    await until(() => reasons.length === 1);
  });

  it('shorter than 90 s is refused inside a call (RFC 4028 §6)', async () => {
    const toTag = tagOf(await establish());
    peer.send(request(peer, 'UPDATE', call, { cseq: 2, toTag, headers: ['Session-Expires: 30'] }));
    const refused = await peer.next(/^SIP\/2.0 422 Session Interval Too Small/);
    expect(headerOf(refused, 'Min-SE')).toBe('90');
  });

  it('ends with the call', async () => {
    const toTag = tagOf(await establish('Session-Expires: 100;refresher=uac'));
    peer.send(request(peer, 'BYE', call, { cseq: 2, toTag }));
    await peer.next(/^SIP\/2.0 200[^]*CSeq: 2 BYE/);
    const before = peer.received.length;
    vi.advanceTimersByTime(200_000);
    expect(edge.counters().clientTransactions).toBe(0);
    expect(peer.received).toHaveLength(before);
  });
});
