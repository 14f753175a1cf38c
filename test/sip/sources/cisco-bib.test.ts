import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import {
  type Body,
  type ClientDialog,
  crlf,
  kindOf,
  linesOf,
  portsOf,
  type RecordingClient,
  sdpBody,
  startRecordingClient,
} from '../../support/recording-client.ts';
import { headerOf } from '../../support/sip-peer.ts';

let client: RecordingClient;
let serial = 100;

beforeAll(async () => {
  client = await startRecordingClient({ contact: (hostport) => `<sip:1001@${hostport}>;isFocus` });
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
});

const sdp = (port: number, version = 1, direction = 'sendonly'): Body =>
  sdpBody(
    crlf(
      'v=0',
      `o=CiscoSystemsCCM-SIP 12 ${version} IN IP4 127.0.0.1`,
      's=SIP Call',
      'c=IN IP4 127.0.0.1',
      't=0 0',
      `m=audio ${port} RTP/AVP 0 101`,
      'a=rtpmap:0 PCMU/8000',
      'a=rtpmap:101 telephone-event/8000',
      `a=${direction}`,
    ),
  );

/** Network-based recording: one line, the participant in a header. */
const network = (participant = 'sip:1001@cucm.example'): { body: Body; headers: readonly string[] } => ({
  body: sdp(24_000),
  headers: [`X-Cisco-Recording-Participant: ${participant};media-index="0"`],
});

/** The phone's built-in bridge: a dialog for each end, no offer in the INVITE. */
async function forkedCall(): Promise<{ near: ClientDialog; far: ClientDialog; refci: string }> {
  const refci = String((serial += 1));
  const fork = (end: 'near' | 'far', port: number): Promise<ClientDialog> =>
    client.open({
      from: `<sip:1001@cucm.example;x-${end}end;x-refci=${refci};x-nearendclusterid=cl1;x-nearenddevice=SEP1;x-nearendaddr=1001;x-farendaddr=+4930222>`,
      ack: sdp(port),
    });
  const near = await fork('near', 24_010);
  const far = await fork('far', 24_012);
  return { near, far, refci };
}

describe('Cisco network-based recording and built-in bridge', () => {
  it('INVITE: two dialogs without an offer get ours in the 200, and become one call with the agent at the near end', async () => {
    const { near, far, refci } = await forkedCall();
    for (const { ok } of [near, far]) {
      expect(kindOf(ok)).toBe('200 with SDP');
      expect(linesOf(ok)).toHaveLength(1);
      expect(linesOf(ok)[0]).toMatch(/^open RTP\/AVP 8 0 .*recvonly$/);
      expect(headerOf(ok, 'Contact')).not.toContain('+sip.srs');
      expect(headerOf(ok, 'Require') ?? '').not.toContain('siprec');
    }
    await client.bye(near);
    await client.bye(far);
    const { call, legs, identifiers } = await client.stored(near);
    expect((await client.stored(far)).call.id).toBe(call.id);
    expect(call).toMatchObject({ mapping: 'signalled', metadata: { kind: 'plain' } });
    expect(legs.map(({ role, uri }) => `${role} ${uri ?? ''}`)).toEqual(['agent 1001', 'customer +4930222']);
    expect(legs[0]?.roleEvidence).toMatchObject({ rule: 'near-end', saw: 'near end' });
    expect(identifiers).toContain(`cisco-refci ${refci}`);
  });

  it('hold: inactive and back on the one line', async () => {
    const dialog = await client.open(network());
    expect(linesOf(dialog.ok)).toEqual(['open RTP/AVP 0 101 recvonly']);
    const held = await client.ask(dialog, 'INVITE', { body: sdp(24_000, 2, 'inactive') });
    expect(linesOf(held)).toEqual(['open RTP/AVP 0 101 inactive']);
    const resumed = await client.ask(dialog, 'INVITE', { body: sdp(24_000, 3) });
    expect(linesOf(resumed)).toEqual(['open RTP/AVP 0 101 recvonly']);
    await client.bye(dialog);
    const { happened } = await client.stored(dialog, ['hold 0', 'resume 0']);
    expect(happened).toEqual(expect.arrayContaining(['hold 0', 'resume 0']));
  });

  it('metadata change: there is no metadata; the header of a re-INVITE names another participant', async () => {
    const dialog = await client.open(network());
    await client.ask(dialog, 'INVITE', network('sip:1002@cucm.example'));
    await client.bye(dialog);
    const { call, parties, happened } = await client.stored(dialog, ['party_changed 0']);
    expect(call.mapping).toBe('signalled');
    expect(parties).toEqual(['- unknown - sip:1002@cucm.example']);
    expect(happened).toContain('party_changed 0');
  });

  it('transfer: the line comes from a new port; ours stays', async () => {
    const dialog = await client.open(network());
    const moved = await client.ask(dialog, 'INVITE', { ...network(), body: sdp(24_100, 2) });
    expect(portsOf(moved)).toEqual(portsOf(dialog.ok));
    await client.bye(dialog);
    expect((await client.stored(dialog)).legs).toHaveLength(1);
  });

  it('refresh: a re-INVITE without an offer gets ours, and the ACK answers it', async () => {
    const dialog = await client.open(network());
    const again = await client.ask(dialog, 'INVITE', { ack: sdp(24_000) });
    expect(kindOf(again)).toBe('200 with SDP');
    expect(portsOf(again)).toEqual(portsOf(dialog.ok));
    await client.bye(dialog);
    expect((await client.stored(dialog)).call.state).toBe('complete');
  });

  it('end: the call goes on until the BYE of its last dialog', async () => {
    const { near, far } = await forkedCall();
    await client.bye(far);
    const options = await client.ask(near, 'OPTIONS');
    expect(kindOf(options)).toBe('200');
    const { state } = await client.line.row<{ state: string }>(
      `select state from calls join call_identifiers on call_id = id where value = $1`,
      [far.callId],
    );
    expect(state).toBe('active');
    await client.bye(near);
    const { call, happened } = await client.stored(near, ['dialog_joined', 'dialog_ended']);
    expect(call).toMatchObject({ state: 'complete', endReason: 'bye' });
    expect(happened).toEqual(expect.arrayContaining(['dialog_joined', 'dialog_ended']));
  });
});
