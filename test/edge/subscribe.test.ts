import type Srf from 'drachtio-srf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Edge } from '../../src/edge/edge.ts';
import { setSipTimers } from '../../src/sipstack/sipjs.ts';
import {
  type CallOfPeer,
  headerOf,
  newCall,
  request,
  type RequestOptions,
  respond,
  type SipPeer,
  tagOf,
  udpPeer,
} from '../support/sip-peer.ts';
import { connectApp, sipAddress, type SrfRequest, type SrfResponse, startTestEdge, until } from './app.ts';

/** What the application heard, and how it names the dialog. */
interface Heard {
  readonly request: SrfRequest;
  readonly dialogId: string;
}

let edge: Edge;
let srf: Srf;
let peer: SipPeer;
let heard: Heard[];
let status: number;
let expires: string;

beforeEach(async () => {
  heard = [];
  status = 200;
  expires = '600';
  edge = await startTestEdge();
  srf = await connectApp(edge, (app) => {
    app.use('subscribe', (req: SrfRequest, res: SrfResponse) => {
      heard.push({ request: req, dialogId: (req as unknown as { stackDialogId: string }).stackDialogId });
      res.send(status, { headers: { Contact: '<sip:app@localhost>', Expires: expires } });
    });
  });
  peer = await udpPeer(sipAddress(edge, 'udp'));
});
afterEach(async () => {
  setSipTimers();
  await peer.close();
  srf.disconnect();
  await edge.close();
});

const subscribe = (call: CallOfPeer, options: RequestOptions = {}): Buffer =>
  request(peer, 'SUBSCRIBE', call, {
    ...options,
    headers: ['Event: message-summary', `Expires: ${expires}`],
  });

async function subscribed(call: CallOfPeer, options: RequestOptions = {}): Promise<string> {
  peer.send(subscribe(call, options));
  return peer.next(/^SIP\/2\.0 \d+ .*CSeq: \d+ SUBSCRIBE/s);
}

/** Sends a NOTIFY in the dialog; resolves with the status that it got. */
function notify(call: CallOfPeer, state: string): Promise<number> {
  const send = srf.request.bind(srf) as unknown as (
    options: object,
    done: (
      error: Error | null,
      sent: { on(event: 'response', on: (res: SrfResponse) => void): void },
    ) => void,
  ) => void;
  return new Promise((resolve, reject) => {
    const options = {
      uri: 'sip:placeholder',
      method: 'NOTIFY',
      stackDialogId: `${call.callId};from-tag=${call.fromTag}`,
      headers: { Event: 'message-summary', 'Subscription-State': state, 'Content-Type': 'text/plain' },
      body: 'news',
    };
    send(options, (error, sent) => {
      if (error !== null) reject(error);
      else {
        sent.on('response', (res) => {
          resolve(res.status);
        });
      }
    });
  });
}

describe('a subscription of a peer', () => {
  it('is a dialog in which the application notifies, until it says that it was the last time', async () => {
    const call = newCall();
    const accepted = await subscribed(call);
    expect(headerOf(accepted, 'Contact')).toBe(`<sip:app@127.0.0.1:${sipAddress(edge, 'udp').port}>`);
    expect(edge.counters().dialogs).toBe(1);

    const first = notify(call, 'active;expires=600');
    const notified = await peer.next(/^NOTIFY/);
    expect(notified).toContain(`NOTIFY sip:peer@${peer.hostport} SIP/2.0`);
    expect(headerOf(notified, 'From')).toContain(`;tag=${tagOf(accepted)}`);
    expect(headerOf(notified, 'To')).toContain(`;tag=${call.fromTag}`);
    expect(notified).toMatch(/\r\n\r\nnews$/);
    peer.send(respond(notified, '200 OK'));
    await expect(first).resolves.toBe(200);
    expect(edge.counters().dialogs).toBe(1);

    const last = notify(call, 'terminated;reason=timeout');
    const ended = await peer.next(/^NOTIFY.*terminated/s);
    expect(Number.parseInt(headerOf(ended, 'CSeq')!, 10)).toBe(
      Number.parseInt(headerOf(notified, 'CSeq')!, 10) + 1,
    );
    peer.send(respond(ended, '200 OK'));
    await expect(last).resolves.toBe(200);
    expect(edge.counters().dialogs).toBe(0);
  });

  it('is refreshed in its dialog, which moves the target; a peer that forgot its tag is taken for the same', async () => {
    const call = newCall();
    const toTag = tagOf(await subscribed(call));
    await subscribed(call, { cseq: 2, toTag });
    const anew = subscribe(call, { cseq: 3 }).toString();
    peer.send(anew.replace('Contact: <sip:peer@', 'Contact: <sip:moved@'));
    expect(tagOf(await peer.next(/CSeq: 3 SUBSCRIBE/))).toBe(toTag);
    const dialogId = `${call.callId};from-tag=${call.fromTag}`;
    expect(heard.map((one) => one.dialogId)).toEqual(['', dialogId, dialogId]);

    const outcome = notify(call, 'active');
    const notified = await peer.next(/^NOTIFY/);
    expect(notified).toMatch(/^NOTIFY sip:moved@/);
    peer.send(respond(notified, '200 OK'));
    await outcome;
    expect(edge.counters().dialogs).toBe(1);
  });

  it('leaves nothing behind where it is refused', async () => {
    status = 489;
    expect(await subscribed(newCall())).toMatch(/^SIP\/2\.0 489 Bad Event/);
    expect(edge.counters()).toMatchObject({ dialogs: 0, requestsWithApp: 0 });
  });

  it.each([481, 408])('is over where the peer answers a NOTIFY with %d', async (found) => {
    const call = newCall();
    await subscribed(call);
    const outcome = notify(call, 'active');
    peer.send(respond(await peer.next(/^NOTIFY/), `${found} No`));
    await expect(outcome).resolves.toBe(found);
    expect(edge.counters().dialogs).toBe(0);
  });

  it('is forgotten some time after its end where the application says nothing more', async () => {
    // 128·T1 is 1.28 s here and 64 s in the field.
    setSipTimers({ t1Ms: 10, t2Ms: 40, t4Ms: 50 });
    expires = '0';
    await subscribed(newCall());
    expect(edge.counters().dialogs).toBe(1);
    await until(() => edge.counters().dialogs === 0);
  });

  it.each(['BYE', 'INVITE', 'UPDATE'])('knows no session: %s gets 481, and it stands', async (method) => {
    const call = newCall();
    const toTag = tagOf(await subscribed(call));
    peer.send(request(peer, method, call, { cseq: 2, toTag }));
    expect(await peer.next(new RegExp(`CSeq: 2 ${method}`))).toMatch(/^SIP\/2\.0 481 /);
    expect(edge.counters().dialogs).toBe(1);
  });

  it('is one where it came by two ways', async () => {
    const call = newCall();
    await subscribed(call);
    expect(await subscribed(call)).toMatch(/^SIP\/2\.0 482 /);
    expect(heard).toHaveLength(1);
  });
});
