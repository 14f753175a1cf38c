import { afterAll, beforeAll, describe, expect, it } from 'vitest';

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
import { invite, newCall, request, tagOf } from '../../support/sip-peer.ts';

let client: RecordingClient;

const UCID = '00FA080001000A5F3B1C2D';

beforeAll(async () => {
  client = await startRecordingClient({
    contact: (hostport) => `<sip:asbce@${hostport};transport=udp;+sip.src>`,
    headers: ['Require: siprec', `User-to-User: ${UCID};encoding=hex`],
  });
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
});

const sdp = (labels: readonly string[], version = 1, direction = 'sendonly'): string =>
  crlf(
    'v=0',
    `o=- 1 ${version} IN IP4 127.0.0.1`,
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    ...labels.flatMap((label, index) => [
      `m=audio ${35_000 + 2 * index} RTP/AVP 0 8 101`,
      'a=rtpmap:101 telephone-event/8000',
      `a=label:${label}`,
      `a=${direction}`,
    ]),
  );

const person = (id: string, aor: string, stream: string): string =>
  `<participant id="${id}" session="${UCID}"><aor>${aor}</aor><send>${stream}</send></participant>`;

const metadata = (
  second = person('p2', 'sip:ASBCE@asbce.com', 'str2'),
  streamIds = ['str1', 'str2'],
): string =>
  `<recording xmlns="urn:ietf:params:xml:ns:recording"><dataMode>Complete</dataMode><session id="${UCID}"/>
  ${person('p1', 'sip:2001@avaya.example', 'str1')}${second}
  <stream stream_id="${streamIds[0]}" session="${UCID}"><label>10</label></stream>
  <stream stream_id="${streamIds[1]}" session="${UCID}"><label>20</label></stream></recording>`;

const multipart = (description: string, xml: string): Body =>
  multipartBody('foobar', [
    ['Content-Type: application/sdp', description],
    ['Content-Type: application/rs-metadata', xml],
  ]);

const open = (): ReturnType<RecordingClient['open']> =>
  client.open({ body: multipart(sdp(['10', '20']), metadata()) });

describe('Avaya SBCE', () => {
  it('INVITE: +sip.src within the brackets, labels 10 and 20, empty stream ids, one line for two streams', async () => {
    const dialog = await open();
    expect(recorderHeaders(dialog.ok)).toEqual(RECORDER);
    expect(linesOf(dialog.ok)).toEqual([
      'open RTP/AVP 0 101 label=10 recvonly',
      'open RTP/AVP 0 101 label=20 recvonly',
    ]);
    await client.bye(dialog);
    const { identifiers, call } = await client.stored(dialog);
    expect(call.mapping).toBe('metadata');
    expect(identifiers).toEqual(
      expect.arrayContaining([
        'user-to-user FA080001000A5F3B1C2D',
        'ucid 00001000101597709357',
        `siprec-session-id ${UCID}`,
      ]),
    );

    const empty = await client.open({
      body: multipart(sdp(['10', '20']), metadata(person('p2', 'sip:2@x', ''), ['', ''])),
    });
    await client.bye(empty);
    expect((await client.stored(empty)).call.mapping).toBe('positional');

    const mono = await client.open({ body: multipart(sdp(['30']), metadata()) });
    expect(linesOf(mono.ok)).toEqual(['open RTP/AVP 0 101 label=30 recvonly']);
    await client.bye(mono);
    expect((await client.stored(mono)).parties).toEqual(['30 mixed - -']);
  });

  it('hold: inactive and back', async () => {
    const dialog = await open();
    const held = await client.ask(dialog, 'INVITE', {
      body: multipart(sdp(['10', '20'], 2, 'inactive'), metadata()),
    });
    expect(linesOf(held).map((line) => line.split(' ').at(-1))).toEqual(['inactive', 'inactive']);
    await client.ask(dialog, 'INVITE', { body: multipart(sdp(['10', '20'], 3), metadata()) });
    await client.bye(dialog);
    const wanted = ['hold 0', 'hold 1', 'resume 0', 'resume 1'];
    expect((await client.stored(dialog, wanted)).happened).toEqual(expect.arrayContaining(wanted));
  });

  it('metadata change: the placeholder of a party is replaced by an UPDATE with metadata alone', async () => {
    const dialog = await open();
    const real = metadata(person('p7', 'sip:+4930111@carrier.example', 'str2'));
    const update = await client.ask(dialog, 'UPDATE', {
      body: { type: 'application/rs-metadata', text: real },
    });
    expect(kindOf(update)).toBe('200');
    await client.bye(dialog);
    const wanted = ['participant_joined', 'participant_left', 'party_changed 1', 'metadata'];
    const { parties, legs, happened } = await client.stored(dialog, wanted);
    expect(parties[1]).toBe('20 unknown - sip:+4930111@carrier.example');
    expect(legs[1]?.roleEvidence['history']).toMatchObject([
      { uri: 'sip:ASBCE@asbce.com' },
      { uri: 'sip:+4930111@carrier.example' },
    ]);
    expect(happened).toEqual(expect.arrayContaining(wanted));
  });

  it('transfer: a third participant sends the second stream', async () => {
    const dialog = await open();
    const next = metadata(person('p3', 'sip:2002@avaya.example', 'str2'));
    const answer = await client.ask(dialog, 'INVITE', { body: multipart(sdp(['10', '20']), next) });
    expect(versionOf(answer)).toBe(versionOf(dialog.ok));
    await client.bye(dialog);
    expect((await client.stored(dialog)).parties[1]).toBe('20 unknown - sip:2002@avaya.example');
  });

  it('refresh: a re-INVITE with the same offer gets the same answer', async () => {
    const dialog = await open();
    const again = await client.ask(dialog, 'INVITE', { body: multipart(sdp(['10', '20']), metadata()) });
    expect(again.slice(again.indexOf('v=0'))).toBe(dialog.ok.slice(dialog.ok.indexOf('v=0')));
    await client.bye(dialog);
    expect((await client.stored(dialog)).call.state).toBe('complete');
  });

  it('end: a CANCEL before the answer leaves nothing, or is late and the BYE completes the call', async () => {
    const { peer } = client.line;
    const call = newCall();
    const { type, text } = multipart(sdp(['10', '20']), metadata());
    peer.send(invite(peer, call, { body: text, contentType: type, headers: ['Require: siprec'] }));
    peer.send(request(peer, 'CANCEL', call, { branch: call.branch }));
    const final = await client.line.final(call, 1, 'INVITE');
    const toTag = tagOf(final);
    if (final.startsWith('SIP/2.0 200')) {
      peer.send(request(peer, 'ACK', call, { toTag }));
      await client.line.hangUp({ call, ok: final, toTag });
      await client.line.row("select from calls where sip_call_id = $1 and state = 'complete'", [call.callId]);
    } else {
      expect(final).toMatch(/^SIP\/2.0 487 /);
      peer.send(request(peer, 'ACK', call, { toTag, branch: call.branch }));
    }
    const dialog = await open();
    expect(kindOf(await client.bye(dialog))).toBe('200');
    expect((await client.stored(dialog)).call).toMatchObject({ state: 'complete', endReason: 'bye' });
    const { rows } = await client.line.test.pool.query('select 1 from calls where sip_call_id = $1', [
      call.callId,
    ]);
    expect(rows).toHaveLength(final.startsWith('SIP/2.0 200') ? 1 : 0);
  });
});
