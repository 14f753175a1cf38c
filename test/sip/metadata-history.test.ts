import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { MetadataHistory } from '../../src/sip/metadata-history.ts';
import { readMetadata } from '../../src/sip/rs-metadata.ts';

const at = (minute: number): Date => new Date(Date.UTC(2026, 10, 22, 8, minute));
const document = (mode: 'complete' | 'partial', inner: string): ReturnType<typeof readMetadata> =>
  readMetadata(`<recording><datamode>${mode}</datamode>${inner}</recording>`);
const person = (id: string, name = id): string =>
  `<participant id="${id}"><name>${name}</name></participant>`;
const assoc = (id: string, inner = ''): string =>
  `<participantstreamassoc participant_id="${id}">${inner}</participantstreamassoc>`;
const session = (id: string, inner = ''): string =>
  `<participantsessionassoc participant_id="${id}" session_id="s">${inner}</participantsessionassoc>`;
const STREAMS = '<stream id="s1"><label>1</label></stream><stream id="s2"><label>2</label></stream>';
const TWO =
  person('a') +
  person('b') +
  STREAMS +
  assoc('a', '<send>s1</send><recv>s2</recv>') +
  assoc('b', '<send>s2</send>');

const kinds = (changes: ReturnType<MetadataHistory['apply']>): string[] =>
  changes.map((change) =>
    'participant' in change ? `${change.kind} ${change.participant.id}` : `${change.kind} ${change.streamId}`,
  );

function after(...documents: ReturnType<typeof readMetadata>[]): {
  history: MetadataHistory;
  last: string[];
} {
  const history = new MetadataHistory();
  let last: string[] = [];
  for (const [index, each] of documents.entries()) last = kinds(history.apply(each, at(index)));
  return { history, last };
}

