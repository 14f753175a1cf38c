import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import {
  type Body,
  crlf,
  kindOf,
  linesOf,
  RECORDER,
  recorderHeaders,
  type RecordingClient,
  startRecordingClient,
} from '../../support/recording-client.ts';
import { versionOf } from '../../support/signalling.ts';
import { headerOf } from '../../support/sip-peer.ts';

let client: RecordingClient;

beforeAll(async () => {
  client = await startRecordingClient(
    {
      contact: (hostport) => `<sip:sbc@${hostport}>;+sip.src`,
      headers: [
        'Require: siprec,timer,100rel',
        'Session-Expires: 1800',
        'Min-SE: 90',
        'Supported: timer,100rel',
        'Accept: application/sdp, application/rs-metadata-request',
      ],
    },
    {
      ROLE_RULES: JSON.stringify([
        { kind: 'address', matches: '@pbx\\.example$', role: 'agent' },
        { kind: 'other-party' },
      ]),
    },
  );
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
});

const sdp = (version = 1, direction = 'sendonly'): string =>
  crlf(
    'v=0',
    `o=Sonus_UAC 22 ${version} IN IP4 127.0.0.1`,
    's=SIP Media Capabilities',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    ...[1, 2].flatMap((label) => [
      `m=audio ${30_000 + 2 * label} RTP/AVP 8 101`,
      `a=label:${label}`,
      'a=rtpmap:8 PCMA/8000',
      'a=rtpmap:101 telephone-event/8000',
      `a=${direction}`,
    ]),
  );

const person = (id: string, aor: string, name: string): string =>
  `<tns:participant participant_id="${id}"><tns:nameID aor="${aor}"><tns:name>${name}</tns:name></tns:nameID></tns:participant>
   <tns:participantsessionassoc participant_id="${id}" session_id="s1"><tns:associate-time>1970-01-01T00:00:00Z</tns:associate-time></tns:participantsessionassoc>`;
const PEOPLE = person('p1', '+4930111@carrier.example', 'Alice') + person('p2', '2001@pbx.example', 'Bob');
const assoc = (id: string, sends: string, receives: string): string =>
  `<tns:participantstreamassoc participant_id="${id}"><tns:send>${sends}</tns:send><tns:recv>${receives}</tns:recv></tns:participantstreamassoc>`;
const CROSSED = assoc('p1', 'st2', 'st1') + assoc('p2', 'st1', 'st2');

const metadata = (inner: string, mode = 'complete'): string => `<?xml version="1.0" encoding="UTF-8"?>
<tns:recording xmlns:tns="urn:ietf:params:xml:ns:recording:1"><tns:datamode>${mode}</tns:datamode>
<tns:group group_id="grp-7"><tns:associate-time>1970-01-01T00:00:00Z</tns:associate-time>
<callData xmlns="urn:ribbon"><fromhdr>&lt;sip:+4930111@carrier.example&gt;;tag=1</fromhdr><tohdr>&lt;sip:2001@pbx.example&gt;</tohdr><callid>cs-1@sbc</callid><gcid>9042</gcid></callData></tns:group>
<tns:session session_id="s1"><tns:group-ref>grp-7</tns:group-ref></tns:session>${inner}
<tns:stream stream_id="st1" session_id="s1"><tns:label>1</tns:label></tns:stream>
<tns:stream stream_id="st2" session_id="s1"><tns:label>2</tns:label></tns:stream></tns:recording>`;

/** Neither a blank line behind the part's headers nor a line end before the closing boundary. */
const multipart = (description: string, xml: string): Body => ({
  type: 'multipart/mixed;boundary=sonus-content-delim',
  text: `--sonus-content-delim\r\nContent-Type: application/sdp\r\n\r\n${description}--sonus-content-delim\r\nContent-Disposition: recording-session\r\nContent-Type: application/rs-metadata+xml\r\n${xml}--sonus-content-delim--`,
});

const open = (): ReturnType<RecordingClient['open']> =>
  client.open({ body: multipart(sdp(), metadata(PEOPLE + CROSSED)) });

