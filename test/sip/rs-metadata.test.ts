import { describe, expect, it } from 'vitest';

import type { CallscribeError } from '../../src/errors.ts';
import { METADATA_CHARACTERS_MAX } from '../../src/sip/metadata-xml.ts';
import { readMetadata } from '../../src/sip/rs-metadata.ts';

const RFC7865 = `<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
  <datamode>complete</datamode>
  <group group_id="g1"><associate-time>2026-11-22T08:00:00Z</associate-time></group>
  <session session_id="s1"><sipSessionID>ab30317f;remote=47755a9d</sipSessionID><group-ref>g1</group-ref>
    <start-time>2026-11-22T08:00:00+0100</start-time></session>
  <participant participant_id="p1">
    <nameID aor="sip:1001@example.com"><name xml:lang="zh">&#x5f20;伟 &amp; co</name></nameID>
    <x:extensiondata xmlns:x="urn:example"><x:role>agent</x:role></x:extensiondata>
  </participant>
  <participant participant_id="p2"><nameID aor="+8613800000000@example.com"/></participant>
  <stream stream_id="st1" session_id="s1"><label>96</label></stream>
  <stream stream_id="st2" session_id="s1"><label>97</label><mode>Mixed</mode></stream>
  <participantsessionassoc participant_id="p1" session_id="s1">
    <associate-time>2026-11-22T08:00:01.5Z</associate-time></participantsessionassoc>
  <participantstreamassoc participant_id="p1"><send>st1</send><recv>st2</recv></participantstreamassoc>
  <participantstreamassoc participant_id="p2"><send>st2</send><recv>st1</recv></participantstreamassoc>
</recording>`;

describe('readMetadata', () => {
  it('reads the graph of RFC 7865', () => {
    const metadata = readMetadata(RFC7865);
    expect(metadata.participants).toEqual([
      { id: 'p1', name: '张伟 & co', aor: 'sip:1001@example.com', extensions: { 'x:role': 'agent' } },
      { id: 'p2', name: undefined, aor: 'sip:+8613800000000@example.com', extensions: {} },
    ]);
    expect(metadata.streams).toEqual([
      { id: 'st1', label: '96', mode: undefined },
      { id: 'st2', label: '97', mode: 'mixed' },
    ]);
    expect(metadata.associations).toMatchObject([
      { participantId: 'p1', sends: ['st1'], receives: ['st2'] },
      { participantId: 'p2', sends: ['st2'], receives: ['st1'] },
    ]);
    expect(metadata.memberships).toEqual([
      {
        participantId: 'p1',
        sessionId: 's1',
        associatedAt: new Date('2026-11-22T08:00:01.500Z'),
        disassociatedAt: undefined,
      },
    ]);
    expect(metadata.sessions).toMatchObject([
      { id: 's1', sipSessionId: 'ab30317f;remote=47755a9d', startedAt: new Date('2026-11-22T07:00:00Z') },
    ]);
    expect(metadata).toMatchObject({ groupIds: ['g1'], dataMode: 'complete', repaired: false });
  });

  it('reads prefixed elements, ids as `id`, inline <send>, the older root and extensions', () => {
    const metadata = readMetadata(`
<tns:recording_metadata xmlns:tns="urn:ietf:params:xml:ns:siprec"><tns:dataMode>Partial</tns:dataMode>
<tns:session id="s9"><tns:extensiondata><apkt:ucid xmlns:apkt="http://acmepacket.com/siprec/extensiondata">00FA08;encoding=hex</apkt:ucid></tns:extensiondata></tns:session>
<tns:participant id="p1"><tns:aor>1@x</tns:aor><tns:send><tns:id>a</tns:id></tns:send></tns:participant>
<tns:stream id="a"><tns:label>1</tns:label></tns:stream>
<broadWorksRecordingMetadata xmlns="urn:bw"><extTrackingID>1:2</extTrackingID><callType><origCall/></callType></broadWorksRecordingMetadata>
</tns:recording_metadata>`);
    expect(metadata.dataMode).toBe('partial');
    expect(metadata.extensions).toEqual({
      'apkt:ucid': '00FA08;encoding=hex',
      exttrackingid: '1:2',
      calltype: 'origcall',
    });
    expect(metadata.associations).toMatchObject([{ participantId: 'p1', sends: ['a'], receives: [] }]);
    expect(metadata.participants[0]?.aor).toBe('sip:1@x');
  });

  it.each([
    [
      'attribute values without quotes',
      '<recording><stream id=a/1== x="b c=d" ><label>5</label></stream></recording>',
    ],
    [
      'bytes behind the end',
      '<recording><stream id="a/1=="><label>5</label></stream></recording>\0\0--b-- <x',
    ],
    [
      'bytes before the begin',
      '\u0001 garbage <?xml version="1.0"?><recording><stream id="a/1=="><label>5</label></stream></recording>',
    ],
    ['bare ampersands', '<recording><stream id="a/1=="><label>5</label></stream><x>A & B</x></recording>'],
  ])('mends %s, and says so', (_name, xml) => {
    expect(readMetadata(xml)).toMatchObject({ repaired: true, streams: [{ id: 'a/1==', label: '5' }] });
  });

  it('tells participants and streams without ids apart', () => {
    const metadata = readMetadata(`<recording><participant id=""><aor>sip:a@x</aor></participant>
      <participant><name>Bo</name></participant><participant/><stream stream_id=""><label>10</label></stream>
      <stream stream_id=""><label>20</label></stream></recording>`);
    expect(metadata.participants.map(({ id }) => id)).toEqual(['sip:a@x', 'Bo', '#3']);
    expect(metadata.streams.map(({ id }) => id)).toEqual(['#1', '#2']);
  });

  it.each([
    ['2026-11-22T08:00:00', 'unclear'],
    ['1970-01-01T00:00:00Z', 'unclear'],
    ['soon', 'unclear'],
    ['2026-11-22T08:00:00+0000', new Date('2026-11-22T08:00:00Z')],
    ['2026-11-22 08:00:00.1234567-05:30', new Date('2026-11-22T13:30:00.123Z')],
    ['2026-02-31T25:00:00Z', 'unclear'],
  ])('reads the time %s', (text, expected) => {
    const xml = `<recording><session><start-time>${text}</start-time></session></recording>`;
    expect(readMetadata(xml).sessions[0]?.startedAt).toEqual(expected);
  });

  it.each([
    ['text', 'no xml at all'],
    ['another root', '<other/>'],
    ['an unclosed element', '<recording><session></recording>'],
    ['a document type', '<!DOCTYPE recording [<!ENTITY a "b">]><recording>&a;</recording>'],
    ['too much', `<recording>${' '.repeat(METADATA_CHARACTERS_MAX)}x</recording>`],
    ['nesting without end', `<recording>${'<a>'.repeat(9_000)}${'</a>'.repeat(9_000)}</recording>`],
    ['nothing', ''],
  ])('refuses %s', (_name, xml) => {
    expect(() => readMetadata(xml)).toThrow(
      expect.objectContaining({ code: 'METADATA_MALFORMED' }) as CallscribeError,
    );
  });

  it('survives elements of every kind at the wrong place, and bounds their number', () => {
    const metadata = readMetadata(
      `<recording>text<participant/><participant>x</participant><stream><label/></stream><session/>${'<stream/>'.repeat(500)}</recording>`,
    );
    expect(metadata.participants).toHaveLength(2);
    expect(metadata.streams[0]).toEqual({ id: '#1', label: undefined, mode: undefined });
    expect(metadata.streams).toHaveLength(128);
  });
});
