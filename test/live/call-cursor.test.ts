import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { newCallId, newLegId } from '../../src/ids.ts';
import { CallCursor, type CallRows } from '../../src/live/call-cursor.ts';
import { callView, eventView, type LiveItem, sentenceView } from '../../src/live/items.ts';
import { readPosition, START, writePosition } from '../../src/live/position.ts';
import { aCall, anEvent, aSentence, finishing } from '../support/facts.ts';

const callId = newCallId();
const legIds = [newLegId(callId), newLegId(callId)];
const COUNTS = [12, 7];
const EVENTS = 5;
const call = aCall({ id: callId });
const ended = finishing(call, COUNTS);

const sentences = COUNTS.flatMap((count, legNo) =>
  Array.from({ length: count }, (_, index) =>
    sentenceView(
      callId,
      { ...aSentence({ callId, legId: legIds[legNo]!, sentenceNo: index + 1 }), legNo },
      'agent',
    ),
  ),
);
const events = Array.from({ length: EVENTS }, (_, index) =>
  eventView(callId, anEvent({ callId, eventNo: index + 1 })),
);
const items: readonly LiveItem[] = [
  ...sentences.map((data) => ({ type: 'sentence.final', data }) as const),
  ...events.map((data) => ({ type: 'call.event', data }) as const),
];

/** What the tables hold after the cursor's position, of what was committed so far. */
function rowsAfter(
  cursor: CallCursor,
  committed: ReadonlySet<number>,
  state: 'active' | 'complete',
): CallRows {
  const { eventNo, sentenceNos } = cursor.position;
  const stored = items.filter((_, index) => committed.has(index));
  return {
    call: { ...callView(ended, ended.legs), state },
    sentences: stored.flatMap(({ type, data }) =>
      type === 'sentence.final' && data.sentence_no > (sentenceNos.get(data.leg_no) ?? 0) ? [data] : [],
    ),
    events: stored.flatMap(({ type, data }) =>
      type === 'call.event' && data.event_no > eventNo ? [data] : [],
    ),
    hasMore: false,
  };
}

/** Each leg's sentences, and the events, in the order in which they were given out. */
function numbersOf(given: readonly LiveItem[]): readonly (readonly number[])[] {
  return [0, 1, 'events'].map((lane) =>
    given.flatMap(({ type, data }) => {
      if (type === 'call.event') return lane === 'events' ? [data.event_no] : [];
      return type === 'sentence.final' && data.leg_no === lane ? [data.sentence_no] : [];
    }),
  );
}

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index + 1);
const ALL = [...COUNTS, EVENTS].map(upTo);

describe('a place in a call', () => {
  it('gives everything once and in order, whatever was lost, late or double, and whenever rows were read', () => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({ kind: fc.constant('hear' as const), index: fc.nat(items.length - 1) }),
      },
      {
        weight: 4,
        arbitrary: fc.record({ kind: fc.constant('commit' as const), index: fc.nat(items.length - 1) }),
      },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('read' as const), index: fc.constant(0) }) },
      // The connection is cut, and the client comes back with the last id that it had.
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), index: fc.constant(0) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        let cursor = new CallCursor(START);
        const committed = new Set<number>();
        const given: LiveItem[] = [];
        for (const { kind, index } of steps) {
          if (kind === 'hear') given.push(...cursor.accept(items[index]!));
          if (kind === 'commit') committed.add(index);
          if (kind === 'read') given.push(...cursor.fill(rowsAfter(cursor, committed, 'active')));
          if (kind === 'cut') cursor = new CallCursor(readPosition(writePosition(cursor.position))!);
          for (const [lane, numbers] of numbersOf(given).entries()) {
            expect(numbers).toEqual(ALL[lane]!.slice(0, numbers.length));
          }
        }
        for (const index of items.keys()) committed.add(index);
        given.push(...cursor.fill(rowsAfter(cursor, committed, 'complete')));
        expect(numbersOf(given)).toEqual(ALL);
        expect(given.at(-1)).toMatchObject({ type: 'call', data: { state: 'complete' } });
        expect(cursor.hasEnded).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('wants the rows read while a sentence is known to be missing, and not when all is there', () => {
    const cursor = new CallCursor(START);
    expect(cursor.isBehind).toBe(true);
    cursor.fill(rowsAfter(cursor, new Set(items.keys()), 'active'));
    expect(cursor.isBehind).toBe(false);
    const partial = {
      call_id: callId,
      leg_id: legIds[0]!,
      leg_no: 0,
      role: 'agent',
      begin_ms: 0,
      text: '…',
    } as const;
    const ofNo = (sentence_no: number): LiveItem => ({
      type: 'sentence.partial',
      data: { ...partial, sentence_no },
    });
    expect(cursor.accept(ofNo(13))).toHaveLength(1);
    expect(cursor.isBehind).toBe(false);
    expect(cursor.accept(ofNo(12))).toHaveLength(0);
    cursor.accept(ofNo(15));
    expect(cursor.isBehind).toBe(true);
  });

  it('knows by the end of a leg how many sentences there are', () => {
    const cursor = new CallCursor(START);
    cursor.fill({ ...rowsAfter(cursor, new Set(), 'active'), call: callView(call, call.legs) });
    expect(cursor.isBehind).toBe(false);
    cursor.accept({ type: 'call', data: callView(ended, ended.legs) });
    expect(cursor.isBehind).toBe(true);
  });

  it('passes a number of an event that will never come, and every hole of a call that is complete', () => {
    const cursor = new CallCursor(START);
    const without = (nos: readonly number[]): Set<number> =>
      new Set([...items.keys()].filter((index) => !nos.includes(index)));
    const third = COUNTS[0]! + COUNTS[1]! + 2;
    const given = [...cursor.fill(rowsAfter(cursor, without([third, 4]), 'active'))];
    expect(numbersOf(given)).toEqual([upTo(4), upTo(7), [1, 2]]);
    given.push(...cursor.passEventHole());
    expect(numbersOf(given)[2]).toEqual([1, 2, 4, 5]);
    given.push(...cursor.fill(rowsAfter(cursor, without([third, 4]), 'complete')));
    expect(numbersOf(given)[0]).toEqual([1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12]);
    expect(cursor.hasEnded).toBe(true);
  });
});

describe('a position as text', () => {
  it('is read as it was written', () => {
    const numbers = fc.nat(999_999_999);
    fc.assert(
      fc.property(numbers, fc.array(fc.tuple(numbers, numbers), { maxLength: 20 }), (eventNo, legs) => {
        const position = { eventNo, sentenceNos: new Map(legs) };
        expect(readPosition(writePosition(position))).toEqual(position);
      }),
    );
  });

  it.each(['', 'x', '1;', '1;2', '-1', '01', '1;0:1;', '1;0:1;end', '1'.repeat(3_000)])(
    'is not %j',
    (text) => {
      expect(readPosition(text)).toBeUndefined();
    },
  );
});
