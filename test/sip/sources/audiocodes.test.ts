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
  startRecordingClient,
} from '../../support/recording-client.ts';
import { versionOf } from '../../support/signalling.ts';

let client: RecordingClient;

beforeAll(async () => {
  client = await startRecordingClient(
    {
      contact: (hostport) => `<sip:Mediant@${hostport}>;src`,
      headers: ['x-audc-call-id: 120317', 'X-AC-Action: start'],
    },
    { ROLE_RULES: '[{"kind":"label-rank","rank":"lowest","role":"agent"},{"kind":"other-party"}]' },
  );
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
});

const OPUS = ['a=rtpmap:111 opus/48000/2', 'a=fmtp:111 useinbandfec=1'];

const sdp = (version = 1, direction = 'sendonly'): string =>
  crlf(
    'v=0',
    `o=AudiocodesGW 1612 ${version} IN IP4 127.0.0.1`,
    's=Phone-Call',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    ...['1', '2'].flatMap((label, index) => [
      `m=audio ${6_000 + 10 * index} RTP/AVP 111 8 96`,
      ...OPUS,
      'a=rtpmap:8 PCMA/8000',
      'a=rtpmap:96 telephone-event/8000',
      'a=fmtp:96 0-15',
      `a=${direction}`,
      `a=label:${label}`,
    ]),
  );

const person = (id: string, aor: string): string =>
  `<participant id="${id}" session="s1"><nameID aor="${aor}"></nameID><send>${id}-str</send></participant>`;
const stream = (owner: string, label: string): string =>
  `<stream id="${owner}-str" session="s1"><label>${label}</label></stream>`;
const PAIR = person('p1', 'sip:1001@pbx.example') + person('p2', 'sip:+4930@carrier.example');

const metadata = (
  inner = PAIR,
  second = 'p2',
  mode = 'complete',
): string => `<?xml version="1.0" encoding="utf-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording"><datamode>${mode}</datamode><group id="g1"><associate-time>2026-11-22T08:00:00+01:00</associate-time>
<ac:AvayaUCID xmlns:ac="http://audiocodes">FA080001000A5F3B1C2D</ac:AvayaUCID><ac:GenesysUUID xmlns:ac="http://audiocodes">00PS8R1</ac:GenesysUUID></group>
<session id="s1"><group-ref>g1</group-ref></session>${inner}${stream('p1', '1')}${stream(second, '2')}</recording>`;

const multipart = (description: string, xml: string, type = 'application/rs-metadata'): Body =>
  multipartBody('boundary_ac1fd4', [
    ['Content-Type: application/sdp', description],
    [`Content-Type: ${type}\r\nContent-Disposition: recording-session`, xml],
  ]);

const open = (): ReturnType<RecordingClient['open']> => client.open({ body: multipart(sdp(), metadata()) });

describe('AudioCodes', () => {
  it('INVITE: ;src in the Contact, no Require, Opus before G.711, both forms of the media type', async () => {
    const dialog = await open();
    // What was not asked for is not required of the peer either.
    expect(recorderHeaders(dialog.ok)).toMatchObject({ contact: true, require: false });
    expect(linesOf(dialog.ok)).toEqual([
      'open RTP/AVP 8 96 label=1 recvonly',
      'open RTP/AVP 8 96 label=2 recvonly',
    ]);
    await client.bye(dialog);
    const other = await client.open({ body: multipart(sdp(), metadata(), 'application/rs-metadata+xml') });
    await client.bye(other);
    expect((await client.stored(other)).call.mapping).toBe('metadata');
    const { call, parties, legs, identifiers } = await client.stored(dialog);
    expect(call).toMatchObject({ mapping: 'metadata', metadata: { kind: 'siprec' } });
    expect(parties).toEqual(['1 agent - sip:1001@pbx.example', '2 customer - sip:+4930@carrier.example']);
    expect(legs.map(({ roleEvidence }) => roleEvidence['rule'])).toEqual(['label-rank', 'other-party']);
    expect(identifiers).toEqual(
      expect.arrayContaining([
        'audiocodes-call-id 120317',
        'genesys-uuid 00PS8R1',
        'siprec-group-id g1',
        'ucid 00001000101597709357',
      ]),
    );
    expect(identifiers.some((each) => each.startsWith('x-ac-action'))).toBe(false);
  });

  it('hold: inactive, answered with inactive, and back', async () => {
    const dialog = await open();
    const held = await client.ask(dialog, 'INVITE', { body: multipart(sdp(2, 'inactive'), metadata()) });
    expect(linesOf(held).map((line) => line.split(' ').at(-1))).toEqual(['inactive', 'inactive']);
    const resumed = await client.ask(dialog, 'INVITE', { body: multipart(sdp(3), metadata()) });
    expect(portsOf(resumed)).toEqual(portsOf(dialog.ok));
    await client.bye(dialog);
    const wanted = ['hold 0', 'hold 1', 'resume 0', 'resume 1'];
    expect((await client.stored(dialog, wanted)).happened).toEqual(expect.arrayContaining(wanted));
  });

  it('metadata change: an INFO with metadata alone is taken', async () => {
    const dialog = await open();
    const named = metadata('<participant id="p1"><name>Anna</name></participant>', 'p2', 'partial');
    const info = await client.ask(dialog, 'INFO', {
      body: { type: 'application/rs-metadata+xml;charset=utf-8', text: named },
    });
    expect(kindOf(info)).toBe('200');
    await client.bye(dialog);
    expect((await client.stored(dialog)).parties[0]).toBe('1 agent Anna sip:1001@pbx.example');
  });

  it('transfer: the second line belongs to somebody else', async () => {
    const dialog = await open();
    const pair = person('p1', 'sip:1001@pbx.example') + person('p3', 'sip:1003@pbx.example');
    await client.ask(dialog, 'INVITE', { body: multipart(sdp(2), metadata(pair, 'p3')) });
    await client.bye(dialog);
    const wanted = ['participant_left', 'participant_joined', 'party_changed 1'];
    const { parties, happened } = await client.stored(dialog, wanted);
    expect(parties[1]).toBe('2 customer - sip:1003@pbx.example');
    expect(happened).toEqual(expect.arrayContaining(wanted));
  });

  it('refresh: the same offer without metadata keeps version and parties', async () => {
    const dialog = await open();
    const again = await client.ask(dialog, 'INVITE', { body: { type: 'application/sdp', text: sdp() } });
    expect(versionOf(again)).toBe(versionOf(dialog.ok));
    await client.bye(dialog);
    expect((await client.stored(dialog)).parties[0]).toBe('1 agent - sip:1001@pbx.example');
  });

  it('end: BYE completes the call', async () => {
    const dialog = await open();
    expect(kindOf(await client.bye(dialog))).toBe('200');
    expect((await client.stored(dialog)).call).toMatchObject({ state: 'complete', endReason: 'bye' });
  });
});
