import type Srf from 'drachtio-srf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Edge } from '../../src/edge/edge.ts';
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
  tcpPeer,
  udpPeer,
} from '../support/sip-peer.ts';
import {
  ANSWER,
  connectApp,
  type Dialog,
  hangUp,
  requestIn,
  requestOut,
  sendResponse,
  sipAddress,
  type SrfRequest,
  startTestEdge,
  until,
} from './app.ts';

let edge: Edge;
let app: Srf;
let peer: SipPeer;
let dialog: Dialog;
let call: CallOfPeer;
let toTag: string;
let asked: SrfRequest[];

/** A call that is up. */
async function establish(protocol: 'udp' | 'tcp' = 'udp', headers: readonly string[] = []): Promise<void> {
  asked = [];
  edge = await startTestEdge();
  const dialogs: Dialog[] = [];
  let acks = 0;
  app = await connectApp(edge, (srf) => {
    srf.invite((req, res) => {
      void srf.createUAS(req, res, { localSdp: ANSWER }).then((made) => {
        dialogs.push(made);
        made.on('ack', () => (acks += 1));
      });
    });
  });
  peer = await (protocol === 'udp' ? udpPeer : tcpPeer)(sipAddress(edge, protocol));
  call = newCall();
  peer.send(invite(peer, call, { headers }));
  const ok = await peer.next(/^SIP\/2.0 200/);
  toTag = tagOf(ok);
  peer.send(request(peer, 'ACK', call, { toTag }));
  await until(() => dialogs.length === 1 && acks === 1);
  dialog = dialogs[0]!;
}
afterEach(async () => {
  app.disconnect();
  await peer.close();
  await edge.close();
});

/** How many final responses came for a request of the peer. */
const finals = (cseq: string): number =>
  peer.received.filter((text) => /^SIP\/2.0 [2-6]/.test(text) && text.includes(`\r\nCSeq: ${cseq}\r\n`))
    .length;

