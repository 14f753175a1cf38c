import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import {
  type Body,
  type ClientRequest,
  crlf,
  kindOf,
  linesOf,
  multipartBody,
  portsOf,
  RECORDER,
  recorderHeaders,
  type RecordingClient,
  startRecordingClient,
} from '../../support/recording-client.ts';
import { headerOf } from '../../support/sip-peer.ts';

let client: RecordingClient;

beforeAll(async () => {
  client = await startRecordingClient({
    contact: (hostport) => `<sip:4000@${hostport}>;+sip.src`,
    headers: [
      'Supported: timer,resource-priority,replaces,sdp-anat',
      'Min-SE: 1800',
      'Session-Expires: 1800',
      'Cisco-Guid: 3135036672-0000065536-0000000017-1091240128',
    ],
  });
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
});

interface Description {
  readonly version?: number;
  readonly direction?: string;
  readonly ports?: readonly [number, number];
}

const sdp = ({ version = 1, direction = 'sendonly', ports = [16_552, 16_554] }: Description = {}): string =>
  crlf(
    'v=0',
    `o=CiscoSystemsSIP-GW-UserAgent 9016 ${version} IN IP4 127.0.0.1`,
    's=SIP Call',
    't=0 0',
    ...ports.flatMap((port, index) => [
      `m=audio ${port} RTP/AVP 0 101 19`,
      'c=IN IP4 127.0.0.1',
      'a=rtpmap:0 PCMU/8000',
      'a=rtpmap:101 telephone-event/8000',
      'a=fmtp:101 0-15',
      'a=rtpmap:19 CN/8000',
      'a=ptime:20',
      `a=${direction}`,
      `a=label:${index + 1}`,
    ]),
  );

const people = (second = ['p2', 'sip:2002@10.1.1.2', 'Bäcker']): string => `
<participant participant_id="p1"><nameID aor="sip:1001@10.1.1.1"><name xml:lang="en">Ann</name></nameID></participant>
<participant participant_id="${second[0]}"><nameID aor="${second[1]}"><name xml:lang="de">${second[2]}</name></nameID></participant>`;

const metadata = (inner: string, mode = 'complete'): string => `<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>${mode}</datamode>
<session session_id="8xd5JO7SEeWABwA="><sipSessionID>0ab1;remote=9cd2</sipSessionID><start-time>2026-11-22T08:00:00.000Z</start-time></session>
<stream stream_id="st1" session_id="8xd5JO7SEeWABwA="><label>1</label></stream>
<stream stream_id="st2" session_id="8xd5JO7SEeWABwA="><label>2</label></stream>${inner}</recording>`;

const assoc = (id: string, streams: string): string =>
  `<participantstreamassoc participant_id="${id}">${streams}</participantstreamassoc>`;
const EMPTY = assoc('p1', '') + assoc('p2', '');
const FULL =
  assoc('p1', '<send>st2</send><recv>st1</recv>') + assoc('p2', '<send>st1</send><recv>st2</recv>');

/** A third part behind the metadata, and no closing line. */
const multipart = (description: string, xml: string): Body =>
  multipartBody(
    'uniqueBoundary',
    [
      ['Content-Type: application/sdp\r\nContent-Disposition: session;handling=required', description],
      ['Content-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session', xml],
      [
        'Content-Type: application/gtd\r\nContent-Disposition: signal;handling=optional',
        'IAM,\r\nPRN,isdn*,,ANSI,',
      ],
    ],
    { end: '' },
  );

const OPEN: ClientRequest = {
  body: multipart(sdp(), metadata(people() + FULL)),
  headers: ['Require: siprec'],
};

