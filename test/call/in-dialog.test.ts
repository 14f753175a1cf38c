import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import {
  mLines,
  type ScriptedDialog,
  sdp,
  sdpOf,
  type Signalling,
  startSignalling,
  versionOf,
} from '../support/signalling.ts';
import { headerOf, invite, newCall, request, tagOf } from '../support/sip-peer.ts';

let line: Signalling;

beforeAll(async () => {
  line = await startSignalling();
});

afterAll(async () => {
  await line[Symbol.asyncDispose]();
});

const LINE = ['m=audio 40000 RTP/AVP 8', 'a=label:1', 'a=sendonly'];
const PLAIN = sdp(...LINE);
const METADATA = (name: string, mode = 'complete'): string =>
  `<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>${mode}</datamode>` +
  `<participant participant_id="p1"><nameID aor="sip:${name}@example.com"><name>${name}</name></nameID></participant>` +
  '<stream stream_id="s1"><label>1</label></stream>' +
  '<participantstreamassoc participant_id="p1"><send>s1</send></participantstreamassoc></recording>';
const both = (offer: string, metadata: string) => ({
  contentType: 'multipart/mixed;boundary=b',
  body: `--b\r\nContent-Type: application/sdp\r\n\r\n${offer}\r\n--b\r\nContent-Type: application/rs-metadata+xml\r\n\r\n${metadata}\r\n--b--\r\n`,
});
const metadataOnly = (metadata: string) => ({ contentType: 'application/rs-metadata+xml', body: metadata });

const bodyOf = (message: string): string => message.split('\r\n\r\n')[1] ?? '';
const speakerOf = async ({ call }: ScriptedDialog, name: string): Promise<void> => {
  await line.row('select 1 from legs join calls on calls.id = call_id where sip_call_id = $1 and name = $2', [
    call.callId,
    name,
  ]);
};

