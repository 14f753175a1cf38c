import { expect, it } from 'vitest';

import { parseQuery } from '../../src/search/query.ts';
import { scoreOf } from '../../src/search/score.ts';

const score = (text: string, query: string): number => scoreOf(text, parseQuery(query).wanted);

it('a sentence that is the query scores 1, one without it 0', () => {
  expect(score('我要退款。', '我要退款')).toBe(1);
  expect(score('共120元', '一百二十')).toBeCloseTo(3 / 3.4, 4);
  expect(score('您好', '退款')).toBe(0);
});

it.each([
  ['a short one before a long one', '退款', '我要退款。', '我想问一下上个月的那个订单什么时候可以退款。'],
  ['words together before words apart', '退款 手续费', '退款手续费是多少', '退款要不要手续费啊'],
  ['words that come together at last', '退款 手续费', '退款啊，那个退款手续费呢', '退款啊，那个退款要手续费'],
])('%s', (_, query, better, worse) => {
  expect(score(better, query)).toBeGreaterThan(score(worse, query));
});
