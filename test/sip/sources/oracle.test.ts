import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import {
  type Body,
  crlf,
  kindOf,
  linesOf,
  portsOf,
  RECORDER,
  recorderHeaders,
  type RecordingClient,
  startRecordingClient,
} from '../../support/recording-client.ts';
import { versionOf } from '../../support/signalling.ts';

let client: RecordingClient;

beforeAll(async () => {
  client = await startRecordingClient(
    {
      contact: (hostport) => `<sip:acmeSrc@${hostport};transport=udp>;+sip.src`,
      headers: ['Require: siprec', 'MIME-Version: 1.0'],
    },
    {
      ROLE_RULES: JSON.stringify([
        { kind: 'extension', name: 'callingParty', matches: '^true$', role: 'customer' },
        { kind: 'extension', name: 'callingParty', matches: '^false$', role: 'agent' },
      ]),
    },
  );
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
});

const CALLER = { label: '16777227', port: 20_000 };
const CALLED = { label: '16777228', port: 20_002 };

const sdp = (
  version: number,
  lines: readonly { label: string; port: number }[],
  direction = 'sendonly',
  address = '127.0.0.1',
): string =>
  crlf(
    'v=0',
    `o=- 4419 ${version} IN IP4 127.0.0.1`,
    's=-',
    `c=IN IP4 ${address}`,
    't=0 0',
    ...lines.flatMap(({ label, port }) => [
      `m=audio ${port} RTP/AVP 0 101`,
      'a=rtpmap:101 telephone-event/8000',
      `a=${direction}`,
      `a=label:${label}`,
    ]),
  );

const participant = (id: string, aor: string, name: string, calling: boolean, sends: string): string =>
  `<participant id="${id}" session="sess1"><nameID aor="${aor}"><name>${name}</name></nameID><send>${sends}</send>
   <associate-time>2026-11-22T08:00:00</associate-time>
   <extensiondata xmlns:apkt="http://acmepacket.com/siprec/extensiondata"><apkt:callingParty>${calling ? 'true' : 'false'}</apkt:callingParty></extensiondata></participant>`;
const ALICE = participant('part1', 'sip:+4930111@carrier.example', 'Alice', true, 'str1');
const BOB = participant('part2', 'sip:2001@pbx.example', 'Bob', false, 'str2');

const metadata = (participants: string, mode = 'complete'): string => `<?xml version='1.0' encoding='UTF-8'?>
<recording xmlns='urn:ietf:params:xml:ns:recording'><datamode>${mode}</datamode>
<session id="sess1"><associate-time>2026-11-22T08:00:00</associate-time>
<extensiondata xmlns:apkt="http://acmepacket.com/siprec/extensiondata"><apkt:ucid>00FA080001000A5F3B1C2D;encoding=hex</apkt:ucid><apkt:callerOrig>true</apkt:callerOrig></extensiondata></session>
${participants}
<stream id="str1" session="sess1"><label>16777227</label><mode>separate</mode></stream>
<stream id="str2" session="sess1"><label>16777228</label><mode>separate</mode></stream></recording>`;

/** The closing line ends in a blank. */
const multipart = (description: string, xml: string): Body => ({
  type: 'multipart/mixed; boundary=unique-boundary-1',
  text: `--unique-boundary-1\r\nContent-Type: application/sdp\r\n\r\n${description}\r\n--unique-boundary-1\r\nContent-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session\r\n\r\n${xml}\r\n--unique-boundary-1-- \r\n`,
});

const BOTH = (version: number): string => sdp(version, [CALLER, CALLED]);
const openBoth = (): ReturnType<RecordingClient['open']> =>
  client.open({ body: multipart(BOTH(1), metadata(ALICE + BOB)) });

