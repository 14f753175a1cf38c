import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { loadLinks } from '../../src/store/link-calls.ts';
import type { StoredCall } from '../../src/store/stored.ts';
import { type ScriptedDialog, sdp, type Signalling, startSignalling } from '../support/signalling.ts';
import { headerOf, invite, newCall, respond } from '../support/sip-peer.ts';

let line: Signalling;

beforeAll(async () => {
  line = await startSignalling({ SIP_JOIN_HEADERS: 'X-Leg-Group', DRAIN_SECONDS: '0' });
});

afterAll(async () => {
  await line[Symbol.asyncDispose]();
});

const PLAIN = sdp('m=audio 40000 RTP/AVP 8');

/** The call that a dialog's Call-ID stands for, when it has come so far. */
const callOf = ({ call }: ScriptedDialog, state = 'complete'): Promise<{ id: StoredCall['id'] }> =>
  line.row(
    "select id from calls join call_identifiers on call_id = id where kind = 'sip-call-id' and value = $1 and state = $2",
    [call.callId, state],
  );

const legsOf = async (
  id: string,
): Promise<{ leg_no: number; role: string; uri: string; ended: boolean }[]> => {
  const { rows } = await line.test.pool.query<{ leg_no: number; role: string; uri: string; ended: boolean }>(
    'select leg_no, role, uri, ended_at is not null as ended from legs where call_id = $1 order by leg_no',
    [id],
  );
  return rows;
};

describe('two INVITEs of one call', () => {
  it('with the same configured header are one call; the BYE of one ends its leg only', async () => {
    const headers = [`X-Leg-Group: ${randomUUID()}`];
    const first = await line.answered({ body: PLAIN, headers });
    const second = await line.answered({ body: PLAIN, headers });
    const other = await line.answered({ body: PLAIN, headers: [`X-Leg-Group: ${randomUUID()}`] });
    const { id } = await callOf(second, 'active');
    expect((await callOf(first, 'active')).id).toBe(id);
    expect((await callOf(other, 'active')).id).not.toBe(id);
    await line.hangUp(first);
    await line.row("select 1 from call_events where call_id = $1 and kind = 'dialog_ended'", [id]);
    await line.row('select 1 from legs where call_id = $1 and leg_no = 0 and ended_at is not null', [id]);
    expect((await legsOf(id)).map(({ ended }) => ended)).toEqual([true, false]);
    expect(await line.ask(second, 'UPDATE', 2, { body: PLAIN })).toMatch(/^SIP\/2.0 200 /);
    await line.hangUp(second);
    await line.hangUp(other);
    expect((await callOf(first)).id).toBe(id);
  });

  it('of a built-in bridge are joined by refci: near end agent, far end customer', async () => {
    const refci = String(Math.floor(Math.random() * 1e9));
    const from = (end: string): string =>
      `From: <sip:1001@cucm;x-${end}end;x-refci=${refci};x-nearendclusterid=c1;x-nearenddevice=SEP1;` +
      `x-nearendaddr=1001;x-farendrefci=7${refci};x-farendaddr=5550100>;tag=${randomUUID()}`;
    const forked = async (end: string): Promise<ScriptedDialog> => {
      const call = newCall();
      const text = invite(line.peer, call, { body: '' })
        .toString()
        .replace(/^From: .*$/m, from(end));
      line.peer.send(text);
      const ok = await line.final(call, 1, 'INVITE');
      const toTag = /^To:.*;tag=([^;\s]+)/im.exec(ok)?.[1] ?? '';
      const ack = text
        .split('\r\n\r\n')[0]!
        .replace(/^INVITE/, 'ACK')
        .replace(/CSeq: 1 INVITE/, 'CSeq: 1 ACK')
        .replace(/branch=[^;]+/, `branch=z9hG4bK${randomUUID()}`)
        .replace(/^(To: .*)$/m, `$1;tag=${toTag}`)
        .replace(/Content-Length: 0/, `Content-Type: application/sdp\r\nContent-Length: ${PLAIN.length}`);
      line.peer.send(`${ack}\r\n\r\n${PLAIN}`);
      return { call: { ...call, fromTag: /;tag=([^;\r]+)/.exec(from(end))?.[1] ?? '' }, ok, toTag };
    };
    const near = await forked('near');
    const far = await forked('far');
    const { id } = await callOf(far, 'active');
    expect((await callOf(near, 'active')).id).toBe(id);
    await expect
      .poll(async () => legsOf(id))
      .toMatchObject([
        { role: 'agent', uri: '1001' },
        { role: 'customer', uri: '5550100' },
      ]);
    // The near end once more is another recording of the same, and is linked instead.
    const again = await forked('near');
    expect((await callOf(again, 'active')).id).not.toBe(id);
  });
});

describe('two lines without metadata', () => {
  it('are the legs of the parties that i= names', async () => {
    const dialog = await line.answered({
      body: sdp(
        'm=audio 40000 RTP/AVP 109 0',
        'i=p-a0d1-1',
        'a=rtpmap:109 opus/48000/2',
        'm=audio 40002 RTP/AVP 0',
        'i=p-a0d1-2',
      ),
      headers: ['p-rc-api-ids: party-id=p-a0d1-1;session-id=s-a0d1'],
    });
    const { id } = await callOf(dialog, 'active');
    expect(await legsOf(id)).toMatchObject([{ uri: 'p-a0d1-1' }, { uri: 'p-a0d1-2' }]);
    await line.hangUp(dialog);
  });
});