describe('Cisco CUBE', () => {
  it('INVITE: inactive at first with empty associations, a third part, no closing line, PRACK required', async () => {
    const dialog = await client.open({
      body: multipart(sdp({ direction: 'inactive' }), metadata(people() + EMPTY)),
      headers: ['Require: siprec,100rel'],
    });
    expect(recorderHeaders(dialog.ok)).toEqual(RECORDER);
    expect(linesOf(dialog.ok)).toEqual([
      'open RTP/AVP 0 101 19 label=1 inactive',
      'open RTP/AVP 0 101 19 label=2 inactive',
    ]);
    expect(headerOf(dialog.ok, 'Session-Expires')).toBe('1800;refresher=uac');
    await client.bye(dialog);
    const { call, parties, identifiers } = await client.stored(dialog);
    expect(call.mapping).toBe('positional');
    expect(parties).toEqual(['1 unknown Ann sip:1001@10.1.1.1', '2 unknown Bäcker sip:2002@10.1.1.2']);
    expect(identifiers).toEqual(
      expect.arrayContaining([
        'cisco-guid 3135036672-0000065536-0000000017-1091240128',
        'cisco-guid BADCDD00-00010000-00000011-410B00C0',
        'sip-session-id 0ab1',
        'sip-session-id 9cd2',
        'siprec-session-id 8xd5JO7SEeWABwA=',
      ]),
    );
  });

  it('hold: inactive on every line, and sendonly again', async () => {
    const dialog = await client.open(OPEN);
    const held = await client.ask(dialog, 'INVITE', {
      body: multipart(sdp({ version: 2, direction: 'inactive' }), metadata(people() + FULL)),
    });
    expect(linesOf(held).map((line) => line.split(' ').at(-1))).toEqual(['inactive', 'inactive']);
    const resumed = await client.ask(dialog, 'INVITE', {
      body: multipart(sdp({ version: 3 }), metadata(people() + FULL)),
    });
    expect(linesOf(resumed).map((line) => line.split(' ').at(-1))).toEqual(['recvonly', 'recvonly']);
    await client.bye(dialog);
    const { happened } = await client.stored(dialog, ['hold 0', 'hold 1', 'resume 0', 'resume 1']);
    expect(happened).toEqual(expect.arrayContaining(['hold 0', 'hold 1', 'resume 0', 'resume 1']));
  });

  it('metadata change: associations come later by an UPDATE, and correct what the order had told', async () => {
    const dialog = await client.open({
      body: multipart(sdp({ direction: 'inactive' }), metadata(people() + EMPTY)),
      headers: ['Require: siprec'],
    });
    const xml = metadata(people() + FULL);
    const update = await client.ask(dialog, 'UPDATE', {
      body: { type: 'application/rs-metadata+xml', text: xml },
    });
    expect(kindOf(update)).toBe('200');
    await client.bye(dialog);
    const { call, parties, happened } = await client.stored(dialog, ['party_changed 0', 'party_changed 1']);
    expect(call.mapping).toBe('metadata');
    expect(parties).toEqual(['1 unknown Bäcker sip:2002@10.1.1.2', '2 unknown Ann sip:1001@10.1.1.1']);
    expect(happened).toEqual(expect.arrayContaining(['party_changed 0', 'party_changed 1']));
  });

  it('transfer: new ports and a new participant by re-INVITE; our ports stay', async () => {
    const dialog = await client.open(OPEN);
    const third = people(['p3', 'sip:3003@10.1.1.3', 'Cem']);
    const streams =
      assoc('p1', '<send>st2</send><recv>st1</recv>') + assoc('p3', '<send>st1</send><recv>st2</recv>');
    const answer = await client.ask(dialog, 'INVITE', {
      body: multipart(sdp({ version: 2, ports: [16_600, 16_602] }), metadata(third + streams)),
    });
    expect(portsOf(answer)).toEqual(portsOf(dialog.ok));
    await client.bye(dialog);
    const { parties, events } = await client.stored(dialog, ['participant_left']);
    expect(parties[0]).toBe('1 unknown Cem sip:3003@10.1.1.3');
    expect(events.find(({ kind }) => kind === 'participant_left')?.detail).toMatchObject({
      participantId: 'p2',
    });
  });

  it('refresh: an UPDATE without a body is answered without one, with the timer', async () => {
    const dialog = await client.open(OPEN);
    const update = await client.ask(dialog, 'UPDATE', {
      headers: ['Supported: timer', 'Session-Expires: 1800;refresher=uac', 'Min-SE: 1800'],
    });
    expect(kindOf(update)).toBe('200');
    expect(headerOf(update, 'Session-Expires')).toBe('1800;refresher=uac');
    await client.bye(dialog);
    expect((await client.stored(dialog)).call.state).toBe('complete');
  });

  it('end: BYE with a reason completes the call', async () => {
    const dialog = await client.open(OPEN);
    expect(kindOf(await client.bye(dialog, ['Reason: Q.850;cause=16']))).toBe('200');
    expect((await client.stored(dialog)).call).toMatchObject({ state: 'complete', endReason: 'bye' });
  });
});
