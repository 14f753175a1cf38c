import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { findCallsByIdentifier } from '../../../src/store/find-calls-by-identifier.ts';
import {
  type Body,
  crlf,
  kindOf,
  linesOf,
  multipartBody,
  RECORDER,
  recorderHeaders,
  type RecordingClient,
  startRecordingClient,
} from '../../support/recording-client.ts';
import { versionOf } from '../../support/signalling.ts';

let client: RecordingClient;

/** The call centre's own id reaches us in the session border controller's INVITE and in its metadata. */
const UUID = '0PK3G8HKJ97E5C8T1OQ1';

beforeAll(async () => {
  client = await startRecordingClient(
    {
      contact: (hostport) => `<sip:sbc@${hostport}>;+sip.src`,
      headers: ['Require: siprec', `X-Genesys-CallUUID: ${UUID}`, 'X-Agent: 7001'],
    },
    { ROLE_RULES: '[{"kind":"header","name":"X-Agent","role":"agent"},{"kind":"other-party"}]' },
  );
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
});

const sdp = (version = 1, directions = ['sendonly', 'sendonly']): string =>
  crlf(
    'v=0',
    `o=sbc 7 ${version} IN IP4 127.0.0.1`,
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    ...directions.flatMap((direction, index) => [
      `m=audio ${9_000 + 2 * index} RTP/AVP 8`,
      `a=${direction}`,
      `a=label:${index + 1}`,
    ]),
  );

const person = (id: string, aor: string): string =>
  `<participant participant_id="${id}"><nameID aor="${aor}"/></participant>`;
const assoc = (id: string, sends: string): string =>
  `<participantstreamassoc participant_id="${id}"><send>${sends}</send></participantstreamassoc>`;

const metadata = (
  agent = ['p2', 'sip:7001@cc.example'],
): string => `<recording xmlns="urn:ietf:params:xml:ns:recording:1">
<datamode>complete</datamode><session session_id="s"><extensiondata><ac:GenesysUUID xmlns:ac="http://audiocodes">${UUID}</ac:GenesysUUID></extensiondata></session>
${person('p1', 'sip:+4930@carrier.example')}${person(agent[0]!, agent[1]!)}
<stream stream_id="a"><label>1</label></stream><stream stream_id="b"><label>2</label></stream>
${assoc('p1', 'a')}${assoc(agent[0]!, 'b')}</recording>`;

const multipart = (description: string, xml: string): Body =>
  multipartBody('boundary_ac77', [
    ['Content-Type: application/sdp', description],
    ['Content-Type: application/rs-metadata+xml', xml],
  ]);

const open = (): ReturnType<RecordingClient['open']> => client.open({ body: multipart(sdp(), metadata()) });

describe('Genesys', () => {
  it('INVITE: its call UUID in header and metadata is one id of the call; a header names the agent', async () => {
    const dialog = await open();
    expect(recorderHeaders(dialog.ok)).toEqual(RECORDER);
    expect(linesOf(dialog.ok)).toEqual([
      'open RTP/AVP 8 label=1 recvonly',
      'open RTP/AVP 8 label=2 recvonly',
    ]);
    await client.bye(dialog);
    const { call, parties, legs, identifiers } = await client.stored(dialog);
    expect(parties).toEqual(['1 customer - sip:+4930@carrier.example', '2 agent - sip:7001@cc.example']);
    expect(legs[1]?.roleEvidence).toMatchObject({ rule: 'header', saw: '7001' });
    expect(identifiers.filter((each) => each.startsWith('genesys'))).toEqual([`genesys-uuid ${UUID}`]);
    expect(await findCallsByIdentifier(client.line.test.pool, UUID)).toContain(call.id);
  });

  it('hold: one line inactive while the other goes on', async () => {
    const dialog = await open();
    const held = await client.ask(dialog, 'INVITE', {
      body: multipart(sdp(2, ['inactive', 'sendonly']), metadata()),
    });
    expect(linesOf(held)).toEqual(['open RTP/AVP 8 label=1 inactive', 'open RTP/AVP 8 label=2 recvonly']);
    await client.ask(dialog, 'INVITE', { body: multipart(sdp(3), metadata()) });
    await client.bye(dialog);
    const wanted = ['hold 0', 'resume 0'];
    const { happened } = await client.stored(dialog, wanted);
    expect(happened).toEqual(expect.arrayContaining(wanted));
    expect(happened).not.toContain('hold 1');
  });

  it('metadata change: an UPDATE with an offer and metadata changes both', async () => {
    const dialog = await open();
    const update = await client.ask(dialog, 'UPDATE', {
      body: multipart(sdp(2, ['sendonly', 'inactive']), metadata(['p2', 'sip:7002@cc.example'])),
    });
    expect(kindOf(update)).toBe('200 with SDP');
    expect(linesOf(update)[1]).toBe('open RTP/AVP 8 label=2 inactive');
    await client.bye(dialog);
    const { parties } = await client.stored(dialog);
    // Nobody is the agent of the header any more.
    expect(parties).toEqual(['1 unknown - sip:+4930@carrier.example', '2 unknown - sip:7002@cc.example']);
  });

  it('transfer: the next agent joins the same session; whose leg it was before is kept', async () => {
    const dialog = await open();
    await client.ask(dialog, 'INVITE', { body: multipart(sdp(), metadata(['p3', 'sip:7003@cc.example'])) });
    await client.bye(dialog);
    const { legs, parties } = await client.stored(dialog);
    expect(parties[1]).toContain('sip:7003@cc.example');
    expect(legs[1]?.roleEvidence['history']).toMatchObject([
      { role: 'agent', uri: 'sip:7001@cc.example' },
      { role: 'unknown', uri: 'sip:7003@cc.example' },
    ]);
  });

  it('refresh: an UPDATE with the same offer keeps our version', async () => {
    const dialog = await open();
    const again = await client.ask(dialog, 'UPDATE', { body: multipart(sdp(), metadata()) });
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
