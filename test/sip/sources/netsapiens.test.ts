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

beforeAll(async () => {
  client = await startRecordingClient(
    { contact: (hostport) => `<sip:core@${hostport}>;+sip.src`, headers: ['Require: siprec'] },
    {
      ROLE_RULES:
        '[{"kind":"agent-numbers","numbers":["101","102"]},{"kind":"address","matches":".","role":"customer"}]',
    },
  );
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
});

const sdp = (version = 1, direction = 'sendonly'): string =>
  crlf(
    'v=0',
    `o=NetSapiens 5 ${version} IN IP4 127.0.0.1`,
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    ...['caller', 'callee'].flatMap((label, index) => [
      `m=audio ${21_000 + 2 * index} RTP/AVP 0 101`,
      'a=rtpmap:101 telephone-event/8000',
      `a=label:${label}`,
      `a=${direction}`,
    ]),
  );

/** Participants are named by the Call-IDs of their own calls; the ids of streams are the same in every session. */
const person = (callId: string, aor: string, sends: string): string =>
  `<participant participant_id="${callId}"><nameID aor="${aor}"/></participant>
   <participantstreamassoc participant_id="${callId}"><send>${sends}</send></participantstreamassoc>`;

const metadata = (
  group: string,
  groupSeq: number,
  second = person('call-b@core', 'sip:101@tenant.example', '2'),
): string =>
  `<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>complete</datamode>
  <group group_id="${group}"/><session session_id="${group}-${groupSeq}"><group-ref>${group}</group-ref></session>
  ${person('call-a@core', 'sip:+16195550100@tenant.example', '1')}${second}
  <stream stream_id="1"><label>caller</label></stream><stream stream_id="2"><label>callee</label></stream>
  <netsapiensExtension><groupSeq>${groupSeq}</groupSeq><origCallId>call-a@core</origCallId></netsapiensExtension></recording>`;

const multipart = (description: string, xml: string): Body =>
  multipartBody('ns-boundary', [
    ['Content-Type: application/sdp', description],
    ['Content-Type: application/rs-metadata+xml', xml],
  ]);

let groups = 0;
const newGroup = (): string => `group-${(groups += 1)}`;
const open = (group = newGroup(), groupSeq = 1, second?: string): ReturnType<RecordingClient['open']> =>
  client.open({ body: multipart(sdp(), metadata(group, groupSeq, second)) });

describe('NetSapiens', () => {
  it('INVITE: labels that are words come back; a list of extensions tells the agent', async () => {
    const dialog = await open();
    expect(recorderHeaders(dialog.ok)).toEqual(RECORDER);
    expect(linesOf(dialog.ok)).toEqual([
      'open RTP/AVP 0 101 label=caller recvonly',
      'open RTP/AVP 0 101 label=callee recvonly',
    ]);
    await client.bye(dialog);
    const { parties, identifiers } = await client.stored(dialog);
    expect(parties).toEqual([
      'caller customer - sip:+16195550100@tenant.example',
      'callee agent - sip:101@tenant.example',
    ]);
    expect(identifiers).toEqual(
      expect.arrayContaining([
        'siprec-group-id group-1',
        'siprec-session-id group-1-1',
        'origcallid call-a@core',
      ]),
    );
  });

  it('hold: inactive, answered with SDP and labels, and back', async () => {
    const dialog = await open();
    const held = await client.ask(dialog, 'INVITE', {
      body: multipart(sdp(2, 'inactive'), metadata('group-h', 1)),
    });
    expect(linesOf(held)).toEqual([
      'open RTP/AVP 0 101 label=caller inactive',
      'open RTP/AVP 0 101 label=callee inactive',
    ]);
    await client.ask(dialog, 'INVITE', { body: multipart(sdp(3), metadata('group-h', 1)) });
    await client.bye(dialog);
    const wanted = ['hold 0', 'hold 1', 'resume 0', 'resume 1'];
    expect((await client.stored(dialog, wanted)).happened).toEqual(expect.arrayContaining(wanted));
  });

  it('metadata change: every UPDATE with SDP is answered with SDP', async () => {
    const dialog = await open();
    const update = await client.ask(dialog, 'UPDATE', {
      body: multipart(sdp(), metadata('group-m', 2, person('call-c@core', 'sip:102@tenant.example', '2'))),
    });
    expect(kindOf(update)).toBe('200 with SDP');
    await client.bye(dialog);
    const { parties, identifiers } = await client.stored(dialog);
    expect(parties[1]).toBe('callee agent - sip:102@tenant.example');
    // Both groups stay: either may be looked for.
    expect(identifiers.filter((each) => each.startsWith('siprec-group-id'))).toHaveLength(2);
  });

  it('transfer: BYE and a new INVITE with the same group; both parts are found by it, newest first', async () => {
    const group = newGroup();
    const first = await open(group, 1);
    await client.bye(first);
    const second = await open(group, 2, person('call-d@core', 'sip:102@tenant.example', '2'));
    await client.bye(second);
    const before = await client.stored(first);
    const after = await client.stored(second);
    expect(await findCallsByIdentifier(client.line.test.pool, group, 'siprec-group-id')).toEqual([
      after.call.id,
      before.call.id,
    ]);
    expect(before.parties[1]).toBe('callee agent - sip:101@tenant.example');
    expect(after.parties[1]).toBe('callee agent - sip:102@tenant.example');
  });

  it('refresh: the same offer keeps our version', async () => {
    const dialog = await open();
    const again = await client.ask(dialog, 'INVITE', { body: multipart(sdp(), metadata('group-r', 1)) });
    expect(kindOf(again)).toBe('200 with SDP');
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
