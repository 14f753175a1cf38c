import fc from 'fast-check';
import { expect, test } from 'vitest';

import { shareWordTimes } from '../../src/sample/word-times.ts';

test('a syllable more is so much more time, and a comma pauses for half of one', () => {
  // 2 + 0.5 + 1 + 1 syllables share 900 ms.
  expect(shareWordTimes('好的， 我 查。', 900)).toEqual([
    { text: '好的', punctuation: '，', beginMs: 0, endMs: 400 },
    { text: '我', punctuation: '', beginMs: 500, endMs: 700 },
    { text: '查', punctuation: '。', beginMs: 700, endMs: 900 },
  ]);
});

test.each(['', ' ', '您好 ', '，', '您 好 ？'])('%j is no list of words', (words) => {
  expect(() => shareWordTimes(words, 100)).toThrow(RangeError);
});

test('words fill the sentence in order, whatever its length', () => {
  const word = fc.tuple(fc.constantFrom('您', '话费', '30GB', '128'), fc.constantFrom('', '，', '。'));
  fc.assert(
    fc.property(
      fc.array(word, { minLength: 1 }),
      fc.integer({ min: 0, max: 60_000 }),
      (words, durationMs) => {
        const timed = shareWordTimes(words.map((parts) => parts.join('')).join(' '), durationMs);
        expect(timed).toHaveLength(words.length);
        expect(timed[0]?.beginMs).toBe(0);
        expect(timed.at(-1)?.endMs).toBe(durationMs);
        const times = timed.flatMap(({ beginMs, endMs }) => [beginMs, endMs]);
        expect(times).toEqual([...times].sort((a, b) => a - b));
      },
    ),
  );
});