describe('re-INVITE and UPDATE', () => {
  it('with SDP, with metadata, with both, with neither: each its one answer, and the metadata is read', async () => {
    const dialog = await line.answered(both(PLAIN, METADATA('Anna')));
    await speakerOf(dialog, 'Anna');
    const port = mLines(dialog.ok)[0]?.split(' ')[1];

    const refreshed = await line.ask(dialog, 'INVITE', 2, both(PLAIN, METADATA('Berta')));
    expect(bodyOf(refreshed)).toBe(bodyOf(dialog.ok));
    await speakerOf(dialog, 'Berta');

    const updated = await line.ask(dialog, 'UPDATE', 3, metadataOnly(METADATA('Clara')));
    expect(updated).toMatch(/^SIP\/2.0 200 /);
    expect(bodyOf(updated)).toBe('');
    await speakerOf(dialog, 'Clara');

    const offered = await line.ask(dialog, 'INVITE', 4, metadataOnly(METADATA('Dora')));
    expect(bodyOf(offered)).toBe(bodyOf(dialog.ok));
    await speakerOf(dialog, 'Dora');

    const withSdp = await line.ask(dialog, 'UPDATE', 5, { body: PLAIN });
    expect(bodyOf(withSdp)).toBe(bodyOf(dialog.ok));

    const empty = await line.ask(dialog, 'UPDATE', 6);
    expect(empty).toMatch(/^SIP\/2.0 200 /);
    expect(bodyOf(empty)).toBe('');

    const moved = await line.ask(
      dialog,
      'UPDATE',
      7,
      both(sdpOf(2, ...LINE, 'a=ptime:60'), METADATA('Emma')),
    );
    expect(mLines(moved)[0]?.split(' ')[1]).toBe(port);
    expect(versionOf(moved)).toBe(versionOf(dialog.ok));
    await speakerOf(dialog, 'Emma');
    await line.hangUp(dialog);
    for (let cseq = 2; cseq <= 7; cseq++) {
      const method = cseq === 2 || cseq === 4 ? 'INVITE' : 'UPDATE';
      expect({ cseq, finals: line.finals(dialog.call, cseq, method) }).toEqual({ cseq, finals: 1 });
    }
  });

  it('a line that was switched off and comes back keeps its leg, its port and its clock', async () => {
    const two = (first: number, second: number): string =>
      sdp(`m=audio ${first} RTP/AVP 8`, 'a=label:1', `m=audio ${second} RTP/AVP 8`, 'a=label:2');
    const dialog = await line.answered({ body: two(40_000, 40_002) });
    const [first, second] = mLines(dialog.ok);
    const off = await line.ask(dialog, 'INVITE', 2, { body: two(40_000, 0) });
    expect(mLines(off)).toEqual([first, 'm=audio 0 RTP/AVP 8']);
    expect(off.match(/^a=label:.*$/gm)).toEqual(['a=label:1', 'a=label:2']);
    const paused = await line.ask(dialog, 'INVITE', 3, { body: two(0, 0) });
    expect(paused).toMatch(/^SIP\/2.0 200 /);
    const back = await line.ask(dialog, 'INVITE', 4, { body: two(40_000, 40_006) });
    expect(mLines(back)).toEqual([first, second]);
    await line.hangUp(dialog);
    await line.row("select 1 from calls where sip_call_id = $1 and state = 'complete'", [dialog.call.callId]);
    const { rows } = await line.test.pool.query(
      'select 1 from legs join calls on calls.id = call_id where sip_call_id = $1',
      [dialog.call.callId],
    );
    expect(rows).toHaveLength(2);
  });

  it('of several at a time one is answered, the others get 500 with Retry-After, each once', async () => {
    const dialog = await line.answered({ body: PLAIN });
    const { call, toTag } = dialog;
    const body = sdp(...LINE, 'm=audio 40002 RTP/AVP 8', 'a=label:2');
    for (const cseq of [2, 3, 4]) line.peer.send(request(line.peer, 'INVITE', call, { toTag, cseq, body }));
    const answers = await Promise.all([2, 3, 4].map((cseq) => line.final(call, cseq, 'INVITE')));
    const statuses = answers.map((answer) => Number(/^SIP\/2.0 (\d+)/.exec(answer)?.[1]));
    expect(statuses[0]).toBe(200);
    for (const [index, answer] of answers.entries()) {
      if (statuses[index] === 200) continue;
      expect(statuses[index]).toBe(500);
      expect(Number(headerOf(answer, 'Retry-After'))).toBeLessThanOrEqual(10);
    }
    expect(statuses).toContain(500);
    // Whoever tries again succeeds.
    expect(mLines(await line.ask(dialog, 'INVITE', 5, { body }))).toHaveLength(2);
    await line.hangUp(dialog);
  });

  it('an UPDATE with an offer while ours waits for its answer gets 491', async () => {
    const call = newCall();
    line.peer.send(invite(line.peer, call, { body: '' }));
    const ok = await line.final(call, 1, 'INVITE');
    const toTag = tagOf(ok);
    line.peer.send(request(line.peer, 'UPDATE', call, { toTag, cseq: 2, body: PLAIN }));
    expect(await line.final(call, 2, 'UPDATE')).toMatch(/^SIP\/2.0 491 /);
    line.peer.send(request(line.peer, 'ACK', call, { toTag, body: PLAIN }));
    await line.hangUp({ call, ok, toTag });
  });

  it('a body of which nothing can be read gets 415 with what can', async () => {
    const dialog = await line.answered({ body: PLAIN });
    const answer = await line.ask(dialog, 'INVITE', 2, { body: 'x', contentType: 'application/isup' });
    expect(answer).toMatch(/^SIP\/2.0 415 /);
    expect(headerOf(answer, 'Accept')).toContain('application/sdp');
    await line.hangUp(dialog);
    const call = newCall();
    line.peer.send(invite(line.peer, call, { body: 'x', contentType: 'application/isup' }));
    expect(await line.final(call, 1, 'INVITE')).toMatch(/^SIP\/2.0 415 /);
  });
});

