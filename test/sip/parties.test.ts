import { describe, expect, it } from 'vitest';

import { MetadataHistory, type MetadataView } from '../../src/sip/metadata-history.ts';
import { type LineParty, matchParties, weakestMapping } from '../../src/sip/parties.ts';
import { readMetadata } from '../../src/sip/rs-metadata.ts';
import { readSignalledParties, type SignalledParty } from '../../src/sip/signalled-parties.ts';

const view = (xml: string): MetadataView => {
  const history = new MetadataHistory();
  history.apply(readMetadata(`<recording>${xml}</recording>`), new Date());
  return history.current;
};

const PEOPLE =
  '<participant id="p1"><name>Anna</name></participant><participant id="p2"><name>Bo</name></participant>';
const STREAMS = '<stream id="s1"><label>96</label></stream><stream id="s2"><label>97</label></stream>';
const assoc = (id: string, inner: string): string =>
  `<participantstreamassoc participant_id="${id}">${inner}</participantstreamassoc>`;

const match = (
  xml: string,
  labels: readonly (string | undefined)[],
  signalled: readonly SignalledParty[] = [],
): readonly Pick<LineParty, 'mapping' | 'name' | 'mixed'>[] =>
  matchParties(
    view(xml),
    signalled,
    labels.map((label, index) => ({ index, label })),
  ).map(({ mapping, name, mixed }) => ({ mapping, name, mixed }));

const is = (mapping: LineParty['mapping'], name?: string, mixed = false): object => ({
  mapping,
  name,
  mixed,
});

describe('matchParties', () => {
  it('takes the sender of the line’s stream, whatever the order of lines and participants', () => {
    const xml = PEOPLE + STREAMS + assoc('p1', '<send>s2</send>') + assoc('p2', '<send>s1</send>');
    expect(match(xml, ['97', '96'])).toEqual([is('metadata', 'Anna'), is('metadata', 'Bo')]);
  });

  it('takes the only receiver of the other line where nobody sends', () => {
    const xml = PEOPLE + STREAMS + assoc('p1', '<recv>s2</recv>') + assoc('p2', '<recv>s1</recv>');
    expect(match(xml, ['96', '97'])).toEqual([is('receiver', 'Anna'), is('receiver', 'Bo')]);
  });

  it('goes by the order of streams where labels of metadata and lines have nothing in common', () => {
    const xml = PEOPLE + STREAMS + assoc('p1', '<send>s2</send>') + assoc('p2', '<send>s1</send>');
    expect(match(xml, ['a_leg', 'b_leg'])).toEqual([is('positional', 'Bo'), is('positional', 'Anna')]);
  });

  it('goes by the order of participants where nobody is said to send', () => {
    expect(match(PEOPLE + STREAMS, ['96', undefined])).toEqual([
      is('positional', 'Anna'),
      is('positional', 'Bo'),
    ]);
  });

  it('says nothing where the numbers differ or nothing was told', () => {
    expect(match(PEOPLE, ['1', '2', '3'])).toEqual([is('none'), is('none'), is('none')]);
    expect(match('', ['1', '2'])).toEqual([is('none'), is('none')]);
  });

  it('calls a line mixed that two send, whose stream says so, or that is the only one for two', () => {
    const both = assoc('p1', '<send>s1</send><recv>s1</recv>') + assoc('p2', '<send>s1</send>');
    expect(match(PEOPLE + STREAMS + both, ['96'])).toEqual([is('metadata', undefined, true)]);
    const mode = '<stream id="s1"><label>1</label><mode>mixed</mode></stream>';
    expect(match(PEOPLE + mode + assoc('p1', '<send>s1</send>'), ['1'])).toEqual([
      is('metadata', undefined, true),
    ]);
    expect(match(PEOPLE + STREAMS, [undefined])).toEqual([is('positional', undefined, true)]);
  });

  it('takes what headers say of the lines, and of the only line of a call without metadata', () => {
    const recorded = readSignalledParties([
      { name: 'x-cisco-recording-participant', value: 'sip:2002@cucm;media-index="1"' },
      { name: 'x-cisco-recording-participant', value: '<sip:1001@cucm>;media-index="0"' },
    ]);
    expect(
      matchParties(view(''), recorded, [
        { index: 0, label: undefined },
        { index: 1, label: undefined },
      ]),
    ).toMatchObject([
      { mapping: 'signalled', uri: 'sip:1001@cucm' },
      { mapping: 'signalled', uri: 'sip:2002@cucm' },
    ]);
    const caller = readSignalledParties([
      { name: 'from', value: '"O\\"Brien, Jo" <sip:+49301@x;user=phone>;tag=1' },
    ]);
    expect(match('', [undefined], caller)).toEqual([is('signalled', 'O"Brien, Jo')]);
    expect(match(PEOPLE, ['1', '2'], caller)).toEqual([is('positional', 'Anna'), is('positional', 'Bo')]);
  });
});

describe('readSignalledParties', () => {
  it.each([
    ['<sip:1001@cucm;x-nearend;x-refci=25;x-nearendaddr=1001;x-farendaddr=2002>;tag=9', 'near', '1001'],
    ['<sip:1001@cucm;x-farend;x-refci=25;x-nearendaddr=1001;x-farendaddr=2002>;tag=9', 'far', '2002'],
  ])('tells the end that a phone forks: %s', (from, end, uri) => {
    expect(readSignalledParties([{ name: 'from', value: from }])).toEqual([
      { lineIndex: undefined, name: undefined, uri, end },
    ]);
  });

  it('takes no longer over a value made of blanks', () => {
    const value = `${' '.repeat(60_000)}<${' '.repeat(60_000)}`;
    expect(readSignalledParties([{ name: 'from', value }])).toMatchObject([{ uri: undefined }]);
  });

  it('prefers the asserted identity, and takes an anonymous caller for nobody', () => {
    expect(
      readSignalledParties([
        { name: 'from', value: '<sip:anonymous@anonymous.invalid>;tag=1' },
        { name: 'p-asserted-identity', value: 'tel:+4930123' },
      ]),
    ).toMatchObject([{ uri: 'tel:+4930123' }]);
    expect(
      readSignalledParties([{ name: 'from', value: '<sip:anonymous@anonymous.invalid>' }]),
    ).toMatchObject([{ uri: undefined }]);
    expect(readSignalledParties([])).toEqual([]);
  });
});

describe('weakestMapping', () => {
  it('is the weakest of the lines, none for no line', () => {
    expect(weakestMapping(['metadata', 'positional', 'receiver'])).toBe('positional');
    expect(weakestMapping(['metadata', 'none'])).toBe('none');
    expect(weakestMapping([])).toBe('none');
  });
});
