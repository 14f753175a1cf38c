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

beforeAll(async () => {
  client = await startRecordingClient({
    contact: (hostport) => `<sip:${hostport}>;+sip.src`,
    headers: ['Require: siprec'],
  });
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
});

/** Neither the session nor the media has a c= line, and the origin has no address. */
const sdp = (version = 1, direction = 'sendonly', count = 2): string =>
  crlf(
    'v=0',
    `o=- 1234 ${version} IN IP4 0.0.0.0`,
    's=-',
    't=0 0',
    ...Array.from({ length: count }).flatMap((_, label) => [
      `m=audio ${45_000 + 2 * label} RTP/AVP 0 8`,
      `a=${direction}`,
      `a=label:${label}`,
    ]),
  );

const person = (id: string, aor: string, inner: string): string =>
  `<participant participant_id="${id}"><nameID aor="${aor}"></nameID></participant>
   <participantsessionassoc participant_id="${id}" session_id="c2Vzcw=="><associate-time>2026-11-22T08:00:00+0000</associate-time></participantsessionassoc>
   <participantstreamassoc participant_id="${id}">${inner}</participantstreamassoc>`;
const CALLER = person('cGFydDE=', 'sip:alice@example.com', '<send>c3QwMA==</send><recv>c3QwMQ==</recv>');
const CALLEE = person('cGFydDI=', 'sip:bob@example.com', '<send>c3QwMQ==</send><recv>c3QwMA==</recv>');

const metadata = (people = CALLER + CALLEE): string => `<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>complete</datamode>
<session session_id="c2Vzcw=="><sipSessionID>abc</sipSessionID><start-time>2026-11-22T08:00:00+0000</start-time></session>
${people}<stream stream_id="c3QwMA==" session_id="c2Vzcw=="><label>0</label></stream>
<stream stream_id="c3QwMQ==" session_id="c2Vzcw=="><label>1</label></stream></recording>`;

const multipart = (description: string, xml: string): Body =>
  multipartBody('OSS-unique-boundary-42', [
    ['Content-Type: application/sdp\r\nContent-Disposition: session;handling=required', description],
    ['Content-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session', xml],
  ]);

const open = (xml = metadata()): ReturnType<RecordingClient['open']> =>
  client.open({ body: multipart(sdp(), xml) });

describe('OpenSIPS', () => {
  it('INVITE: labels 0 and 1 come back, without any c=; associations without send are matched by who receives', async () => {
    const dialog = await open();
    expect(recorderHeaders(dialog.ok)).toEqual(RECORDER);
    expect(linesOf(dialog.ok)).toEqual([
      'open RTP/AVP 0 label=0 recvonly',
      'open RTP/AVP 0 label=1 recvonly',
    ]);
    await client.bye(dialog);
    const { call, parties, events } = await client.stored(dialog, [
      'participant_joined',
      'participant_joined',
    ]);
    expect(call.mapping).toBe('metadata');
    expect(parties).toEqual(['0 unknown - sip:alice@example.com', '1 unknown - sip:bob@example.com']);
    expect(events[0]?.at).toEqual(new Date('2026-11-22T08:00:00Z'));

    const silent = await open(metadata((CALLER + CALLEE).replaceAll(/<send>.*?<\/send>/g, '')));
    await client.bye(silent);
    const other = await client.stored(silent);
    expect(other.call.mapping).toBe('receiver');
    expect(other.parties).toEqual(parties);
  });

  it('hold: inactive and back, with a complete document each time', async () => {
    const dialog = await open();
    const held = await client.ask(dialog, 'INVITE', { body: multipart(sdp(2, 'inactive'), metadata()) });
    expect(linesOf(held).map((line) => line.split(' ').at(-1))).toEqual(['inactive', 'inactive']);
    await client.ask(dialog, 'INVITE', { body: multipart(sdp(3), metadata()) });
    await client.bye(dialog);
    const wanted = ['hold 0', 'hold 1', 'resume 0', 'resume 1'];
    expect((await client.stored(dialog, wanted)).happened).toEqual(expect.arrayContaining(wanted));
  });

  it('metadata change: a document that cannot be read is an event; what was known stays', async () => {
    const dialog = await open();
    const update = await client.ask(dialog, 'UPDATE', {
      body: { type: 'application/rs-metadata+xml', text: '<recording><participant></recording>' },
    });
    expect(kindOf(update)).toBe('200');
    await client.bye(dialog);
    const { parties, events } = await client.stored(dialog, ['metadata_malformed']);
    expect(parties[0]).toBe('0 unknown - sip:alice@example.com');
    expect(events.find(({ kind }) => kind === 'metadata_malformed')?.detail).toMatchObject({
      code: 'METADATA_MALFORMED',
      text: '<recording><participant></recording>',
    });
  });

  it('transfer: a complete document with another participant; the one before has left', async () => {
    const dialog = await open();
    const third = person('cGFydDM=', 'sip:carol@example.com', '<send>c3QwMQ==</send>');
    await client.ask(dialog, 'INVITE', { body: multipart(sdp(2), metadata(CALLER + third)) });
    await client.bye(dialog);
    const wanted = ['participant_left', 'party_changed 1'];
    const { parties, happened } = await client.stored(dialog, wanted);
    expect(parties[1]).toBe('1 unknown - sip:carol@example.com');
    expect(happened).toEqual(expect.arrayContaining(wanted));
  });

  it('refresh: the same offer keeps version and ports', async () => {
    const dialog = await open();
    const again = await client.ask(dialog, 'INVITE', { body: multipart(sdp(), metadata()) });
    expect(versionOf(again)).toBe(versionOf(dialog.ok));
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
