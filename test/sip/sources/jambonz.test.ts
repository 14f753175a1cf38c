import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import {
  type Body,
  crlf,
  kindOf,
  linesOf,
  multipartBody,
  portsOf,
  recorderHeaders,
  type RecordingClient,
  sdpBody,
  startRecordingClient,
} from '../../support/recording-client.ts';
import { versionOf } from '../../support/signalling.ts';

let client: RecordingClient;

beforeAll(async () => {
  client = await startRecordingClient({
    contact: (hostport) => `<sip:srs-client@${hostport}>`,
    headers: ['Require: siprec'],
  });
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
});

const sdp = (version = 1, direction = 'sendonly'): string =>
  crlf(
    'v=0',
    `o=- 1700000000 ${version} IN IP4 127.0.0.1`,
    's=jambonz',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    ...[1, 2].flatMap((label) => [
      `m=audio ${50_000 + 2 * label} RTP/AVP 0`,
      `a=label:${label}`,
      `a=${direction}`,
    ]),
  );

const person = (id: string, aor: string, streams: string): string =>
  `<participant participant_id="${id}"><nameID aor="${aor}"><name>${id}</name></nameID></participant>
   <participantstreamassoc participant_id="${id}">${streams}</participantstreamassoc>`;
const CALLER = person('caller', 'sip:+15085551234@jambonz.example', '<send>s1</send><recv>s2</recv>');
const CALLEE = person('callee', 'sip:2001@jambonz.example', '<send>s2</send><recv>s1</recv>');

/** The numbers stand in each other's place; only the direction can be relied upon. */
const metadata = (people = CALLER + CALLEE): string => `<recording xmlns="urn:ietf:params:xml:ns:recording:1">
<datamode>complete</datamode><session session_id="s"><extensiondata xmlns:jb="http://jambonz.org/siprec">
<jb:callsid>6f1c-77</jb:callsid><jb:direction>inbound</jb:direction><jb:callednumber>+15085551234</jb:callednumber><jb:callingnumber>2001</jb:callingnumber>
</extensiondata></session>${people}
<stream stream_id="s1"><label>1</label></stream><stream stream_id="s2"><label>2</label></stream></recording>`;

const multipart = (description: string, xml: string, boundary = 'uniqueBoundary'): Body =>
  multipartBody(boundary, [
    ['Content-Type: application/sdp\r\nContent-Disposition: session;handling=required', description],
    ['Content-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session', xml],
  ]);

const open = (boundary?: string): ReturnType<RecordingClient['open']> =>
  client.open({ body: multipart(sdp(), metadata(), boundary) });

describe('jambonz', () => {
  it('INVITE: no +sip.src in the Contact; swapped numbers decide no role; its call id is kept', async () => {
    const dialog = await open();
    expect(recorderHeaders(dialog.ok)).toMatchObject({ contact: true, require: true });
    expect(linesOf(dialog.ok)).toEqual([
      'open RTP/AVP 0 label=1 recvonly',
      'open RTP/AVP 0 label=2 recvonly',
    ]);
    await client.bye(dialog);
    const { call, parties, identifiers } = await client.stored(dialog);
    expect(call).toMatchObject({ direction: 'inbound', mapping: 'metadata' });
    expect(parties).toEqual([
      '1 unknown caller sip:+15085551234@jambonz.example',
      '2 unknown callee sip:2001@jambonz.example',
    ]);
    expect(identifiers).toContain('jb:callsid 6f1c-77');
    expect(identifiers.join()).not.toContain('number');

    const smartTap = await open('boundary_ac18f3');
    await client.bye(smartTap);
    expect((await client.stored(smartTap)).call.mapping).toBe('metadata');
  });

  it('hold: a pause is a re-INVITE of plain SDP, inactive, its version one higher; parties stay', async () => {
    const dialog = await open();
    const paused = await client.ask(dialog, 'INVITE', { body: sdpBody(sdp(2, 'inactive')) });
    expect(linesOf(paused)).toEqual(['open RTP/AVP 0 label=1 inactive', 'open RTP/AVP 0 label=2 inactive']);
    expect(versionOf(paused)).toBe(versionOf(dialog.ok) + 1);
    const resumed = await client.ask(dialog, 'INVITE', { body: sdpBody(sdp(3)) });
    expect(portsOf(resumed)).toEqual(portsOf(dialog.ok));
    await client.bye(dialog);
    const wanted = ['hold 0', 'hold 1', 'resume 0', 'resume 1'];
    const { happened, parties } = await client.stored(dialog, wanted);
    expect(happened).toEqual(expect.arrayContaining(wanted));
    expect(parties[0]).toContain('caller');
  });

  it('metadata change: a re-INVITE with metadata alone is answered with the description that stands', async () => {
    const dialog = await open();
    const named = CALLER.replace('<name>caller</name>', '<name>Ada</name>');
    const answer = await client.ask(dialog, 'INVITE', {
      body: { type: 'application/rs-metadata+xml', text: metadata(named + CALLEE) },
      ack: sdpBody(sdp()),
    });
    expect(answer.slice(answer.indexOf('v=0'))).toBe(dialog.ok.slice(dialog.ok.indexOf('v=0')));
    await client.bye(dialog);
    const { parties } = await client.stored(dialog);
    expect(parties[0]).toBe('1 unknown Ada sip:+15085551234@jambonz.example');
  });

  it('transfer: the callee is another one in the same session', async () => {
    const dialog = await open();
    const next = person('next', 'sip:2002@jambonz.example', '<send>s2</send>');
    await client.ask(dialog, 'INVITE', { body: multipart(sdp(2), metadata(CALLER + next)) });
    await client.bye(dialog);
    const wanted = ['participant_left', 'participant_joined', 'party_changed 1'];
    expect((await client.stored(dialog, wanted)).happened).toEqual(expect.arrayContaining(wanted));
  });

  it('refresh: the same offer keeps our version', async () => {
    const dialog = await open();
    const again = await client.ask(dialog, 'INVITE', { body: sdpBody(sdp()) });
    expect(versionOf(again)).toBe(versionOf(dialog.ok));
    await client.bye(dialog);
    expect((await client.stored(dialog)).call.state).toBe('complete');
  });

  it('end: BYE completes the call', async () => {
    const dialog = await open();
    expect(kindOf(await client.bye(dialog))).toBe('200');
    expect((await client.stored(dialog)).call).toMatchObject({ state: 'complete', endReason: 'bye' });
  });
});
