import { describe, expect, it } from 'vitest';

import { callScript } from '../../src/chaos/script.ts';
import { isFaultless, judge, type StoredLine } from '../../src/chaos/verdict.ts';

const [leg] = callScript(1, 1, 6).legs;
const sentences = leg!.sentences;
const heard = (heardToMs?: number): Parameters<typeof judge>[0] => [{ key: 'a 0', sentences, heardToMs }];
const stored = (): StoredLine[] =>
  sentences.map((sentence, index) => ({ ...sentence, key: 'a 0', sentenceNo: index + 1 }));
/** All of the verdict that is not 0. */
const verdict = (lines: readonly StoredLine[], heardToMs?: number): Record<string, unknown> => {
  const { examples: _, ...counts } = judge(heard(heardToMs), lines);
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
};

describe('what was said, against what was stored', () => {
  it('has nothing to say where all is there, once and in time', () => {
    expect(verdict(stored())).toEqual({ spoken: 6, stored: 6 });
    expect(isFaultless(judge(heard(), stored()))).toBe(true);
  });

  it.each<[string, (lines: StoredLine[]) => StoredLine[], object]>([
    ['a sentence that is not there', (lines) => lines.slice(0, -1), { missing: 1, stored: 5 }],
    [
      'one that is there twice, under a number of its own',
      (lines) => [...lines, { ...lines[5]!, sentenceNo: 7 }],
      { doubled: 1, stored: 7 },
    ],
    [
      'one that is 61 ms late',
      (lines) => lines.map((line, index) => (index === 2 ? { ...line, beginMs: line.beginMs + 61 } : line)),
      { wrongInTime: 1, worstMs: 61 },
    ],
    [
      'one of which not all audio came',
      (lines) =>
        lines.map((line, index) =>
          index === 2 ? { ...line, text: `${line.text} [caption damaged]` } : line,
        ),
      { missing: 1, damaged: 1 },
    ],
    [
      'one that another leg said',
      (lines) => [
        ...lines,
        { ...lines[5]!, sentenceNo: 7, text: 'of another leg', beginMs: 99_000, endMs: 99_500 },
      ],
      { strange: 1, stored: 7 },
    ],
    [
      'numbers that do not go by time',
      (lines) => lines.map((line) => ({ ...line, sentenceNo: 7 - line.sentenceNo })),
      { misnumbered: 1 },
    ],
  ])('finds %s', (_, change, expected) => {
    const lines = change(stored());
    expect(verdict(lines)).toEqual({ spoken: 6, stored: 6, ...expected });
    expect(isFaultless(judge(heard(), lines))).toBe(false);
  });

  it('does not blame the service for audio that came too late', () => {
    const lines = stored().map((line, index) =>
      index === 2 ? { ...line, text: `${line.text} [caption damaged]` } : line,
    );
    const late = (lateMs: number): Parameters<typeof judge>[0] => [{ key: 'a 0', sentences, lateMs }];
    expect(judge(late(100), lines)).toMatchObject({
      spoken: 6,
      starved: 1,
      missing: 0,
      damaged: 0,
      strange: 0,
    });
    // No more than what was late is put down to it.
    expect(judge(late(100), lines.slice(0, 2))).toMatchObject({ starved: 0, missing: 4 });
    const shifted = (byMs: number): StoredLine[] =>
      stored().map((line, index) => (index === 2 ? { ...line, endMs: line.endMs + byMs } : line));
    expect(judge(late(100), shifted(160))).toMatchObject({ starved: 1, wrongInTime: 0 });
    expect(judge(late(100), shifted(161))).toMatchObject({ starved: 0, wrongInTime: 1 });
  });

  it('finds a leg that nobody spoke on', () => {
    expect(judge(heard(), [...stored(), { ...stored()[0]!, key: 'b 0' }])).toMatchObject({ strange: 1 });
  });
});

describe('where the intake was killed', () => {
  // In the middle of the fourth sentence.
  const killedMs = (sentences[3]!.beginMs + sentences[3]!.endMs) / 2;

  it('wants what was heard to its end, and nothing of what came later', () => {
    expect(verdict(stored().slice(0, 3), killedMs)).toEqual({ spoken: 3, stored: 3, cut: 1, unheard: 2 });
    expect(verdict(stored().slice(0, 2), killedMs)).toMatchObject({ missing: 1 });
  });

  it.each(['[speech 0.4 s, caption damaged]', `${sentences[3]!.text} [caption damaged]`])(
    'takes a rest of the sentence that it cut: %s',
    (text) => {
      const { beginMs } = sentences[3]!;
      const rest = { key: 'a 0', sentenceNo: 4, text, beginMs: beginMs + 10, endMs: Math.floor(killedMs) };
      expect(verdict([...stored().slice(0, 3), rest], killedMs)).toEqual({
        spoken: 3,
        stored: 4,
        cut: 1,
        unheard: 2,
      });
    },
  );

  it('takes no second rest of it, and none elsewhere', () => {
    const rest = { ...stored()[3]!, text: `${sentences[3]!.text} [caption damaged]` };
    const lines = [...stored().slice(0, 3), rest, { ...rest, sentenceNo: 5 }];
    expect(verdict(lines, killedMs)).toMatchObject({ doubled: 1 });
    const early = { ...rest, sentenceNo: 5, text: '[speech 0.3 s]', beginMs: 0, endMs: 100 };
    expect(verdict([...stored().slice(0, 3), rest, early], killedMs)).toMatchObject({ strange: 1 });
  });
});