describe('session timers (RFC 4028)', () => {
  it.each([
    ['Supported: timer', 'Session-Expires: 1800', '1800;refresher=uac', 'timer'],
    ['Supported: timer', 'Session-Expires: 300;refresher=uas', '300;refresher=uas', 'timer'],
    ['k: timer', 'x: 300;refresher=uac', '300;refresher=uac', 'timer'],
    ['Require: timer', 'Session-Expires: 91', '91;refresher=uac', 'timer'],
    ['Allow: INVITE', 'Session-Expires: 300', '300;refresher=uas', undefined],
    ['Supported: timer', 'Min-SE: 90', undefined, undefined],
  ])('%s, %s: %s', async (supported, expires, agreed, required) => {
    const dialog = await line.answered({ body: PLAIN, headers: [supported, expires] });
    expect(headerOf(dialog.ok, 'Session-Expires')).toBe(agreed);
    expect(headerOf(dialog.ok, 'Require')).toBe(required);
    await line.hangUp(dialog);
  });

  it('says 422 with Min-SE to less than 90 s, and takes the second attempt', async () => {
    const call = newCall();
    line.peer.send(
      invite(line.peer, call, { body: PLAIN, headers: ['Supported: timer', 'Session-Expires: 60'] }),
    );
    const small = await line.final(call, 1, 'INVITE');
    expect(small).toMatch(/^SIP\/2.0 422 /);
    expect(headerOf(small, 'Min-SE')).toBe('90');
    line.peer.send(request(line.peer, 'ACK', call, { branch: call.branch, toTag: tagOf(small) }));
    await line.hangUp(
      await line.answered({
        body: PLAIN,
        headers: ['Supported: timer', 'Session-Expires: 90', 'Min-SE: 90'],
      }),
    );
  });

  it('a refresh by re-INVITE or UPDATE is confirmed with its interval', async () => {
    const headers = ['Supported: timer', 'Session-Expires: 1800;refresher=uac'];
    const dialog = await line.answered({ body: PLAIN, headers });
    for (const [cseq, method] of [
      [2, 'INVITE'],
      [3, 'UPDATE'],
    ] as const) {
      const answer = await line.ask(dialog, method, cseq, { body: PLAIN, headers });
      expect(headerOf(answer, 'Session-Expires')).toBe('1800;refresher=uac');
      expect(headerOf(answer, 'Require')).toBe('timer');
      expect(bodyOf(answer)).toBe(bodyOf(dialog.ok));
    }
    await line.hangUp(dialog);
  });
});

describe.runIf(process.env['CALLSCRIBE_TEST_DRACHTIO'] !== undefined)('with a drachtio-server', () => {
  it('an INVITE that requires reliable provisional responses gets its 200 at once', async () => {
    const dialog = await line.answered({ body: PLAIN, headers: ['Require: 100rel'] });
    expect(line.peer.received.filter((text) => text.startsWith('SIP/2.0 18'))).toEqual([]);
    await line.hangUp(dialog);
  });
});

