import { describe, expect, it } from 'vitest';

import type { CallscribeError } from '../../src/errors.ts';
import { matchParties } from '../../src/sip/parties.ts';
import { METADATA_CHARACTERS_MAX, readMetadata } from '../../src/sip/rs-metadata.ts';

const RFC7865 = `<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
  <datamode>complete</datamode>
  <group group_id="g1"><associate-time>2026-11-22T08:00:00Z</associate-time></group>
  <session session_id="s1"><sipSessionID>ab30317f;remote=47755a9d</sipSessionID><group-ref>g1</group-ref></session>
  <participant participant_id="p1">
    <nameID aor="sip:1001@example.com"><name xml:lang="zh">张伟</name></nameID>
    <x:extensiondata xmlns:x="urn:example"><x:role>agent</x:role></x:extensiondata>
  </participant>
  <participant participant_id="p2"><nameID aor="sip:+8613800000000@example.com"/></participant>
  <stream stream_id="st1" session_id="s1"><label>96</label></stream>
  <stream stream_id="st2" session_id="s1"><label>97</label></stream>
  <participantstreamassoc participant_id="p1"><send>st1</send><recv>st2</recv></participantstreamassoc>
  <participantstreamassoc participant_id="p2"><send>st2</send><recv>st1</recv></participantstreamassoc>
</recording>`;

describe('readMetadata', () => {
  it('reads the graph of RFC 7865', () => {
    const metadata = readMetadata(RFC7865);
    expect(metadata.participants).toEqual([
      { id: 'p1', name: '张伟', aor: 'sip:1001@example.com', role: 'agent' },
      { id: 'p2', name: undefined, aor: 'sip:+8613800000000@example.com', role: undefined },
    ]);
    expect(metadata.streams).toEqual([
      { id: 'st1', label: '96' },
      { id: 'st2', label: '97' },
    ]);
    expect(metadata.identifiers).toEqual([
      { kind: 'siprec-session-id', value: 's1' },
      { kind: 'sip-session-id', value: 'ab30317f;remote=47755a9d' },
      { kind: 'siprec-group-id', value: 'g1' },
    ]);
    expect(metadata).toMatchObject({ dataMode: 'complete', repaired: false });
  });

  it('reads prefixed elements, ids as `id`, inline <send>, the older root and a vendor id', () => {
    const metadata = readMetadata(`
<tns:recording_metadata xmlns:tns="urn:ietf:params:xml:ns:siprec"><tns:dataMode>Partial</tns:dataMode>
<tns:session id="s9"><tns:extensiondata><apkt:ucid xmlns:apkt="http://acmepacket.com/siprec/extensiondata">00FA080000185B7B;encoding=hex</apkt:ucid></tns:extensiondata></tns:session>
<tns:participant id="p1"><tns:aor>sip:1@x</tns:aor><tns:send><tns:id>a</tns:id></tns:send></tns:participant>
<tns:stream id="a"><tns:label>1</tns:label></tns:stream></tns:recording_metadata>`);
    expect(metadata.dataMode).toBe('partial');
    expect(metadata.identifiers).toEqual([
      { kind: 'siprec-session-id', value: 's9' },
      { kind: 'ucid', value: '00FA080000185B7B' },
    ]);
    expect(metadata.associations).toEqual([{ participantId: 'p1', sends: ['a'], receives: [] }]);
    expect(metadata.participants[0]?.aor).toBe('sip:1@x');
  });

  it('mends unquoted attribute values and bytes behind the end, and says so', () => {
    const metadata = readMetadata(
      '<recording><stream id=a1 session=s><label>5</label></stream></recording>\0\0--b--',
    );
    expect(metadata).toMatchObject({ repaired: true, streams: [{ id: 'a1', label: '5' }] });
  });

  it.each([
    ['text', 'no xml at all'],
    ['another root', '<other/>'],
    ['an unclosed element', '<recording><session></recording>'],
    ['a document type', '<!DOCTYPE recording [<!ENTITY a "b">]><recording>&a;</recording>'],
    ['too much', `<recording>${' '.repeat(METADATA_CHARACTERS_MAX)}x</recording>`],
    ['nothing', ''],
  ])('refuses %s', (_name, xml) => {
    expect(() => readMetadata(xml)).toThrow(
      expect.objectContaining({ code: 'METADATA_MALFORMED' }) as CallscribeError,
    );
  });

  it('survives elements of every kind at the wrong place', () => {
    const metadata = readMetadata(
      '<recording>text<participant/><participant>x</participant><stream><label/></stream><session/></recording>',
    );
    expect(metadata.participants).toHaveLength(2);
    expect(metadata.streams).toEqual([{ id: '', label: undefined }]);
  });
});

describe('matchParties', () => {
  it('takes the sender of the line’s stream', () => {
    const { parties, mapping } = matchParties(readMetadata(RFC7865), ['97', '96']);
    expect(mapping).toBe('metadata');
    expect(parties).toEqual([
      { role: 'unknown', name: undefined, uri: 'sip:+8613800000000@example.com' },
      { role: 'agent', name: '张伟', uri: 'sip:1001@example.com' },
    ]);
  });

  it('takes the only receiver of the other line where nobody sends', () => {
    const xml = RFC7865.replaceAll(/<send>.*?<\/send>/g, '');
    const { parties, mapping } = matchParties(readMetadata(xml), ['96', '97']);
    expect(mapping).toBe('receiver');
    expect(parties[0]?.name).toBe('张伟');
  });

  it('falls back to the order of both lists, then to nothing', () => {
    const xml = RFC7865.replaceAll(/<participantstreamassoc[\s\S]*?<\/participantstreamassoc>/g, '');
    expect(matchParties(readMetadata(xml), ['x', undefined])).toMatchObject({
      mapping: 'positional',
      parties: [{ role: 'agent' }, { role: 'unknown' }],
    });
    expect(matchParties(readMetadata(xml), ['x'])).toMatchObject({
      mapping: 'none',
      parties: [{ role: 'unknown' }],
    });
    expect(matchParties(undefined, ['1', '2'])).toMatchObject({ mapping: 'none' });
  });

  it('calls a line that two participants send mixed', () => {
    const xml = RFC7865.replace('<send>st2</send>', '<send>st1</send>');
    expect(matchParties(readMetadata(xml), ['96']).parties[0]).toMatchObject({ role: 'mixed' });
  });
});