describe('Ribbon', () => {
  it('INVITE: the first participant sends the stream labelled 2; clocks at 1970; an address without sip:', async () => {
    const before = new Date();
    const dialog = await open();
    expect(recorderHeaders(dialog.ok)).toEqual(RECORDER);
    expect(headerOf(dialog.ok, 'Session-Expires')).toMatch(/^1800;refresher=/);
    expect(linesOf(dialog.ok)).toEqual([
      'open RTP/AVP 8 101 label=1 recvonly',
      'open RTP/AVP 8 101 label=2 recvonly',
    ]);
    await client.bye(dialog);
    const { call, parties, identifiers, events } = await client.stored(dialog, ['participant_joined']);
    expect(call.mapping).toBe('metadata');
    expect(parties).toEqual([
      '1 agent Bob sip:2001@pbx.example',
      '2 customer Alice sip:+4930111@carrier.example',
    ]);
    expect(identifiers).toEqual(
      expect.arrayContaining(['siprec-group-id grp-7', 'gcid 9042', 'callid cs-1@sbc']),
    );
    for (const { at } of events) expect(at.getTime()).toBeGreaterThanOrEqual(before.getTime() - 1);
  });

  it('hold: inactive and back; the version of our description grows with each', async () => {
    const dialog = await open();
    const held = await client.ask(dialog, 'INVITE', {
      body: multipart(sdp(2, 'inactive'), metadata(PEOPLE + CROSSED)),
    });
    const resumed = await client.ask(dialog, 'INVITE', {
      body: multipart(sdp(3), metadata(PEOPLE + CROSSED)),
    });
    expect([versionOf(held), versionOf(resumed)]).toEqual([
      versionOf(dialog.ok) + 1,
      versionOf(dialog.ok) + 2,
    ]);
    expect(linesOf(held)[0]).toBe('open RTP/AVP 8 101 label=1 inactive');
    await client.bye(dialog);
    const { happened } = await client.stored(dialog, ['hold 0', 'hold 1', 'resume 0', 'resume 1']);
    expect(happened).toEqual(expect.arrayContaining(['hold 0', 'hold 1', 'resume 0', 'resume 1']));
  });

  it('metadata change: a partial document names one participant, the other stays', async () => {
    const dialog = await open();
    const update = await client.ask(dialog, 'UPDATE', {
      body: {
        type: 'application/rs-metadata+xml',
        text: metadata(person('p1', '+4930999@carrier.example', 'Alina'), 'partial'),
      },
    });
    expect(kindOf(update)).toBe('200');
    await client.bye(dialog);
    const { parties } = await client.stored(dialog);
    expect(parties).toEqual([
      '1 agent Bob sip:2001@pbx.example',
      '2 customer Alina sip:+4930999@carrier.example',
    ]);
  });

  it('transfer: one participant leaves by a disassociate-time, another joins', async () => {
    const dialog = await open();
    const partial = metadata(
      `<tns:participantsessionassoc participant_id="p2" session_id="s1"><tns:disassociate-time>1970-01-01T00:05:00Z</tns:disassociate-time></tns:participantsessionassoc>` +
        person('p3', '2002@pbx.example', 'Carol') +
        assoc('p3', 'st1', 'st2'),
      'partial',
    );
    expect(kindOf(await client.ask(dialog, 'INVITE', { body: multipart(sdp(), partial) }))).toBe(
      '200 with SDP',
    );
    await client.bye(dialog);
    const { parties, happened } = await client.stored(dialog, [
      'participant_left',
      'participant_joined',
      'party_changed 0',
    ]);
    expect(parties[0]).toBe('1 agent Carol sip:2002@pbx.example');
    expect(happened).toEqual(
      expect.arrayContaining(['participant_left', 'participant_joined', 'party_changed 0']),
    );
  });

  it('refresh: the same offer again keeps our version', async () => {
    const dialog = await open();
    const again = await client.ask(dialog, 'INVITE', {
      body: multipart(sdp(), metadata(PEOPLE + CROSSED)),
      headers: ['Supported: timer', 'Session-Expires: 1800;refresher=uac'],
    });
    expect(versionOf(again)).toBe(versionOf(dialog.ok));
    expect(headerOf(again, 'Session-Expires')).toBe('1800;refresher=uac');
    await client.bye(dialog);
    const { happened } = await client.stored(dialog, ['participant_joined', 'participant_joined', 'reoffer']);
    expect(happened).toEqual(['participant_joined', 'participant_joined', 'reoffer']);
  });

  it('end: BYE completes the call', async () => {
    const dialog = await open();
    expect(kindOf(await client.bye(dialog))).toBe('200');
    expect((await client.stored(dialog)).call).toMatchObject({ state: 'complete', endReason: 'bye' });
  });
});
