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
  client = await startRecordingClient({
    contact: (hostport) => `<sip:cfs@${hostport}>;+sip.src`,
    headers: ['Require: siprec'],
  });
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
});

const sdp = ({ version = 1, address = '127.0.0.1', port = 40_100 } = {}): string =>
  crlf(
    'v=0',
    `o=- 88 ${version} IN IP4 ${address}`,
    's=-',
    `c=IN IP4 ${address}`,
    't=0 0',
    `m=audio ${port} RTP/AVP 8 0`,
    'a=sendonly',
    'a=label:1',
  );

const person = (id: string, aor: string, name: string): string =>
  `<participant id="${id}" session="s"><aor>${aor}</aor><name>${name}</name><send>mix</send><recv>mix</recv></participant>`;
const PAIR = person('p1', 'sip:2001@cfs.example', 'Ann') + person('p2', 'sip:+4930111@cfs.example', 'Bob');

/** Both participants send and receive the one stream. */
const metadata = (people = PAIR): string => `<?xml version="1.0"?>
<recording id="rec-1" xmlns="urn:ietf:params:xml:ns:recording"><datamode>complete</datamode><session id="s"/>${people}
<stream id="mix" session="s"><label>1</label></stream>
<extensiondata><ms:billingId xmlns:ms="urn:metaswitch">b-77</ms:billingId></extensiondata></recording>`;

/** The boundary parameter stands behind a blank. */
const multipart = (description: string, xml: string): Body => ({
  type: 'multipart/mixed; boundary="metaswitch-boundary"',
  text: `--metaswitch-boundary\r\nContent-Type: application/sdp\r\n\r\n${description}\r\n--metaswitch-boundary\r\nContent-Type: application/rs-metadata\r\n\r\n${xml}\r\n--metaswitch-boundary--\r\n`,
});

const open = (): ReturnType<RecordingClient['open']> => client.open({ body: multipart(sdp(), metadata()) });

describe('Metaswitch', () => {
  it('INVITE: one line for both people is a mixed leg', async () => {
    const dialog = await open();
    expect(recorderHeaders(dialog.ok)).toEqual(RECORDER);
    expect(linesOf(dialog.ok)).toEqual(['open RTP/AVP 8 label=1 recvonly']);
    await client.bye(dialog);
    const { call, parties, legs, identifiers } = await client.stored(dialog);
    expect(call.mapping).toBe('metadata');
    expect(parties).toEqual(['1 mixed - -']);
    expect(legs[0]?.roleEvidence).toMatchObject({ rule: 'mixed', participantIds: ['p1', 'p2'] });
    expect(identifiers).toContain('ms:billingid b-77');
  });

  it('hold: 0.0.0.0 in o= and c= with a live port, and back', async () => {
    const dialog = await open();
    const held = await client.ask(dialog, 'INVITE', {
      body: multipart(sdp({ version: 2, address: '0.0.0.0' }), metadata()),
    });
    expect(portsOf(held)).toEqual(portsOf(dialog.ok));
    await client.ask(dialog, 'INVITE', { body: multipart(sdp({ version: 3 }), metadata()) });
    await client.bye(dialog);
    const wanted = ['hold 0', 'resume 0'];
    expect((await client.stored(dialog, wanted)).happened).toEqual(expect.arrayContaining(wanted));
  });

  it('metadata change: a name comes later; the leg stays mixed', async () => {
    const dialog = await open();
    const text = metadata(PAIR.replace('Bob', 'Robert'));
    const update = await client.ask(dialog, 'UPDATE', { body: { type: 'application/rs-metadata', text } });
    expect(kindOf(update)).toBe('200');
    await client.bye(dialog);
    const { parties, events } = await client.stored(dialog, ['participant_renamed']);
    expect(parties).toEqual(['1 mixed - -']);
    expect(events.find(({ kind }) => kind === 'participant_renamed')?.detail).toMatchObject({
      name: 'Robert',
    });
  });

  it('transfer: a new port by re-INVITE and a third participant; our port stays', async () => {
    const dialog = await open();
    const people = PAIR + person('p3', 'sip:2003@cfs.example', 'Cem');
    const moved = await client.ask(dialog, 'INVITE', {
      body: multipart(sdp({ version: 2, port: 40_200 }), metadata(people)),
    });
    expect(portsOf(moved)).toEqual(portsOf(dialog.ok));
    await client.bye(dialog);
    const { legs, happened } = await client.stored(dialog, ['party_changed 0']);
    expect(legs[0]?.roleEvidence).toMatchObject({ participantIds: ['p1', 'p2', 'p3'] });
    expect(happened).toContain('party_changed 0');
  });

  it('refresh: the same offer keeps our version', async () => {
    const dialog = await open();
    const again = await client.ask(dialog, 'INVITE', { body: multipart(sdp(), metadata()) });
    expect(versionOf(again)).toBe(versionOf(dialog.ok));
    await client.bye(dialog);
    expect((await client.stored(dialog)).legs).toHaveLength(1);
  });

  it('end: BYE completes the call', async () => {
    const dialog = await open();
    expect(kindOf(await client.bye(dialog))).toBe('200');
    expect((await client.stored(dialog)).call).toMatchObject({ state: 'complete', endReason: 'bye' });
  });
});
