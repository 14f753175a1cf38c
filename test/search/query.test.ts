import { describe, expect, it } from 'vitest';

import { excerpt, findTerms } from '../../src/search/highlight.ts';
import { parseQuery, QUERY_MAX_CHARACTERS } from '../../src/search/query.ts';

const forms = (text: string) => {
  const { wanted, unwanted } = parseQuery(text);
  return { wanted: wanted.map((term) => term.forms), unwanted: unwanted.map((term) => term.forms) };
};

describe('a query', () => {
  it.each([
    ['话费 退款', { wanted: [['话费'], ['退款']], unwanted: [] }],
    ['"hello world"', { wanted: [['helloworld']], unwanted: [] }],
    ['“退 款”', { wanted: [['退款']], unwanted: [] }],
    ['话费 -投诉', { wanted: [['话费']], unwanted: [['投诉']] }],
    ['话费 －「不 要」', { wanted: [['话费']], unwanted: [['不要']] }],
    ['2026-11-22', { wanted: [['20261122']], unwanted: [] }],
    ['一百二十', { wanted: [['一百二十', '120']], unwanted: [] }],
    ['120', { wanted: [['120']], unwanted: [] }],
    ['"未闭合 话', { wanted: [['未闭合话']], unwanted: [] }],
    ['"" - 话费', { wanted: [['话费']], unwanted: [] }],
    ["it's ok", { wanted: [['its'], ['ok']], unwanted: [] }],
    ['你好,世界', { wanted: [['你好世界']], unwanted: [] }],
  ])('%s', (text, expected) => {
    expect(forms(text)).toEqual(expected);
  });

  it.each([
    ['', 'found no letter'],
    ['，。！', 'found no letter'],
    ['我', 'one character'],
    ['-投诉', 'only words to leave out'],
    ['话费 '.repeat(11), 'found 11 words'],
    ['话'.repeat(QUERY_MAX_CHARACTERS + 1), 'characters'],
  ])('%s is refused, with what to type instead', (text, message) => {
    expect(() => parseQuery(text)).toThrow(message);
  });
});

describe('what was found', () => {
  const marked = (text: string, query: string) =>
    findTerms(text, parseQuery(query).wanted).map(({ begin, end }) => text.slice(begin, end));

  it.each([
    ['您好，我想查一下话费。', '查一下', ['查一下']],
    ['您好，我想查一下话费。', '好我', ['好，我']],
    ['一共一百二十块。', '120', ['一百二十']],
    ['一共120块。', '一百二十块', ['120块']],
    ['ＡＢＣ公司', 'abc', ['ＡＢＣ']],
    ['退款退款', '退款', ['退款退款']],
    ['没有', '退款', []],
  ])('in %s of %s', (text, query, expected) => {
    expect(marked(text, query)).toEqual(expected);
  });

  it('a long text is cut around the first, and marks stay where they were', () => {
    const text = `${'前'.repeat(100)}退款${'后'.repeat(100)}`;
    const { text: cut, highlights } = excerpt(text, parseQuery('退款').wanted, 40);
    expect(cut).toBe(`…${'前'.repeat(10)}退款${'后'.repeat(28)}…`);
    expect(highlights.map(({ begin, end }) => cut.slice(begin, end))).toEqual(['退款']);
  });
});