describe.skipIf(process.env['CALLSCRIBE_TEST_DRACHTIO'] !== undefined)(
  'an INVITE that requires reliable provisional responses',
  () => {
    const headers = ['Require: 100rel', 'Require: siprec'];

    /** INVITE up to the 183, and the PRACK that belongs to it. */
    async function provisional(options: { body: string }) {
      const call = newCall();
      line.peer.send(invite(line.peer, call, { headers, ...options }));
      const early = await line.peer.next(new RegExp(`^SIP/2.0 183 [^]*Call-ID: ${call.callId}`));
      const toTag = tagOf(early);
      const rack = `RAck: ${headerOf(early, 'RSeq')} 1 INVITE`;
      return { call, early, toTag, rack };
    }

    it('gets 183 with the answer, and 200 after the PRACK', async () => {
      const { call, early, toTag, rack } = await provisional({ body: PLAIN });
      expect(headerOf(early, 'Require')).toContain('100rel');
      expect(mLines(early)).toHaveLength(1);
      line.peer.send(request(line.peer, 'PRACK', call, { toTag, cseq: 2, headers: [rack] }));
      expect(await line.final(call, 2, 'PRACK')).toMatch(/^SIP\/2.0 200 /);
      const ok = await line.final(call, 1, 'INVITE');
      expect(ok).toMatch(/^SIP\/2.0 200 /);
      expect(headerOf(ok, 'Require')).toBe('siprec');
      expect(bodyOf(ok)).toBe(bodyOf(early));
      line.peer.send(request(line.peer, 'ACK', call, { toTag }));
      await line.hangUp({ call, ok, toTag });
    });

    it('gets our offer in the 183 where it has none, and the PRACK answers it', async () => {
      const { call, early, toTag, rack } = await provisional({ body: '' });
      expect(mLines(early)).toHaveLength(2);
      const body = sdp(...LINE, 'm=audio 40002 RTP/AVP 8', 'a=label:2');
      line.peer.send(request(line.peer, 'PRACK', call, { toTag, cseq: 2, headers: [rack], body }));
      const ok = await line.final(call, 1, 'INVITE');
      expect(bodyOf(ok)).toBe('');
      line.peer.send(request(line.peer, 'ACK', call, { toTag }));
      expect(mLines(await line.ask({ call, ok, toTag }, 'UPDATE', 3, { body }))).toHaveLength(2);
      await line.hangUp({ call, ok, toTag });
    });

    it('is answered all the same by a peer that never sends the PRACK', async () => {
      const { call, toTag } = await provisional({ body: PLAIN });
      const ok = await line.final(call, 1, 'INVITE');
      expect(ok).toMatch(/^SIP\/2.0 200 /);
      line.peer.send(request(line.peer, 'ACK', call, { toTag }));
      await line.hangUp({ call, ok, toTag });
    });

    it('may be cancelled while the PRACK is waited for, and leaves nothing', async () => {
      const { call, toTag } = await provisional({ body: PLAIN });
      line.peer.send(request(line.peer, 'CANCEL', call, { branch: call.branch }));
      expect(await line.final(call, 1, 'INVITE')).toMatch(/^SIP\/2.0 487 /);
      line.peer.send(request(line.peer, 'ACK', call, { branch: call.branch, toTag }));
      await expect.poll(() => legsNow()).toBe(0);
      expect(
        (await line.test.pool.query('select 1 from calls where sip_call_id = $1', [call.callId])).rows,
      ).toEqual([]);
    });
  },
);

async function legsNow(): Promise<number> {
  const metrics = await (await fetch(`${line.test.service.httpUrl}/metrics`)).text();
  return Number(/^callscribe_legs (\d+)/m.exec(metrics)?.[1]);
}

describe('CANCEL and retransmissions', () => {
  it('a CANCEL after the 200 changes nothing', async () => {
    const dialog = await line.answered({ body: PLAIN });
    line.peer.send(request(line.peer, 'CANCEL', dialog.call, { branch: dialog.call.branch }));
    expect(await line.final(dialog.call, 1, 'CANCEL')).toMatch(/^SIP\/2.0 481 /);
    expect(await line.ask(dialog, 'UPDATE', 2, { body: PLAIN })).toMatch(/^SIP\/2.0 200 /);
    await line.hangUp(dialog);
  });

  it('a repeated INVITE is the same call, a repeated re-INVITE the same answer', async () => {
    const call = newCall();
    const first = invite(line.peer, call, { body: PLAIN });
    line.peer.send(first);
    line.peer.send(first);
    const ok = await line.final(call, 1, 'INVITE');
    line.peer.send(first);
    expect(await line.final(call, 1, 'INVITE')).toBe(ok);
    const toTag = tagOf(ok);
    line.peer.send(request(line.peer, 'ACK', call, { toTag }));
    const again = request(line.peer, 'INVITE', call, { toTag, cseq: 2, body: PLAIN });
    line.peer.send(again);
    const answer = await line.final(call, 2, 'INVITE');
    line.peer.send(again);
    expect(await line.final(call, 2, 'INVITE')).toBe(answer);
    line.peer.send(request(line.peer, 'ACK', call, { toTag, cseq: 2 }));
    await line.hangUp({ call, ok, toTag });
    await line.row("select 1 from calls where sip_call_id = $1 and state = 'complete'", [call.callId]);
    const { rows } = await line.test.pool.query('select 1 from calls where sip_call_id = $1', [call.callId]);
    expect(rows).toHaveLength(1);
  });
});

it.each(['\r', '\n'])('an INVITE with %j in its Call-ID is malformed', async (sign) => {
  const call = newCall();
  line.peer.send(invite(line.peer, { ...call, callId: `fu${sign}zz-${call.callId}` }, { body: PLAIN }));
  expect(await line.peer.next(new RegExp(`^SIP/2.0 [2-6][^]*zz-${call.callId}`))).toMatch(/^SIP\/2.0 400 /);
});
