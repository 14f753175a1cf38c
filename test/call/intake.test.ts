import { createSocket } from 'node:dgram';
import { once } from 'node:events';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { loadLegs } from '../../src/store/load-legs.ts';
import { eventsOf } from '../support/events-of.ts';
import { completedCalls, startTestService, type TestService } from '../support/service.ts';
import { headerOf, invite, newCall, request, type SipPeer, tagOf, udpPeer } from '../support/sip-peer.ts';

let test: TestService;
let peer: SipPeer;

async function start(env: Record<string, string> = {}): Promise<void> {
  test = await startTestService({ queue: 'postgres', env });
  const [host = '', port = ''] = test.target('udp').replace('sip:', '').split(':');
  peer = await udpPeer({ host, port: Number(port) });
  await routesTaken();
}

/** drachtio-srf registers its routes behind the connect event; until the last one is taken the edge answers 503. */
async function routesTaken(): Promise<void> {
  for (;;) {
    const probe = newCall();
    peer.send(request(peer, 'PUBLISH', probe));
    if (!(await peer.next(new RegExp(`Call-ID: ${probe.callId}`))).startsWith('SIP/2.0 503')) return;
  }
}

afterEach(async () => {
  await peer.close();
  await test[Symbol.asyncDispose]();
});

const sdp = (...media: string[]): string =>
  ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', ...media, ''].join('\r\n');

const PLAIN = sdp('m=audio 40000 RTP/AVP 0');

const multipart = (offer: string, metadata: string): string =>
  `--b\r\nContent-Type: application/sdp\r\n\r\n${offer}\r\n--b\r\nContent-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session\r\n\r\n${metadata}\r\n--b--\r\n`;

const mLines = (message: string): string[] => message.match(/^m=.*$/gm) ?? [];

interface Dialog {
  readonly call: ReturnType<typeof newCall>;
  readonly ok: string;
  readonly toTag: string;
}

async function answered(
  options: { body?: string; contentType?: string; headers?: string[] } = {},
): Promise<Dialog> {
  const call = newCall();
  peer.send(invite(peer, call, { body: PLAIN, ...options }));
  const ok = await peer.next(/^SIP\/2.0 200[^]*CSeq: 1 INVITE/);
  const toTag = tagOf(ok);
  peer.send(request(peer, 'ACK', call, { toTag }));
  return { call, ok, toTag };
}

async function hangUp({ call, toTag }: Dialog, cseq: number): Promise<void> {
  peer.send(request(peer, 'BYE', call, { toTag, cseq }));
  await peer.next(new RegExp(`^SIP/2.0 200[^]*CSeq: ${cseq} BYE`));
}

async function finalResponse(cseq: number, method: string): Promise<string> {
  return peer.next(new RegExp(`^SIP/2.0 [2-6]\\d\\d[^]*CSeq: ${cseq} ${method}`));
}

/** Final responses that came for one request: must be one. */
const responsesTo = (cseq: number, method: string): number =>
  peer.received.filter((text) => new RegExp(`^SIP/2.0 [2-6]\\d\\d[^]*CSeq: ${cseq} ${method}\\r`).test(text))
    .length;

