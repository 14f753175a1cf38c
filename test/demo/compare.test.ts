import { describe, expect, test } from 'vitest';

import { compareWithScript, type ReadBack } from '../../src/demo/compare.ts';
import { comparisonLines } from '../../src/demo/comparison-text.ts';
import { loadSampleScript, type SampleScript, type ScriptSentence } from '../../src/sample/sample.ts';

const sentence = (party: 'agent' | 'customer', text: string, beginMs: number): ScriptSentence => ({
  party,
  text,
  beginMs,
  endMs: beginMs + 1_000,
  words: [],
});

const script: SampleScript = {
  durationMs: 10_000,
  legs: [
    { party: 'agent', codec: 'PCMA', file: 'a' },
    { party: 'customer', codec: 'PCMU', file: 'c' },
  ],
  sentences: [
    sentence('agent', '您好。', 500),
    sentence('customer', '你好。', 2_000),
    sentence('agent', '好的。', 3_500),
    sentence('agent', '再见！', 6_000),
  ],
};

const legNoOf = { agent: 0, customer: 1 } as const;
const faithful = (source: SampleScript): ReadBack[] =>
  source.sentences.map(({ party, text, beginMs, endMs }) => ({
    legNo: legNoOf[party],
    role: party,
    beginMs,
    endMs,
    text,
  }));
/** What a perfect run stores, with one sentence changed. */
const changed = (index: number, change: Partial<ReadBack>): ReadBack[] =>
  faithful(script).map((stored, at) => (at === index ? { ...stored, ...change } : stored));

test('what was stored as it was said is equal, in whatever order it is given', async () => {
  const sample = await loadSampleScript();
  const comparison = compareWithScript(sample, faithful(sample).reverse());
  expect(comparison).toMatchObject({ verdict: 'equal', exact: sample.sentences.length, beginDeltaMaxMs: 0 });
  expect(comparison.sentences.map(({ kind }) => kind)).toEqual(sample.sentences.map(() => 'exact'));
  expect(comparisonLines(comparison)).toHaveLength(1);
});

describe('is different when', () => {
  const kinds = (stored: ReadBack[]): { verdict: string; kinds: string[]; lines: string[] } => {
    const comparison = compareWithScript(script, stored);
    const lines = comparisonLines(comparison);
    return { verdict: comparison.verdict, kinds: comparison.sentences.map(({ kind }) => kind), lines };
  };

  test('a text differs: both are shown', () => {
    const found = kinds(changed(2, { text: '好地。' }));
    expect(found).toMatchObject({ verdict: 'different', kinds: ['exact', 'exact', 'text-differs', 'exact'] });
    expect(found.lines.slice(0, 3)).toEqual([
      '00:03.5 agent: text differs',
      '  script: 好的。',
      '  stored: 好地。',
    ]);
    expect(found.lines.at(-1)).toContain('3 of 4 sentences');
    expect(found.lines.at(-1)).toContain('NOT as it should be');
  });

  test('a caption was damaged, though the text is there', () => {
    expect(kinds(changed(0, { text: '您好。 [caption damaged]' })).kinds[0]).toBe('text-differs');
  });

  test('a sentence is missing', () => {
    const found = kinds(changed(3, {}).slice(0, 3));
    expect(found).toMatchObject({ verdict: 'different', kinds: ['exact', 'exact', 'exact', 'missing'] });
    expect(found.lines[0]).toBe('00:06.0 agent: missing: 再见！');
  });

  test('a sentence in the middle is missing: those behind it are still matched', () => {
    const stored = faithful(script).filter((_, index) => index !== 0);
    expect(kinds(stored).kinds).toEqual(['missing', 'exact', 'exact', 'exact']);
  });

  test('a sentence is stored twice', () => {
    const stored = faithful(script);
    const found = kinds([...stored, stored[1]!]);
    expect(found.verdict).toBe('different');
    expect(found.kinds.filter((kind) => kind === 'extra')).toHaveLength(1);
    expect(found.lines.at(-1)).toContain('1 stored besides');
  });

  test('a sentence was cut in two', () => {
    const [first, ...rest] = faithful(script);
    const halves = [
      { ...first!, text: '您', endMs: 900 },
      { ...first!, text: '好。', beginMs: 900 },
    ];
    expect(kinds([...halves, ...rest]).kinds.sort()).toEqual([
      'exact',
      'exact',
      'exact',
      'extra',
      'text-differs',
    ]);
  });

  test('the text is on the other leg', () => {
    const found = kinds(changed(1, { legNo: 0, role: 'agent' }));
    expect(found.kinds.sort()).toEqual(['exact', 'exact', 'exact', 'extra', 'missing']);
  });

  test('the leg has the wrong role', () => {
    const found = kinds(changed(1, { role: 'unknown' }));
    expect(found).toMatchObject({
      verdict: 'different',
      lines: ['00:02.0 customer: stored under the role unknown', expect.any(String)],
    });
  });

  test.each([
    ['begin', { beginMs: 561 }, 'begins 61 ms late, ends on time'],
    ['end', { endMs: 1_439 }, 'begins on time, ends 61 ms early'],
  ])('a %s is more than 60 ms off', (_, change, text) => {
    const found = kinds(changed(0, change));
    expect(found).toMatchObject({ verdict: 'different', kinds: ['exact', 'exact', 'exact', 'exact'] });
    expect(found.lines[0]).toBe(`00:00.5 agent: ${text}`);
  });

  test('nothing was stored at all', () => {
    expect(kinds([]).kinds).toEqual(['missing', 'missing', 'missing', 'missing']);
  });
});

test('60 ms are still within the limit, and the largest difference is told', () => {
  const comparison = compareWithScript(script, changed(0, { beginMs: 440, endMs: 1_520 }));
  expect(comparison).toMatchObject({ verdict: 'equal', beginDeltaMaxMs: 60, endDeltaMaxMs: 20 });
});

test('an empty script proves nothing', () => {
  expect(compareWithScript({ ...script, sentences: [] }, []).verdict).toBe('different');
});

test('two texts that do not overlap in time are no pair', () => {
  const comparison = compareWithScript({ ...script, sentences: [script.sentences[0]!] }, [
    { legNo: 0, role: 'agent', text: '别的', beginMs: 8_000, endMs: 9_000 },
  ]);
  expect(comparison.sentences.map(({ kind }) => kind)).toEqual(['missing', 'extra']);
  expect(comparison.beginDeltaMaxMs).toBe(0);
});
