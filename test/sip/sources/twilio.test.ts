import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import {
  type Body,
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
import { versionOf } from '../../support/signalling.ts';

let client: RecordingClient;

/** The path goes through proxies that stay in it. */
const PATH = [
  'Record-Route: <sip:127.0.0.1:5099;lr;ftag=a>',
  'Record-Route: <sip:127.0.0.1:5098;lr;twnat=sip:127.0.0.1:5097>',
];

beforeAll(async () => {
  client = await startRecordingClient({
    from: '<sip:SRC@sip.twilio.example>',
    contact: (hostport) => `<sip:SRC@${hostport}>;+sip.src`,
    headers: ['Require: siprec', 'X-Twilio-CallSid: CA7f3a', ...PATH],
  });
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
});

const sdp = (version = 1, ports = [10_000, 10_002]): string =>
  crlf(
    'v=0',
    `o=root 1 ${version} IN IP4 127.0.0.1`,
    's=Twilio Media Gateway',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    ...ports.flatMap((port, index) => [
      `m=audio ${port} RTP/AVP 0 8 101`,
      'a=rtpmap:101 telephone-event/8000',
      `a=label:${index + 1}`,
      'a=sendonly',
    ]),
  );

const person = (id: string, aor: string): string =>
  `<participant participant_id="${id}"><nameID aor="${aor}"/></participant>`;
const assoc = (id: string, streams: string): string =>
  `<participantstreamassoc participant_id="${id}">${streams}</participantstreamassoc>`;
const PEOPLE = person('in', 'sip:+15551230001@pstn.example') + person('out', 'sip:support@pbx.example');
const STREAMS =
  assoc('in', '<send>s1</send><recv>s2</recv>') + assoc('out', '<send>s2</send><recv>s1</recv>');

const metadata = (
  inner = PEOPLE + STREAMS,
  mode = 'complete',
): string => `<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>${mode}</datamode><session session_id="s"/>${inner}
<stream stream_id="s1" session_id="s"><label>1</label></stream><stream stream_id="s2" session_id="s"><label>2</label></stream></recording>`;

const multipart = (description: string, xml: string): Body =>
  multipartBody(
    '[boundary]',
    [
      ['Content-Type: application/sdp', description],
      ['Content-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session', xml],
    ],
    { parameter: '"[boundary]"' },
  );

const open = (): ReturnType<RecordingClient['open']> => client.open({ body: multipart(sdp(), metadata()) });

describe('Twilio', () => {
  it('INVITE: the path of Record-Route comes back in its order; both lines recvonly', async () => {
    const dialog = await open();
    expect(recorderHeaders(dialog.ok)).toEqual(RECORDER);
    expect(linesOf(dialog.ok)).toEqual([
      'open RTP/AVP 0 101 label=1 recvonly',
      'open RTP/AVP 0 101 label=2 recvonly',
    ]);
    const path = dialog.ok.match(/^Record-Route: .*$/gim)?.flatMap((line) =>
      line
        .trim()
        .replace(/^Record-Route: /i, '')
        .split(/,\s*(?=<)/),
    );
    expect(path).toEqual(PATH.map((line) => line.replace('Record-Route: ', '')));
    await client.bye(dialog);
    const { parties, identifiers } = await client.stored(dialog);
    expect(parties).toEqual([
      '1 unknown - sip:+15551230001@pstn.example',
      '2 unknown - sip:support@pbx.example',
    ]);
    expect(identifiers).toContain('x-twilio-callsid CA7f3a');
  });

  it('hold: a partial document whose association has no send, the description unchanged; and back', async () => {
    const dialog = await open();
    const silent = metadata(assoc('in', '<recv>s2</recv>'), 'partial');
    const held = await client.ask(dialog, 'INVITE', { body: multipart(sdp(), silent) });
    expect(versionOf(held)).toBe(versionOf(dialog.ok));
    expect(linesOf(held)).toEqual(linesOf(dialog.ok));
    const speaking = metadata(assoc('in', '<send>s1</send><recv>s2</recv>'), 'partial');
    await client.ask(dialog, 'INVITE', { body: multipart(sdp(), speaking) });
    await client.bye(dialog);
    const wanted = ['hold 0', 'resume 0'];
    const { call, parties, happened, events } = await client.stored(dialog, wanted);
    expect(happened).toEqual(expect.arrayContaining(wanted));
    expect(happened).not.toContain('hold 1');
    expect(events.find(({ kind }) => kind === 'hold')?.detail).toMatchObject({ cause: 'metadata' });
    // Who is on hold still is who they are.
    expect(parties[0]).toBe('1 unknown - sip:+15551230001@pstn.example');
    expect(call.metadata['sendings']).toMatchObject([
      { participantId: 'in', streamId: 's1' },
      { participantId: 'out', streamId: 's2', endedAt: null },
      { participantId: 'in', streamId: 's1', endedAt: null },
    ]);
  });

  it('metadata change: a partial UPDATE completes a name', async () => {
    const dialog = await open();
    const text = metadata(
      '<participant participant_id="out"><nameID><name>Support</name></nameID></participant>',
      'partial',
    );
    const update = await client.ask(dialog, 'UPDATE', {
      body: { type: 'application/rs-metadata+xml', text },
    });
    expect(kindOf(update)).toBe('200');
    await client.bye(dialog);
    expect((await client.stored(dialog)).parties[1]).toBe('2 unknown Support sip:support@pbx.example');
  });

  it('transfer: new ports of theirs, a new participant; our ports stay', async () => {
    const dialog = await open();
    const people = person('in', 'sip:+15551230001@pstn.example') + person('third', 'sip:sales@pbx.example');
    const streams = assoc('in', '<send>s1</send>') + assoc('third', '<send>s2</send>');
    const moved = await client.ask(dialog, 'INVITE', {
      body: multipart(sdp(2, [10_100, 10_102]), metadata(people + streams)),
    });
    expect(portsOf(moved)).toEqual(portsOf(dialog.ok));
    await client.bye(dialog);
    const wanted = ['participant_left', 'participant_joined', 'party_changed 1'];
    const { parties, happened } = await client.stored(dialog, wanted);
    expect(parties[1]).toBe('2 unknown - sip:sales@pbx.example');
    expect(happened).toEqual(expect.arrayContaining(wanted));
  });

  it('refresh: a re-INVITE without a body gets an offer of ours with the same ports', async () => {
    const dialog = await open();
    const again = await client.ask(dialog, 'INVITE', { ack: { type: 'application/sdp', text: sdp() } });
    expect(kindOf(again)).toBe('200 with SDP');
    expect(portsOf(again)).toEqual(portsOf(dialog.ok));
    await client.bye(dialog);
    expect((await client.stored(dialog)).legs).toHaveLength(2);
  });

  it('end: BYE completes the call', async () => {
    const dialog = await open();
    expect(kindOf(await client.bye(dialog))).toBe('200');
    expect((await client.stored(dialog)).call).toMatchObject({ state: 'complete', endReason: 'bye' });
  });
});