describe('the answer to an offer', () => {
  beforeEach(() => start());

  it('takes every G.711 line, same order, labels echoed, recvonly; refuses the others with port 0', async () => {
    const body = multipart(
      sdp(
        'm=audio 40000 RTP/AVP 8 0 101',
        'a=rtpmap:101 telephone-event/8000',
        'a=label:16777227',
        'a=sendonly',
        'm=video 40004 RTP/AVP 96',
        'a=label:v',
        'm=audio 40002 RTP/AVP 18',
        'a=label:g729',
        'm=audio 40006 RTP/AVP 0',
        'a=label:b_leg',
        'a=sendonly',
        'm=audio 40008 RTP/AVP 8',
        'a=inactive',
      ),
      '<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>complete</datamode></recording>',
    );
    const dialog = await answered({
      body,
      contentType: 'multipart/mixed;boundary="b"',
      headers: ['Require: siprec'],
    });
    expect(mLines(dialog.ok).map((line) => line.replace(/ [1-9]\d* /, ' PORT '))).toEqual([
      'm=audio PORT RTP/AVP 8 101',
      'm=video 0 RTP/AVP 96',
      'm=audio 0 RTP/AVP 18',
      'm=audio PORT RTP/AVP 0',
      'm=audio PORT RTP/AVP 8',
    ]);
    expect(dialog.ok.match(/^a=label:.*$/gm)).toEqual([
      'a=label:16777227',
      'a=label:v',
      'a=label:g729',
      'a=label:b_leg',
    ]);
    expect(dialog.ok.match(/^a=(recvonly|inactive)$/gm)).toEqual(['a=recvonly', 'a=recvonly', 'a=inactive']);
    expect(headerOf(dialog.ok, 'Require')).toBe('siprec');
    expect(headerOf(dialog.ok, 'Contact')).toContain('+sip.srs');
    await hangUp(dialog, 2);
    const [call] = await completedCalls(test.pool, 1);
    expect((await loadLegs(test.pool, call!.id)).map(({ label }) => label)).toEqual([
      '16777227',
      'b_leg',
      null,
    ]);
  });

  it('binds the RTP port before it answers, and keeps packets that come before the ACK', async () => {
    const call = newCall();
    peer.send(invite(peer, call, { body: PLAIN }));
    const ok = await peer.next(/^SIP\/2.0 200[^]*CSeq: 1 INVITE/);
    const port = Number(/^m=audio (\d+)/m.exec(ok)?.[1]);
    const media = createSocket('udp4');
    for (let sequence = 0; sequence < 10; sequence++) {
      const packet = Buffer.alloc(172, 0xff);
      packet.writeUInt16BE(0x8000, 0);
      packet.writeUInt16BE(sequence, 2);
      packet.writeUInt32BE(sequence * 160, 4);
      packet.writeUInt32BE(7, 8);
      media.send(packet, port, '127.0.0.1');
    }
    await new Promise<void>((resolve) => {
      media.send(Buffer.from('garbage'), port, '127.0.0.1', () => {
        resolve();
      });
    });
    const toTag = tagOf(ok);
    peer.send(request(peer, 'ACK', call, { toTag }));
    await hangUp({ call, ok, toTag }, 2);
    media.close();
    await once(media, 'close');
    const [stored] = await completedCalls(test.pool, 1);
    const [leg] = await loadLegs(test.pool, stored!.id);
    expect(leg?.media).toMatchObject({ packetsReceived: 10, packetsMalformed: 1, packetsLost: 0 });
    expect(await eventsOf(test.pool, stored!.id)).toMatchObject([
      { kind: 'media_malformed', legId: leg?.id, detail: { packetsMalformed: 1, rtcpMalformed: 0 } },
    ]);
  });

  it.each([
    ['488 without a common codec', { body: sdp('m=audio 40000 RTP/AVP 18') }, 488],
    ['488 for SRTP without plain RTP', { body: sdp('m=audio 40000 RTP/SAVP 0') }, 488],
    ['400 for what is no session description', { body: 'hello' }, 400],
    [
      '400 for a multipart body without its boundary',
      { body: 'x', contentType: 'multipart/mixed;boundary=b' },
      400,
    ],
  ])('answers %s', async (_name, options, status) => {
    const call = newCall();
    peer.send(invite(peer, call, options));
    expect(await finalResponse(1, 'INVITE')).toMatch(new RegExp(`^SIP/2.0 ${status} `));
    peer.send(request(peer, 'ACK', call, { branch: call.branch, toTag: 'x' }));
    // The next call is served as if nothing had been.
    await hangUp(await answered(), 2);
    expect(await completedCalls(test.pool, 1)).toHaveLength(1);
  });

  it('goes on without metadata that cannot be read, and says so in an event', async () => {
    const dialog = await answered({
      body: multipart(PLAIN, '<recording><unclosed></recording>'),
      contentType: 'multipart/mixed;boundary=b',
    });
    await hangUp(dialog, 2);
    const [call] = await completedCalls(test.pool, 1);
    // A job of its own, which may be written after the call's last one.
    await vi.waitFor(
      async () => {
        const events = await eventsOf(test.pool, call!.id);
        expect(events).toMatchObject([
          { kind: 'metadata_malformed', detail: { code: 'METADATA_MALFORMED' } },
        ]);
      },
      { timeout: 10_000 },
    );
  });

  it('keeps every id that the peer gave', async () => {
    const dialog = await answered({
      headers: ['User-to-User: 00FA08;encoding=hex', 'X-Genesys-CallUUID: G1'],
    });
    await hangUp(dialog, 2);
    const [call] = await completedCalls(test.pool, 1);
    expect(call?.identifiers).toEqual(
      expect.arrayContaining([
        { kind: 'sip-call-id', value: dialog.call.callId },
        { kind: 'user-to-user', value: 'FA08' },
        { kind: 'genesys-uuid', value: 'G1' },
      ]),
    );
  });
});