describe('MetadataHistory', () => {
  it('says nothing of a document that repeats what is known', () => {
    const { history, last } = after(
      document('complete', TWO),
      document('complete', TWO),
      document('partial', TWO),
    );
    expect(last).toEqual([]);
    expect(history.toRecord()['sendings']).toHaveLength(2);
  });

  it('replaces by `complete`: who is not named any more has left, and stays in the history', () => {
    const { history, last } = after(
      document('complete', TWO),
      document(
        'complete',
        person('a') + person('c') + STREAMS + assoc('a', '<send>s1</send>') + assoc('c', '<send>s2</send>'),
      ),
    );
    expect(last.toSorted()).toEqual(['joined c', 'left b']);
    expect(history.current.participants.map(({ id }) => id)).toEqual(['a', 'c']);
    expect(history.toRecord()).toMatchObject({
      documents: 2,
      participants: [
        { id: 'a', presences: [{ beganAt: at(0), endedAt: undefined }] },
        { id: 'b', presences: [{ beganAt: at(0), endedAt: at(1) }] },
        { id: 'c', presences: [{ beganAt: at(1), endedAt: undefined }] },
      ],
      sendings: [
        { participantId: 'a', streamId: 's1', label: '1', beganAt: at(0), endedAt: undefined },
        { participantId: 'b', streamId: 's2', label: '2', beganAt: at(0), endedAt: at(1) },
        { participantId: 'c', streamId: 's2', label: '2', beganAt: at(1), endedAt: undefined },
      ],
    });
  });

  it('merges `partial` by id: names are completed, others are left alone', () => {
    const { history, last } = after(
      document('complete', TWO),
      document('partial', person('b', 'Bo') + person('c')),
    );
    expect(last).toEqual(['renamed b', 'joined c']);
    expect(history.current.participants.map(({ id, name }) => `${id} ${name ?? ''}`)).toEqual([
      'a a',
      'b Bo',
      'c c',
    ]);
    expect(history.current.associations[0]).toEqual({ participantId: 'a', sends: ['s1'], receives: ['s2'] });
  });

  it('takes the times of joining and leaving from the document, where they can be used', () => {
    const history = new MetadataHistory();
    const joined = history.apply(
      document(
        'partial',
        person('a') + session('a', '<associate-time>2026-11-22T07:59:30Z</associate-time>'),
      ),
      at(0),
    );
    expect(joined).toMatchObject([{ kind: 'joined', at: new Date('2026-11-22T07:59:30Z') }]);
    const left = history.apply(
      document('partial', session('a', '<disassociate-time>2026-11-22T08:03:00Z</disassociate-time>')),
      at(4),
    );
    expect(left).toMatchObject([{ kind: 'left', at: at(3) }]);
    const again = history.apply(
      document('partial', session('a', '<associate-time>1970-01-01T00:00:00Z</associate-time>')),
      at(6),
    );
    expect(again).toMatchObject([{ kind: 'joined', at: at(6) }]);
    expect(history.toRecord().participants[0]?.presences).toEqual([
      { beganAt: new Date('2026-11-22T07:59:30Z'), endedAt: at(3) },
      { beganAt: at(6), endedAt: undefined },
    ]);
  });

  it('reads an association without <send> as a hold, with it again as the end of the hold', () => {
    const { history, last } = after(
      document('complete', TWO),
      document('partial', assoc('b', '<recv>s1</recv>')),
    );
    expect(last).toEqual(['held s2']);
    expect(kinds(history.apply(document('partial', assoc('b', '<recv>s1</recv>')), at(2)))).toEqual([]);
    expect(kinds(history.apply(document('partial', assoc('b', '<send>s2</send>')), at(3)))).toEqual([
      'resumed s2',
    ]);
    expect(history.toRecord()['sendings']).toMatchObject([
      { participantId: 'a', endedAt: undefined },
      { participantId: 'b', beganAt: at(0), endedAt: at(1) },
      { participantId: 'b', beganAt: at(3), endedAt: undefined },
    ]);
  });

  it.each([
    [
      'associations that were empty from the beginning',
      document('complete', person('a') + STREAMS + assoc('a')),
      document('complete', person('a') + STREAMS + assoc('a')),
    ],
    [
      'associations that a document leaves out',
      document('complete', TWO),
      document('complete', person('a') + person('b') + STREAMS),
    ],
    [
      'a stream that another one sends on',
      document('complete', TWO),
      document('partial', assoc('a') + assoc('b', '<send>s1</send><send>s2</send>')),
    ],
  ])('takes for no hold: %s', (_name, first, second) => {
    expect(after(first, second).last).toEqual([]);
  });

  it('takes a sender who leaves for no hold', () => {
    const gone = session('b', '<disassociate-time>2026-11-22T08:01:00Z</disassociate-time>') + assoc('b');
    expect(after(document('complete', TWO), document('partial', gone)).last).toEqual(['left b']);
  });

  it('is bounded, and counts what it does not keep', () => {
    const history = new MetadataHistory();
    for (let round = 0; round < 300; round++) {
      history.apply(
        document('complete', person(`p${round}`) + `<stream id="s"/>` + assoc(`p${round}`, '<send>s</send>')),
        at(0),
      );
    }
    expect(history.toRecord().participants).toHaveLength(128);
    expect(history.toRecord()['dropped']).toBeGreaterThan(0);
  });

  it('keeps its books whatever comes: presences follow each other, and who is there has one that is open', () => {
    const ids = fc.subarray(['a', 'b', 'c', 'd']);
    const step = fc.record({
      mode: fc.constantFrom('complete' as const, 'partial' as const),
      there: ids,
      gone: ids,
      sends: fc.array(
        fc.record({ id: fc.constantFrom('a', 'b', 'c'), stream: fc.constantFrom('s1', 's2', '') }),
        { maxLength: 4 },
      ),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const history = new MetadataHistory();
        for (const [index, { mode, there, gone, sends }] of steps.entries()) {
          const inner =
            there.map((id) => person(id)).join('') +
            gone.map((id) => session(id, '<disassociate-time>x</disassociate-time>')).join('') +
            sends.map(({ id, stream }) => assoc(id, stream === '' ? '' : `<send>${stream}</send>`)).join('');
          const each = document(mode, STREAMS + inner);
          history.apply(each, at(index));
          expect(history.apply(each, at(index))).toEqual([]);
        }
        const present = new Set(history.current.participants.map(({ id }) => id));
        for (const { id, presences } of history.toRecord().participants) {
          const open = presences.filter(({ endedAt }) => endedAt === undefined);
          expect(open).toHaveLength(present.has(id) ? 1 : 0);
          for (const [index, { beganAt, endedAt }] of presences.entries()) {
            expect(endedAt === undefined || endedAt >= beganAt).toBe(true);
            const next = presences[index + 1];
            expect(next === undefined || (endedAt !== undefined && next.beganAt >= endedAt)).toBe(true);
          }
        }
      }),
      { seed: 7865, numRuns: 300 },
    );
  });
});