describe('a request of the peer inside the call', () => {
  beforeEach(() => establish());

  it.each(['INFO', 'OPTIONS', 'UPDATE', 'MESSAGE', 'NOTIFY', 'REFER'] as const)(
    '%s goes to the dialog and gets exactly the answer of the app',
    async (method) => {
      const event = method.toLowerCase() as 'info';
      dialog.on(event, (req, res) => {
        asked.push(req);
        res.send(202, { headers: { 'X-Seen': method } });
      });
      const sent = request(peer, method, call, { cseq: 2, toTag, body: 'hé', contentType: 'text/plain' });
      peer.send(sent);
      const answer = await peer.next(new RegExp(`^SIP/2.0 202[^]*CSeq: 2 ${method}`));
      expect(headerOf(answer, 'X-Seen')).toBe(method);
      peer.send(sent);
      await peer.next(new RegExp(`^SIP/2.0 202[^]*CSeq: 2 ${method}`));
      expect(asked.map((req) => req.body)).toEqual(['hé']);
      expect(finals(`2 ${method}`)).toBe(2);
    },
  );

  it('a method that drachtio-srf does not know gets its 501', async () => {
    peer.send(request(peer, 'FOO', call, { cseq: 2, toTag }));
    await peer.next(/^SIP\/2.0 501[^]*CSeq: 2 FOO/);
  });

  it('re-INVITE gets 100, the answer with Contact, and its ACK is absorbed', async () => {
    dialog.on('modify', (req, res) => {
      asked.push(req);
      res.send(200, { body: ANSWER.replace('30000', '30002') });
    });
    peer.send(
      invite(peer, call, { branch: 'z9hG4bK-re', cseq: 2, toTag, body: OFFER.replace('40000', '40002') }),
    );
    await peer.next(/^SIP\/2.0 100[^]*CSeq: 2 INVITE/);
    const ok = await peer.next(/^SIP\/2.0 200[^]*CSeq: 2 INVITE/);
    expect(ok).toContain('m=audio 30002');
    expect(headerOf(ok, 'Contact')).toContain('sip:127.0.0.1:');
    peer.send(request(peer, 'ACK', call, { cseq: 2, toTag }));
    await until(() => edge.counters().requestsWithApp === 0);
    expect(asked).toHaveLength(1);
  });

  it('re-INVITE may be refused, and the call stays', async () => {
    dialog.on('modify', (_req, res) => {
      res.send(488);
    });
    peer.send(
      invite(peer, call, { branch: 'z9hG4bK-no', cseq: 2, toTag, body: OFFER.replace('40000', '40002') }),
    );
    await peer.next(/^SIP\/2.0 488[^]*CSeq: 2 INVITE/);
    peer.send(request(peer, 'ACK', call, { cseq: 2, toTag, branch: 'z9hG4bK-no' }));
    peer.send(request(peer, 'BYE', call, { cseq: 3, toTag }));
    await peer.next(/^SIP\/2.0 200[^]*CSeq: 3 BYE/);
  });

  it('re-INVITE that is cancelled gets 487, and the late answer of the app goes nowhere', async () => {
    let late: unknown = 'pending';
    dialog.on('modify', (req, res) => {
      asked.push(req);
      req.on('cancel', () => {
        void sendResponse(res, 200, { body: ANSWER }).then((error) => (late = error));
      });
    });
    const branch = 'z9hG4bK-re-cancel';
    peer.send(invite(peer, call, { branch, cseq: 2, toTag, body: OFFER.replace('40000', '40002') }));
    await until(() => asked.length === 1);
    peer.send(request(peer, 'CANCEL', call, { branch, cseq: 2, toTag }));
    await peer.next(/^SIP\/2.0 200[^]*CSeq: 2 CANCEL/);
    await peer.next(/^SIP\/2.0 487[^]*CSeq: 2 INVITE/);
    await until(() => late !== 'pending');
    expect(late).toBe('Response not sent due to unknown transaction');
    expect(edge.counters().dialogs).toBe(1);
  });

  it('that is older than the last gets 500 (RFC 3261 §12.2.2)', async () => {
    peer.send(request(peer, 'INFO', call, { cseq: 5, toTag }));
    await peer.next(/^SIP\/2.0 200[^]*CSeq: 5 INFO/);
    peer.send(request(peer, 'INFO', call, { cseq: 4, toTag }));
    await peer.next(/^SIP\/2.0 500[^]*CSeq: 4 INFO/);
  });

  it('that still waits when the peer hangs up gets 487', async () => {
    dialog.on('info', (req) => asked.push(req));
    peer.send(request(peer, 'INFO', call, { cseq: 2, toTag }));
    await until(() => asked.length === 1);
    peer.send(request(peer, 'BYE', call, { cseq: 3, toTag }));
    await peer.next(/^SIP\/2.0 200[^]*CSeq: 3 BYE/);
    await peer.next(/^SIP\/2.0 487[^]*CSeq: 2 INFO/);
    expect(edge.counters()).toMatchObject({ dialogs: 0, requestsWithApp: 0 });
  });

  it.each(['BYE', 'UPDATE', 'INVITE', 'INFO', 'OPTIONS', 'REFER', 'PRACK', 'FOO'])(
    '%s under a tag that nobody gave gets 481',
    async (method) => {
      peer.send(request(peer, method, call, { cseq: 2, toTag: 'unknown' }));
      await peer.next(new RegExp(`^SIP/2.0 481[^]*CSeq: 2 ${method}`));
      expect(edge.counters().dialogs).toBe(1);
    },
  );

  it('takes effect on where the app sends to (RFC 3261 §12.2.2)', async () => {
    const moved = await udpPeer(sipAddress(edge, 'udp'));
    const update = request(moved, 'UPDATE', call, { cseq: 2, toTag });
    moved.send(update.toString().replace(/^Contact: .*$/m, 'Contact: <sip:moved@192.0.2.1>'));
    await moved.next(/^SIP\/2.0 200[^]*CSeq: 2 UPDATE/);
    void requestIn(dialog, { method: 'INFO' });
    expect(await moved.next(/^INFO /)).toMatch(/^INFO sip:moved@192\.0\.2\.1 SIP/);
    await moved.close();
  });

  it('a stray ACK is dropped without a word', async () => {
    peer.send(request(peer, 'ACK', newCall(), { toTag: 'unknown' }));
    peer.send(request(peer, 'BYE', newCall()));
    await peer.next(/^SIP\/2.0 481/);
    expect(edge.counters().malformed).toBe(0);
  });
});