describe('in a dialog', () => {
  beforeEach(() => start());

  it('every request gets exactly one final answer, the right one', async () => {
    const dialog = await answered();
    const { call, toTag, ok } = dialog;
    const ask = async (
      cseq: number,
      method: string,
      options: { body?: string; contentType?: string } = {},
    ): Promise<string> => {
      peer.send(request(peer, method, call, { toTag, cseq, ...options }));
      const answer = await finalResponse(cseq, method);
      if (method === 'INVITE') peer.send(request(peer, 'ACK', call, { toTag, cseq }));
      return answer;
    };
    const port = /^m=audio (\d+)/m.exec(ok)?.[1] ?? '';
    const version = (text: string): string | undefined => /^o=\S+ \d+ (\d+)/m.exec(text)?.[1];

    const options = await ask(2, 'OPTIONS');
    expect(options).toMatch(/^SIP\/2.0 200 /);
    expect(headerOf(options, 'Allow')).toContain('UPDATE');
    expect(await ask(3, 'INFO', { body: 'Signal=5', contentType: 'application/dtmf-relay' })).toMatch(
      /^SIP\/2.0 200 /,
    );
    const metadataOnly = await ask(4, 'UPDATE', {
      body: '<recording><datamode>partial</datamode></recording>',
      contentType: 'application/rs-metadata+xml',
    });
    expect(metadataOnly).toMatch(/^SIP\/2.0 200 [^]*Content-Length: 0/);
    const same = await ask(5, 'INVITE', { body: PLAIN });
    expect(mLines(same)).toEqual([`m=audio ${port} RTP/AVP 0`]);
    expect(version(same)).toBe(version(ok));
    const held = await ask(6, 'UPDATE', { body: sdp('m=audio 40000 RTP/AVP 0', 'a=inactive') });
    expect(held).toMatch(/^a=inactive$/m);
    expect(Number(version(held))).toBe(Number(version(ok)) + 1);
    const more = await ask(7, 'INVITE', { body: sdp('m=audio 40000 RTP/AVP 0', 'm=audio 40002 RTP/AVP 8') });
    expect(mLines(more)).toHaveLength(2);
    expect(await ask(8, 'INVITE', { body: sdp('m=audio 40000 RTP/AVP 18') })).toMatch(/^SIP\/2.0 488 /);
    expect(await ask(9, 'INVITE', { body: 'hello' })).toMatch(/^SIP\/2.0 400 /);
    const empty = await ask(10, 'INVITE');
    expect(mLines(empty)).toHaveLength(2);

    await hangUp(dialog, 11);
    for (const [cseq, method] of [
      [2, 'OPTIONS'],
      [3, 'INFO'],
      [4, 'UPDATE'],
      [5, 'INVITE'],
      [6, 'UPDATE'],
      [7, 'INVITE'],
      [8, 'INVITE'],
      [9, 'INVITE'],
      [10, 'INVITE'],
      [11, 'BYE'],
    ] as const) {
      expect({ cseq, answers: responsesTo(cseq, method) }).toEqual({ cseq, answers: 1 });
    }
    const [stored] = await completedCalls(test.pool, 1);
    expect(stored).toMatchObject({ state: 'complete', endReason: 'bye' });
    expect(await loadLegs(test.pool, stored!.id)).toHaveLength(2);
    // The ACK to the empty re-INVITE brings no answer; the BYE behind it may be the faster to be read.
    const kinds = (await eventsOf(test.pool, stored!.id))
      .map(({ kind }) => kind)
      .filter((kind) => kind !== 'answer_unusable');
    expect(kinds).toEqual(['metadata', 'reoffer', 'hold', 'reoffer', 'resume', 'reoffer']);
  });

  it('a request for a call that is gone gets 481', async () => {
    const dialog = await answered();
    await hangUp(dialog, 2);
    peer.send(request(peer, 'INFO', dialog.call, { toTag: dialog.toTag, cseq: 3 }));
    expect(await finalResponse(3, 'INFO')).toMatch(/^SIP\/2.0 481 /);
  });
});

