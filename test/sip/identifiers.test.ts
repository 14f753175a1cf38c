import { describe, expect, it } from 'vitest';

import {
  IdentifierSet,
  identifiersOfHeaders,
  identifiersOfMetadata,
  readHeaderLines,
} from '../../src/sip/identifiers.ts';
import { readMetadata } from '../../src/sip/rs-metadata.ts';

const ofHeader = (line: string): string[] =>
  identifiersOfHeaders(readHeaderLines(`INVITE sip:a SIP/2.0\r\n${line}\r\n\r\nX-Body: no`)).map(
    ({ kind, value }) => `${kind} ${value}`,
  );

describe('identifiers of headers', () => {
  it.each<[string, string[]]>([
    ['Call-ID: a84b4c@x', ['sip-call-id a84b4c@x']],
    ['i: a84b4c@x', ['sip-call-id a84b4c@x']],
    [
      'User-to-User: 00FA080001000A5F3B1C2D;encoding=hex',
      ['user-to-user FA080001000A5F3B1C2D', 'ucid 00001000101597709357'],
    ],
    ['User-to-User: plain;purpose=isdn-uui', ['user-to-user plain']],
    [
      'Cisco-Guid: 3135036672-0000065536-0000000017-1091240128',
      [
        'cisco-guid 3135036672-0000065536-0000000017-1091240128',
        'cisco-guid BADCDD00-00010000-00000011-410B00C0',
      ],
    ],
    [
      'Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000',
      ['sip-session-id ab30317f1a784dc48ff824d0d3715d86'],
    ],
    ['Session-ID: ab30;remote=4775', ['sip-session-id ab30', 'sip-session-id 4775']],
    ['x-audc-call-id: 7', ['audiocodes-call-id 7']],
    ['X-Genesys-CallUUID: G1', ['genesys-uuid G1']],
    ['X-BroadWorks-Correlation-Info: 2b', ['broadworks-correlation 2b']],
    [
      'p-rc-api-ids: party-id=p-a-1;session-id=s-a',
      ['p-rc-api-ids party-id=p-a-1;session-id=s-a', 'rc-party-id p-a-1', 'rc-session-id s-a'],
    ],
    ['P-Charging-Vector: icid-value="abc";icid-generated-at=1.2.3.4', ['icid abc']],
    [
      'From: <sip:1@x;x-nearend;x-refci=25;x-farendrefci=26>;tag=1',
      ['cisco-refci 25', 'cisco-farendrefci 26'],
    ],
    ['X-Ticket:\r\n folded-77', ['x-ticket folded-77']],
    ['X-AC-Action: start', []],
    ['Subject: none', []],
  ])('%s', (line, expected) => {
    expect(ofHeader(line)).toEqual(expected);
  });
});

/** Names that every object of JavaScript knows. */
const INHERITED = ['constructor', 'toString', 'valueOf', 'hasOwnProperty', '__proto__'];

it.each(INHERITED)('a header or an extension named %s is one like any other', (name) => {
  expect(ofHeader(`${name}: 12`)).toEqual([]);
  const found = identifiersOfMetadata(
    readMetadata(
      `<recording><session session_id="s1"><extensiondata><x:${name}>abc</x:${name}></extensiondata></session></recording>`,
    ),
  );
  expect(found.filter(({ kind, value }) => typeof kind !== 'string' || typeof value !== 'string')).toEqual(
    [],
  );
});

describe('identifiers of metadata', () => {
  it('takes sessions, groups and vendors’ ids, and leaves alone what tells who', () => {
    const found = identifiersOfMetadata(
      readMetadata(`<recording xmlns:apkt="a" xmlns:ac="b" xmlns:jb="c">
        <group group_id="urn:uuid:7ab"><callData><fromhdr>sip:1@x</fromhdr><callid>c1</callid><gcid>g7</gcid></callData></group>
        <session session_id="s1"><sipSessionID>l1;remote=r1</sipSessionID><extensiondata>
          <apkt:ucid>00FA080001000A5F3B1C2D;encoding=hex</apkt:ucid><apkt:callerOrig>true</apkt:callerOrig>
          <ac:AvayaUCID>00001</ac:AvayaUCID><ac:GenesysUUID>G2</ac:GenesysUUID>
          <jb:callsid>j-1</jb:callsid><jb:callednumber>2002</jb:callednumber><jb:direction>inbound</jb:direction>
        </extensiondata></session>
        <broadWorksRecordingMetadata><extTrackingID>12:1</extTrackingID><callID>callhalf-1:0</callID></broadWorksRecordingMetadata>
      </recording>`),
    ).map(({ kind, value }) => `${kind} ${value}`);
    expect(found.toSorted()).toEqual(
      [
        'siprec-session-id s1',
        'sip-session-id l1',
        'sip-session-id r1',
        'siprec-group-id urn:uuid:7ab',
        'siprec-group-id 7ab',
        'callid c1',
        'gcid g7',
        'ucid FA080001000A5F3B1C2D',
        'ucid 00001000101597709357',
        'ucid 00001',
        'genesys-uuid G2',
        'jb:callsid j-1',
        'broadworks-tracking-id 12:1',
        'callid callhalf-1:0',
      ].toSorted(),
    );
  });
});

describe('IdentifierSet', () => {
  it('keeps each once, in order, none that is empty or too long, and no more than its bound', () => {
    const set = new IdentifierSet();
    expect(
      set.add([
        { kind: 'a', value: '1' },
        { kind: 'a', value: '1' },
        { kind: 'b', value: '' },
        { kind: 'c', value: 'x'.repeat(513) },
      ]),
    ).toBe(true);
    expect(set.add([{ kind: 'a', value: '1' }])).toBe(false);
    set.add(Array.from({ length: 200 }, (_, index) => ({ kind: 'n', value: String(index) })));
    expect(set.all).toHaveLength(IdentifierSet.SIZE_MAX);
    expect(set.all[0]).toEqual({ kind: 'a', value: '1' });
  });
});