describe('a request of the app inside the call', () => {
  beforeEach(() => establish());

  it('goes to the Contact of the peer and brings its answer back', async () => {
    const answered = requestIn(dialog, {
      method: 'INFO',
      headers: { 'Content-Type': 'text/plain', 'X-App': 'ü' },
      body: 'größe',
    });
    const info = await peer.next(/^INFO /);
    expect(info).toMatch(new RegExp(`^INFO sip:peer@${peer.hostport} SIP/2.0\r\n`));
    expect(headerOf(info, 'CSeq')).toBe('2 INFO');
    expect(headerOf(info, 'Via')).toMatch(/^SIP\/2\.0\/UDP 127\.0\.0\.1:\d+;rport;branch=z9hG4bK/);
    expect(headerOf(info, 'X-App')).toBe('ü');
    expect(headerOf(info, 'Content-Length')).toBe(String(Buffer.byteLength('größe')));
    expect(info.endsWith('größe')).toBe(true);
    peer.send(respond(info, '100 Trying'));
    peer.send(respond(info, '481 Gone'));
    expect((await answered).status).toBe(481);
  });

  it('counts up its CSeq', async () => {
    for (const cseq of [2, 3]) {
      const answered = requestIn(dialog, { method: 'OPTIONS' });
      const sent = await peer.next(/^OPTIONS /);
      expect(headerOf(sent, 'CSeq')).toBe(`${cseq} OPTIONS`);
      peer.send(respond(sent, '200 OK'));
      expect((await answered).status).toBe(200);
    }
  });

  it('needs a type for its body', async () => {
    await expect(requestIn(dialog, { method: 'INFO', body: 'zzz' })).rejects.toThrow(
      'Server error: missing content-type',
    );
  });

  it('re-INVITE is acknowledged by the app, once more for every repeated 200', async () => {
    const modified = dialog.modify(ANSWER.replace('30000', '30004'));
    const again = await peer.next(/^INVITE /);
    expect(again).toContain('m=audio 30004');
    expect(headerOf(again, 'Contact')).toContain('sip:127.0.0.1:');
    const body = OFFER.replace('40000', '40004');
    const contact = [`Contact: <sip:peer@${peer.hostport}>`, 'Content-Type: application/sdp'];
    const ok = `${respond(again, '200 OK', contact).replace('Content-Length: 0', `Content-Length: ${body.length}`)}${body}`;
    peer.send(ok);
    expect(await modified).toContain('m=audio 40004');
    const ack = await peer.next(/^ACK /);
    expect(headerOf(ack, 'CSeq')).toBe(headerOf(again, 'CSeq')!.replace('INVITE', 'ACK'));
    peer.send(ok);
    expect(await peer.next(/^ACK /)).toBe(ack);
  });

  it('re-INVITE that fails is acknowledged by the edge', async () => {
    const modified = dialog.modify(ANSWER).catch((error: unknown) => error);
    const again = await peer.next(/^INVITE /);
    peer.send(respond(again, '488 Not Acceptable Here'));
    expect(await modified).toMatchObject({ status: 488 });
    const ack = await peer.next(/^ACK /);
    expect(headerOf(ack, 'Via')).toBe(headerOf(again, 'Via'));
  });

  it('BYE cancels a re-INVITE that is not answered yet', async () => {
    const modified = dialog.modify(ANSWER).catch((error: unknown) => error);
    const again = await peer.next(/^INVITE /);
    peer.send(respond(again, '180 Ringing'));
    const before = peer.received.length;
    await until(() => edge.counters().messagesReceived >= 3 && peer.received.length >= before);
    const ended = hangUp(dialog);
    peer.send(respond(await peer.next(/^BYE /), '200 OK'));
    await ended;
    const cancel = await peer.next(/^CANCEL /);
    expect(headerOf(cancel, 'Via')).toBe(headerOf(again, 'Via'));
    peer.send(respond(cancel, '200 OK'));
    peer.send(respond(again, '487 Request Terminated'));
    expect(await modified).toMatchObject({ status: 487 });
  });

  it('is refused once the call is over', async () => {
    const ended = hangUp(dialog);
    peer.send(respond(await peer.next(/^BYE /), '481 Gone'));
    await ended;
    await expect(hangUp(dialog)).rejects.toMatchObject({ code: 'ENODIALOG' });
  });
});

describe('over TCP', () => {
  it('an own request takes the connection of the call, and a new one to the Contact when that is gone', async () => {
    await establish('tcp');
    const first = requestIn(dialog, { method: 'OPTIONS' });
    peer.send(respond(await peer.next(/^OPTIONS /), '200 OK'));
    await first;
    await peer.close();
    await until(() => edge.counters().connections === 0);
    // Nobody listens at the Contact: the app gets 503, as from drachtio-server.
    expect((await requestIn(dialog, { method: 'OPTIONS' })).status).toBe(503);
  });
});

