import { createSocket } from 'node:dgram';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { mLines, sdp, type Signalling, startSignalling, versionOf } from '../support/signalling.ts';
import { headerOf, respond } from '../support/sip-peer.ts';

let line: Signalling;

beforeAll(async () => {
  line = await startSignalling();
});

afterAll(async () => {
  await line[Symbol.asyncDispose]();
});

const PLAIN = sdp('m=audio 40000 RTP/AVP 0');
const ANSWER = sdp('m=audio 40000 RTP/AVP 0 101', 'a=rtpmap:101 telephone-event/8000', 'a=sendonly');
const callOf = "select id, end_reason from calls where sip_call_id = $1 and state in ('complete', 'failed')";

describe('an INVITE without an offer', () => {
  it('gets ours in the 200: one line, both laws, events and comfort noise, recvonly; the ACK answers it', async () => {
    const dialog = await line.answered({ body: '', ack: { body: ANSWER } });
    expect(mLines(dialog.ok)[0]).toMatch(/^m=audio \d+ RTP\/AVP 8 0 101 13$/);
    expect(mLines(dialog.ok)).toHaveLength(1);
    expect(dialog.ok).toMatch(/^a=recvonly$/m);
    expect(dialog.ok).toMatch(/^a=rtpmap:101 telephone-event\/8000$/m);
    const { id } = await line.row<{ id: string }>('select id from calls where sip_call_id = $1', [
      dialog.call.callId,
    ]);
    // A BYE that overtakes the ACK would leave nothing to answer.
    await line.row("select 1 from call_events where call_id = $1 and kind = 'answer'", [id]);
    const port = Number(/^m=audio (\d+)/m.exec(dialog.ok)?.[1]);
    const media = createSocket('udp4');
    for (let sequence = 0; sequence < 5; sequence++) {
      const packet = Buffer.alloc(172, 0xff);
      packet.writeUInt32BE(0x80000000 + sequence, 0);
      packet.writeUInt32BE(sequence * 160, 4);
      packet.writeUInt32BE(7, 8);
      await new Promise<void>((sent) => {
        media.send(packet, port, '127.0.0.1', () => {
          sent();
        });
      });
    }
    await line.hangUp(dialog);
    media.close();
    await line.row(callOf, [dialog.call.callId]);
    const leg = await line.row<{ media: object }>('select media from legs where call_id = $1', [id]);
    expect(leg.media).toMatchObject({ packetsReceived: 5 });
  });

  it('gets two lines where it comes from a recording client; one that the answer refuses is closed', async () => {
    const dialog = await line.answered({
      body: '',
      headers: ['Require: siprec'],
      ack: { body: sdp('m=audio 40000 RTP/AVP 8', 'a=label:1', 'm=audio 0 RTP/AVP 8') },
    });
    expect(mLines(dialog.ok)).toHaveLength(2);
    const again = await line.ask(dialog, 'UPDATE', 2, {
      body: sdp('m=audio 40000 RTP/AVP 8', 'a=label:1', 'm=audio 40002 RTP/AVP 8', 'a=label:2'),
    });
    expect(mLines(again).map((text) => text.split(' ')[1])).toEqual(
      mLines(dialog.ok).map((text) => text.split(' ')[1]),
    );
    await line.hangUp(dialog);
  });

  it.each([
    ['no answer', {}],
    ['an answer without G.711', { body: sdp('m=audio 40000 RTP/AVP 18') }],
    ['an answer that refuses the line', { body: sdp('m=audio 0 RTP/AVP 8') }],
    ['an answer that cannot be read', { body: 'hello' }],
  ])('is ended by BYE with a reason when the ACK has %s', async (_name, ack) => {
    const dialog = await line.answered({ body: '', ack });
    const bye = await line.peer.next(new RegExp(`^BYE [^]*Call-ID: ${dialog.call.callId}`));
    expect(headerOf(bye, 'Reason')).toContain('No usable answer');
    line.peer.send(respond(bye, '200 OK'));
    const row = await line.row<{ end_reason: string }>(callOf, [dialog.call.callId]);
    expect(row.end_reason).toBe('no_media');
  });
});

describe('a re-INVITE without an offer', () => {
  it('gets an offer of what stands, open again though it was on hold, and its ACK is applied', async () => {
    const dialog = await line.answered({ body: PLAIN });
    const port = /^m=audio (\d+)/m.exec(dialog.ok)?.[1];
    const held = await line.ask(dialog, 'INVITE', 2, { body: sdp('m=audio 40000 RTP/AVP 0', 'a=inactive') });
    expect(held).toMatch(/^a=inactive$/m);
    const resumed = await line.ask(dialog, 'INVITE', 3, {
      ack: { body: sdp('m=audio 40010 RTP/AVP 0', 'a=sendonly') },
    });
    expect(mLines(resumed)).toEqual([`m=audio ${port} RTP/AVP 0 8 101 13`]);
    expect(resumed).toMatch(/^a=recvonly$/m);
    expect(versionOf(resumed)).toBe(versionOf(held) + 1);
    // The answer was taken: the next offer is compared with what was agreed.
    await line.ask(dialog, 'OPTIONS', 4);
    await line.hangUp(dialog);
    const { id } = await line.row<{ id: string }>(callOf, [dialog.call.callId]);
    await line.row("select 1 from call_events where call_id = $1 and kind = 'answer'", [id]);
  });

  it('leaves the session as it was when its ACK has no answer', async () => {
    const dialog = await line.answered({ body: PLAIN });
    await line.ask(dialog, 'INVITE', 2);
    expect(await line.ask(dialog, 'UPDATE', 3, { body: PLAIN })).toMatch(/^SIP\/2.0 200 /);
    await line.hangUp(dialog);
    const row = await line.row<{ id: string; end_reason: string }>(callOf, [dialog.call.callId]);
    expect(row.end_reason).toBe('bye');
    await line.row("select 1 from call_events where call_id = $1 and kind = 'answer_unusable'", [row.id]);
  });
});