describe('Oracle', () => {
  it('INVITE: one line at first, the second by a re-INVITE after the answer; inline send, UCID, roles by an extension', async () => {
    const dialog = await client.open({ body: multipart(sdp(1, [CALLER]), metadata(ALICE)) });
    expect(recorderHeaders(dialog.ok)).toEqual(RECORDER);
    expect(linesOf(dialog.ok)).toEqual(['open RTP/AVP 0 101 label=16777227 recvonly']);
    const second = await client.ask(dialog, 'INVITE', { body: multipart(BOTH(2), metadata(ALICE + BOB)) });
    expect(linesOf(second)).toEqual([
      'open RTP/AVP 0 101 label=16777227 recvonly',
      'open RTP/AVP 0 101 label=16777228 recvonly',
    ]);
    expect(portsOf(second)[0]).toBe(portsOf(dialog.ok)[0]);
    expect(versionOf(second)).toBe(versionOf(dialog.ok) + 1);
    await client.bye(dialog);
    const { call, legs, parties, identifiers } = await client.stored(dialog);
    expect(call).toMatchObject({ mapping: 'metadata', metadata: { kind: 'siprec' } });
    expect(parties).toEqual([
      '16777227 customer Alice sip:+4930111@carrier.example',
      '16777228 agent Bob sip:2001@pbx.example',
    ]);
    expect(legs[1]?.roleEvidence).toMatchObject({
      rule: 'extension',
      saw: 'false',
      participantIds: ['part2'],
    });
    expect(identifiers).toEqual(
      expect.arrayContaining([
        `sip-call-id ${dialog.callId}`,
        'siprec-session-id sess1',
        'ucid FA080001000A5F3B1C2D',
        'ucid 00001000101597709357',
      ]),
    );
  });

  it('hold: a=inactive on both lines and back, each answered with inactive and recvonly', async () => {
    const dialog = await openBoth();
    const held = await client.ask(dialog, 'INVITE', {
      body: multipart(sdp(2, [CALLER, CALLED], 'inactive'), metadata(ALICE + BOB)),
    });
    expect(linesOf(held)).toEqual([
      'open RTP/AVP 0 101 label=16777227 inactive',
      'open RTP/AVP 0 101 label=16777228 inactive',
    ]);
    const resumed = await client.ask(dialog, 'INVITE', { body: multipart(BOTH(3), metadata(ALICE + BOB)) });
    expect(linesOf(resumed).map((line) => line.split(' ').at(-1))).toEqual(['recvonly', 'recvonly']);
    expect(portsOf(resumed)).toEqual(portsOf(dialog.ok));
    await client.bye(dialog);
    const { happened } = await client.stored(dialog, ['hold 0', 'hold 1', 'resume 0', 'resume 1']);
    expect(happened).toEqual(expect.arrayContaining(['hold 0', 'hold 1', 'resume 0', 'resume 1']));
  });

  it('metadata change: an older document with bare attribute values in an UPDATE is mended and merged', async () => {
    const dialog = await openBoth();
    const update = await client.ask(dialog, 'UPDATE', {
      body: {
        type: 'application/rs-metadata',
        text: '<recording xmlns=urn:ietf:params:xml:ns:recording><datamode>partial</datamode><participant id=part2 session=sess1><name>Robert</name></participant></recording>',
      },
    });
    expect(kindOf(update)).toBe('200');
    await client.bye(dialog);
    const { call, parties, happened } = await client.stored(dialog, [
      'participant_renamed',
      'party_changed 1',
      'metadata',
    ]);
    expect(parties[1]).toBe('16777228 agent Robert sip:2001@pbx.example');
    expect(happened).toEqual(expect.arrayContaining(['participant_renamed', 'party_changed 1', 'metadata']));
    expect(call.metadata).toMatchObject({ documents: 2, repaired: 1 });
  });

  it('transfer: another participant takes the place of one in the same session', async () => {
    const dialog = await openBoth();
    const carol = participant('part3', 'sip:2002@pbx.example', 'Carol', false, 'str2');
    const answer = await client.ask(dialog, 'INVITE', { body: multipart(BOTH(2), metadata(ALICE + carol)) });
    expect(kindOf(answer)).toBe('200 with SDP');
    await client.bye(dialog);
    const { legs, parties, happened, events } = await client.stored(dialog, [
      'participant_left',
      'participant_joined',
      'party_changed 1',
    ]);
    expect(parties[1]).toBe('16777228 agent Carol sip:2002@pbx.example');
    expect(happened).toEqual(
      expect.arrayContaining(['participant_left', 'participant_joined', 'party_changed 1']),
    );
    expect(events.find(({ kind }) => kind === 'participant_left')?.detail).toMatchObject({ name: 'Bob' });
    expect(legs[1]?.roleEvidence['history']).toMatchObject([{ name: 'Bob' }, { name: 'Carol' }]);
  });

  it('refresh: the same description again is answered with the same one', async () => {
    const dialog = await openBoth();
    const again = await client.ask(dialog, 'INVITE', { body: multipart(BOTH(1), metadata(ALICE + BOB)) });
    expect(again.slice(again.indexOf('v=0'))).toBe(dialog.ok.slice(dialog.ok.indexOf('v=0')));
    await client.bye(dialog);
    const { happened } = await client.stored(dialog, ['participant_joined', 'participant_joined', 'reoffer']);
    expect(happened).toEqual(['participant_joined', 'participant_joined', 'reoffer']);
  });

  it('end: BYE completes the call; an offer of G.729 alone is refused with 488', async () => {
    const dialog = await openBoth();
    expect(kindOf(await client.bye(dialog))).toBe('200');
    const { call, legs } = await client.stored(dialog);
    expect(call).toMatchObject({ state: 'complete', endReason: 'bye' });
    expect(legs.every(({ endedAt }) => endedAt !== null)).toBe(true);
    const onlyG729 = sdp(1, [CALLER])
      .replace('RTP/AVP 0 101', 'RTP/AVP 18')
      .replace(/a=rtpmap.*\r\n/, '');
    expect(kindOf(await client.attempt({ body: multipart(onlyG729, metadata(ALICE)) }))).toBe('488');
  });
});