describe('through proxies', () => {
  it('an own request carries the route set and goes to its first hop', async () => {
    await using proxy = await udpPeer({ host: '127.0.0.1', port: 9 });
    await establish('udp', [
      `Record-Route: <sip:127.0.0.1:${proxy.port};lr>`,
      'Record-Route: <sip:p1.example.org;lr>',
    ]);
    void requestIn(dialog, { method: 'OPTIONS' });
    const sent = await proxy.next(/^OPTIONS /);
    expect(sent).toMatch(new RegExp(`^OPTIONS sip:peer@${peer.hostport} SIP/2.0`));
    expect(sent).toContain(
      `\r\nRoute: <sip:127.0.0.1:${proxy.port};lr>\r\nRoute: <sip:p1.example.org;lr>\r\n`,
    );
  });
});

describe('a request of the app outside a call', () => {
  beforeEach(() => establish());

  it('OPTIONS goes to its URI and brings the answer back', async () => {
    const answered = requestOut(app, `sip:x@${peer.hostport}`, {
      method: 'OPTIONS',
      headers: { 'X-A': 'b' },
    });
    const sent = await peer.next(/^OPTIONS /);
    expect(headerOf(sent, 'To')).toBe(`<sip:x@${peer.hostport}>`);
    expect(headerOf(sent, 'From')).toMatch(/^<sip:.*127\.0\.0\.1:\d+>;tag=/);
    expect(headerOf(sent, 'X-A')).toBe('b');
    peer.send(respond(sent, '200 OK'));
    expect((await answered).status).toBe(200);
  });

  it('INVITE sets up a call that either side can end', async () => {
    const made = app.createUAC(`sip:x@${peer.hostport}`, { localSdp: ANSWER });
    const sent = await peer.next(/^INVITE /);
    const tagged = sent.replace(/^(To: .*?)\r$/m, '$1;tag=theirs\r');
    peer.send(respond(tagged, '180 Ringing'));
    const type = [`Contact: <sip:x@${peer.hostport}>`, 'Content-Type: application/sdp'];
    const ok = respond(tagged, '200 OK', type).replace(
      'Content-Length: 0',
      `Content-Length: ${OFFER.length}`,
    );
    peer.send(`${ok}${OFFER}`);
    const ours = await made;
    expect(ours.sip.remoteTag).toBe('theirs');
    expect(headerOf(await peer.next(/^ACK /), 'To')).toContain('tag=theirs');
    const ended = hangUp(ours);
    const bye = await peer.next(/^BYE /);
    expect(headerOf(bye, 'To')).toBe(`<sip:x@${peer.hostport}>;tag=theirs`);
    peer.send(respond(bye, '200 OK'));
    await ended;
    expect(edge.counters().dialogs).toBe(1);
  });

  it('INVITE may be cancelled when it rings', async () => {
    let cancel: (() => void) | undefined;
    let isConfirmed = false;
    const made = new Promise<unknown>((resolve) => {
      (app as unknown as { createUAC(...args: unknown[]): void }).createUAC(
        `sip:x@${peer.hostport}`,
        { localSdp: ANSWER },
        {
          cbRequest: (_error: unknown, req: SrfRequest) => {
            cancel = () => {
              req.cancel(() => (isConfirmed = true));
            };
          },
        },
        (error: unknown) => {
          resolve(error);
        },
      );
    });
    const sent = await peer.next(/^INVITE /);
    await until(() => cancel !== undefined);
    cancel!();
    // Told to the app at once, but sent only after a provisional response (RFC 3261 §9.1).
    await until(() => isConfirmed);
    peer.send(request(peer, 'BYE', newCall()));
    await peer.next(/^SIP\/2.0 481/);
    expect(peer.received.some((text) => text.startsWith('CANCEL'))).toBe(false);
    peer.send(respond(sent.replace(/^(To: .*?)\r$/m, '$1;tag=theirs\r'), '180 Ringing'));
    const cancelled = await peer.next(/^CANCEL /);
    expect(headerOf(cancelled, 'Via')).toBe(headerOf(sent, 'Via'));
    expect(headerOf(cancelled, 'CSeq')).toBe(headerOf(sent, 'CSeq')!.replace('INVITE', 'CANCEL'));
    peer.send(respond(cancelled, '200 OK'));
    peer.send(respond(sent.replace(/^(To: .*?)\r$/m, '$1;tag=theirs\r'), '487 Request Terminated'));
    await peer.next(/^ACK /);
    expect(await made).toMatchObject({ status: 487 });
    expect(edge.counters().dialogs).toBe(1);
  });
});
