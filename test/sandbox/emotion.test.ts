import { describe, expect, it } from 'vitest';

import { emotionOf } from '../../src/sandbox/emotion.ts';

describe('the emotion of a text', () => {
  it.each([
    ['不客气，祝您生活愉快，再见！', 'positive'],
    ['怎么比上个月多了这么多？', 'negative'],
    ['您本月的话费是128元。', 'neutral'],
    ['', 'neutral'],
  ])('%s is %s', (text, tag) => {
    expect(emotionOf(text)).toMatchObject({ tag });
  });

  it('is the same each time, with a confidence of its own', () => {
    const texts = ['好的。', '好。', '再见。', '请稍等。'];
    const first = texts.map(emotionOf);
    expect(texts.map(emotionOf)).toEqual(first);
    expect(new Set(first.map(({ confidence }) => confidence)).size).toBe(texts.length);
    for (const { confidence } of first) {
      expect(confidence).toBeGreaterThanOrEqual(0.5);
      expect(confidence).toBeLessThan(1);
    }
  });

  it('is any of the three where there is no text but a length', () => {
    const tags = Array.from({ length: 100 }, (_, tenths) => emotionOf(`[speech ${tenths / 10} s]`).tag);
    expect(new Set(tags)).toEqual(new Set(['positive', 'negative', 'neutral']));
  });
});
