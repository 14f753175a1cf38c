import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { toJson } from '../../src/queue/json.ts';

describe('toJson', () => {
  it.each([
    ['a time', new Date('2026-03-01T08:00:00.5Z'), '2026-03-01T08:00:00.500Z'],
    ['a time that is none', new Date(Number.NaN), null],
    ['nothing', undefined, null],
    ['a number that is none', Number.NaN, null],
    ['a big number', 12n, '12'],
    ['a function', () => 1, null],
    ['a zero byte', 'a\0b', 'a\uFFFDb'],
    ['the second half of a pair', '\ude00!', '\uFFFD!'],
    ['the first half of a pair', '!\ud83d', '!\uFFFD'],
    ['a whole pair', '😀您', '😀您'],
    ['names of fields too', { 'a\0': [undefined] }, { 'a\uFFFD': [null] }],
  ])('turns %s into what Postgres takes', (_, value, expected) => {
    expect(toJson(value)).toEqual(expected);
  });

  it('leaves JSON as it is, apart from what Postgres refuses', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        // -0 is 0 in JSON.
        fc.pre(!/\\u0000|\\ud[89a-f]/i.test(text));
        expect(JSON.stringify(toJson(value))).toBe(text);
      }),
    );
  });
});
