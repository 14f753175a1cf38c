import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import {
  type Body,
  crlf,
  kindOf,
  linesOf,
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
    contact: (hostport) => `<sip:${hostport}>;src`,
    headers: ['X-BroadWorks-Correlation-Info: 7f2c-9a'],
  });
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
});

/** No direction attribute; Opus first; the id of the o= line may change. */
const sdp = ({ id = 1, version = 1, address = '127.0.0.1', extra = [] as readonly string[] } = {}): string =>
  crlf(
    'v=0',
    `o=BroadWorks ${id} ${version} IN IP4 127.0.0.1`,
    's=-',
    `c=IN IP4 ${address}`,
    't=0 0',
    ...['1', '2'].flatMap((label, index) => [
      `m=audio ${12_000 + 2 * index} RTP/AVP 111 0 8 101`,
      'a=rtpmap:111 opus/48000/2',
      'a=rtpmap:101 telephone-event/8000',
      `a=label:${label}`,
      ...extra,
    ]),
  );

const person = (id: string, aor: string, stream: string): string =>
  `<participant id="urn:uuid:${id}" session="urn:uuid:s1"><aor>${aor}</aor><send><id>urn:uuid:${stream}</id></send></participant>`;
const PAIR = person('p1', 'sip:2001@as.example', 'm1') + person('p2', 'tel:+4930111', 'm2');

const metadata = (people = PAIR): string => `<?xml version="1.0" encoding="UTF-8"?>
<recording_metadata xmlns="urn:ietf:params:xml:ns:siprec"><dataMode>complete</dataMode>
<session id="urn:uuid:s1"/>${people}
<stream id="urn:uuid:m1" session="urn:uuid:s1"><mode>separate</mode><label>1</label></stream>
<stream id="urn:uuid:m2" session="urn:uuid:s1"><mode>separate</mode><label>2</label></stream>
<extensiondata><broadWorksRecordingMetadata xmlns="urn:broadworks"><extTrackingID>71:1</extTrackingID><callID>callhalf-4711:0</callID>
<callType><origCall><callingPartyNumber>2001</callingPartyNumber><calledPartyNumber>+4930111</calledPartyNumber></origCall></callType></broadWorksRecordingMetadata></extensiondata>
</recording_metadata>`;

/** The metadata comes first; no blank behind the colons. */
const multipart = (description: string, xml: string): Body => ({
  type: 'multipart/mixed;boundary=UniqueBroadWorksBoundary',
  text: `--UniqueBroadWorksBoundary\r\nContent-Type:application/rs-metadata+xml\r\nContent-Disposition:recording-session\r\n\r\n${xml}\r\n--UniqueBroadWorksBoundary\r\nContent-Type:application/sdp\r\n\r\n${description}\r\n--UniqueBroadWorksBoundary--\r\n`,
});

const open = (): ReturnType<RecordingClient['open']> => client.open({ body: multipart(sdp(), metadata()) });

describe('BroadWorks and Webex Calling', () => {
  it('INVITE: metadata before the offer, no Require, no direction; an outbound call by its callType', async () => {
    const dialog = await open();
    expect(recorderHeaders(dialog.ok)).toMatchObject({ contact: true, require: false });
    expect(linesOf(dialog.ok)).toEqual([
      'open RTP/AVP 0 101 label=1 recvonly',
      'open RTP/AVP 0 101 label=2 recvonly',
    ]);
    await client.bye(dialog);
    const { call, parties, legs, identifiers } = await client.stored(dialog);
    expect(call).toMatchObject({ direction: 'outbound', mapping: 'metadata' });
    expect(parties).toEqual(['1 agent - sip:2001@as.example', '2 customer - tel:+4930111']);
    expect(legs[0]?.roleEvidence).toMatchObject({
      rule: 'direction',
      saw: 'calling party of an outbound call',
    });
    expect(identifiers).toEqual(
      expect.arrayContaining([
        'broadworks-tracking-id 71:1',
        'callid callhalf-4711:0',
        'broadworks-correlation 7f2c-9a',
        'siprec-session-id urn:uuid:s1',
        'siprec-session-id s1',
      ]),
    );
  });

  it('hold: c=0.0.0.0 in a body of SDP alone, with live ports; and back', async () => {
    const dialog = await open();
    const held = await client.ask(dialog, 'INVITE', {
      body: sdpBody(sdp({ version: 2, address: '0.0.0.0' })),
    });
    expect(kindOf(held)).toBe('200 with SDP');
    expect(portsOf(held)).toEqual(portsOf(dialog.ok));
    await client.ask(dialog, 'INVITE', { body: sdpBody(sdp({ version: 3 })) });
    await client.bye(dialog);
    const wanted = ['hold 0', 'hold 1', 'resume 0', 'resume 1'];
    const { happened, parties } = await client.stored(dialog, wanted);
    expect(happened).toEqual(expect.arrayContaining(wanted));
    expect(parties[0]).toContain('sip:2001@as.example');
  });

  it('metadata change: UPDATEs that repeat one document change nothing; participants grow', async () => {
    const dialog = await open();
    const text = metadata(PAIR + person('p3', 'sip:2003@as.example', 'm3'));
    for (let round = 0; round < 3; round++) {
      const update = await client.ask(dialog, 'UPDATE', {
        body: { type: 'application/rs-metadata+xml', text },
      });
      expect(kindOf(update)).toBe('200');
    }
    await client.bye(dialog);
    const joined = Array.from({ length: 3 }, () => 'participant_joined');
    const { happened } = await client.stored(dialog, [...joined, 'metadata', 'metadata', 'metadata']);
    expect(happened.filter((kind) => kind !== 'metadata')).toEqual(joined);
  });

  it('transfer: the far party changes in the same session', async () => {
    const dialog = await open();
    const people = person('p1', 'sip:2001@as.example', 'm1') + person('p4', 'tel:+4930444', 'm2');
    const update = await client.ask(dialog, 'UPDATE', {
      body: { type: 'application/rs-metadata+xml', text: metadata(people) },
    });
    expect(kindOf(update)).toBe('200');
    await client.bye(dialog);
    const wanted = ['participant_left', 'party_changed 1'];
    const { parties, happened } = await client.stored(dialog, wanted);
    expect(parties[1]).toContain('tel:+4930444');
    expect(happened).toEqual(expect.arrayContaining(wanted));
  });

  it('refresh: another id in the o= line alone is no change of ours', async () => {
    const dialog = await open();
    const again = await client.ask(dialog, 'INVITE', { body: multipart(sdp({ id: 9 }), metadata()) });
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