describe('an INVITE with Replaces (RFC 3891)', () => {
  const replaces = ({ call, toTag }: ScriptedDialog, flags = ''): string =>
    `Replaces: ${call.callId};to-tag=${toTag};from-tag=${call.fromTag}${flags}`;

  it('takes the place of a dialog, which gets BYE; the two calls are linked', async () => {
    const first = await line.answered({ body: PLAIN });
    const second = await line.answered({ body: PLAIN, headers: [replaces(first), 'Require: replaces'] });
    const bye = await line.peer.next(new RegExp(`^BYE [^]*Call-ID: ${first.call.callId}`));
    expect(headerOf(bye, 'Reason')).toContain('replaced');
    line.peer.send(respond(bye, '200 OK'));
    await line.hangUp(second);
    const [before, after] = [await callOf(first), await callOf(second)];
    expect(await loadLinks(line.test.pool, after.id)).toMatchObject([
      { callId: before.id, kind: 'replaces', earlier: true },
    ]);
    expect(await loadLinks(line.test.pool, before.id)).toMatchObject([{ callId: after.id, earlier: false }]);
    const { end_reason } = await line.row<{ end_reason: string }>(
      'select end_reason from calls where id = $1',
      [before.id],
    );
    expect(end_reason).toBe('replaced');
  });

  it('that matches nothing gets 481 where it insists, and is a call of its own where it does not', async () => {
    const gone = { call: newCall(), ok: '', toTag: 'x' };
    const call = newCall();
    line.peer.send(invite(line.peer, call, { body: PLAIN, headers: [replaces(gone), 'Require: replaces'] }));
    expect(await line.final(call, 1, 'INVITE')).toMatch(/^SIP\/2.0 481 /);
    await line.hangUp(await line.answered({ body: PLAIN, headers: [replaces(gone)] }));
  });

  it('for an early dialog only gets 486 when that was answered', async () => {
    const first = await line.answered({ body: PLAIN });
    const call = newCall();
    line.peer.send(invite(line.peer, call, { body: PLAIN, headers: [replaces(first, ';early-only')] }));
    expect(await line.final(call, 1, 'INVITE')).toMatch(/^SIP\/2.0 486 /);
    await line.hangUp(first);
  });
});

describe('calls with an id in common', () => {
  const recorded = (group: string) => ({
    contentType: 'multipart/mixed;boundary=b',
    body:
      `--b\r\nContent-Type: application/sdp\r\n\r\n${PLAIN}\r\n--b\r\nContent-Type: application/rs-metadata+xml\r\n\r\n` +
      `<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>complete</datamode><group group_id="${group}"/></recording>\r\n--b--\r\n`,
  });

  it('one after the other: a transfer, each continues the one before', async () => {
    const group = randomUUID();
    const first = await line.answered(recorded(group));
    await line.hangUp(first);
    const second = await line.answered(recorded(group));
    await line.hangUp(second);
    const [before, after] = [await callOf(first), await callOf(second)];
    await expect
      .poll(() => loadLinks(line.test.pool, after.id))
      .toMatchObject([
        { callId: before.id, kind: 'continues', earlier: true, identifierKind: 'siprec-group-id' },
      ]);
  });

  it('at the same time: the same call twice, marked and not dropped', async () => {
    const group = randomUUID();
    const first = await line.answered(recorded(group));
    const { id } = await callOf(first, 'active');
    // It began long ago, as calls do.
    await line.test.pool.query(
      "update calls set started_at = started_at - interval '1 minute' where id = $1",
      [id],
    );
    const second = await line.answered(recorded(group));
    const after = await callOf(second, 'active');
    await expect
      .poll(() => loadLinks(line.test.pool, after.id))
      .toMatchObject([{ callId: id, kind: 'duplicate', earlier: true }]);
    await line.hangUp(first);
    await line.hangUp(second);
    await callOf(second);
  });

  it('that more share than a call has sides are not linked by it, nor by nought or a counter', async () => {
    for (const group of ['000000-0000', '12345']) {
      const dialogs = [await line.answered(recorded(group)), await line.answered(recorded(group))];
      for (const dialog of dialogs) await line.hangUp(dialog);
      for (const dialog of dialogs) {
        expect(await loadLinks(line.test.pool, (await callOf(dialog)).id)).toEqual([]);
      }
    }
    const campaign = randomUUID();
    const dialogs: ScriptedDialog[] = [];
    for (let index = 0; index < 18; index++) dialogs.push(await line.answered(recorded(campaign)));
    for (const dialog of dialogs) await line.hangUp(dialog);
    const last = await callOf(dialogs[17]!);
    const links = (await loadLinks(line.test.pool, last.id)).filter(({ earlier }) => earlier);
    expect(links).toEqual([]);
  });
});