describe('who is let in', () => {
  it('OPTIONS from outside of a dialog tells that calls are taken', async () => {
    await start();
    peer.send(request(peer, 'OPTIONS', newCall()));
    expect(await finalResponse(1, 'OPTIONS')).toMatch(/^SIP\/2.0 200 [^]*Accept: .*rs-metadata/);
  });

  it('answers 405 to what it does not do', async () => {
    await start();
    peer.send(request(peer, 'REGISTER', newCall()));
    expect(await finalResponse(1, 'REGISTER')).toMatch(/^SIP\/2.0 405 /);
  });

  it('answers 403 to peers outside SIP_ALLOW and counts them, the first probe too', async () => {
    await start({ SIP_ALLOW: '192.0.2.0/24' });
    peer.send(invite(peer, newCall(), { body: PLAIN }));
    expect(await finalResponse(1, 'INVITE')).toMatch(/^SIP\/2.0 403 /);
    const metrics = await (await fetch(`${test.service.httpUrl}/metrics`)).text();
    expect(metrics).toContain('callscribe_sip_refused_peers_total 2');
  });

  it('answers 503 with Retry-After when the leg limit is reached, and takes calls again after', async () => {
    await start({ MAX_LEGS: '1' });
    const first = await answered();
    peer.send(invite(peer, newCall(), { body: PLAIN }));
    const busy = await peer.next(/^SIP\/2.0 503/);
    expect(headerOf(busy, 'Retry-After')).toBe('5');
    expect((await fetch(`${test.service.httpUrl}/readyz`)).status).toBe(503);
    await hangUp(first, 2);
    await completedCalls(test.pool, 1);
    await hangUp(await answered(), 2);
    expect(await completedCalls(test.pool, 2)).toHaveLength(2);
  });

  it('a call whose last line finds no room loses only that line when it stands already', async () => {
    await start({ MAX_LEGS: '1' });
    const dialog = await answered();
    const body = sdp('m=audio 40000 RTP/AVP 0', 'm=audio 40002 RTP/AVP 8');
    peer.send(request(peer, 'INVITE', dialog.call, { toTag: dialog.toTag, cseq: 2, body }));
    const answer = await finalResponse(2, 'INVITE');
    peer.send(request(peer, 'ACK', dialog.call, { toTag: dialog.toTag, cseq: 2 }));
    expect(mLines(answer)[1]).toBe('m=audio 0 RTP/AVP 8');
    await hangUp(dialog, 3);
  });
});

describe('the drain', () => {
  it('refuses new calls with 503, ends the current ones by BYE, and completes them', async () => {
    await start({ DRAIN_SECONDS: '0' });
    const dialog = await answered();
    const closing = test.service.close();
    const bye = await peer.next(/^BYE /);
    expect(headerOf(bye, 'Call-ID')).toBe(dialog.call.callId);
    await closing;
    expect(await fetch(`${test.service.httpUrl}/healthz`).catch(() => 'gone')).toBe('gone');
  });

  it('lets a current call go on to its own end, while /readyz and new calls get 503', async () => {
    await start({ DRAIN_SECONDS: '30' });
    const dialog = await answered();
    const closing = test.service.close();
    peer.send(invite(peer, newCall(), { body: PLAIN }));
    expect(await peer.next(/^SIP\/2.0 503/)).toContain('Retry-After');
    expect((await fetch(`${test.service.httpUrl}/readyz`)).status).toBe(503);
    peer.send(request(peer, 'OPTIONS', newCall()));
    expect(await finalResponse(1, 'OPTIONS')).toMatch(/^SIP\/2.0 503 /);
    await hangUp(dialog, 2);
    await closing;
  });
});

describe('a call that is not to be', () => {
  it('leaves no row and no leg when it is cancelled before the answer', async () => {
    await start();
    for (let attempt = 0; attempt < 10; attempt++) {
      const call = newCall();
      peer.send(invite(peer, call, { body: PLAIN }));
      peer.send(request(peer, 'CANCEL', call, { branch: call.branch }));
      const final = await peer.next(/^SIP\/2.0 [2-6]\d\d[^]*CSeq: 1 INVITE/);
      const toTag = tagOf(final);
      peer.send(
        request(
          peer,
          'ACK',
          call,
          final.startsWith('SIP/2.0 200') ? { toTag } : { toTag, branch: call.branch },
        ),
      );
      // The CANCEL may lose the race; then the call stands, and is ended as any other.
      if (final.startsWith('SIP/2.0 200')) await hangUp({ call, ok: final, toTag }, 2);
      else expect(final).toMatch(/^SIP\/2.0 487 /);
    }
    const answeredCalls = peer.received.filter((text) => /^SIP\/2.0 200[^]*CSeq: 1 INVITE/.test(text)).length;
    const last = await answered();
    await hangUp(last, 2);
    const calls = await completedCalls(test.pool, answeredCalls + 1);
    expect(calls).toHaveLength(answeredCalls + 1);
    const { rows } = await test.pool.query<{ count: string }>('select count(*) from calls');
    expect(Number(rows[0]?.count)).toBe(answeredCalls + 1);
  });
});
