import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { numberForm, pairsOf, plainForm, searchText } from '../../src/search/normal-form.ts';

describe('numbers in digits', () => {
  it.each([
    ['一百二十', '120'],
    ['一百二', '120'],
    ['一百零二', '102'],
    ['百二十', '120'],
    ['十', '10'],
    ['十二', '12'],
    ['二十', '20'],
    ['两百', '200'],
    ['三万五', '35000'],
    ['三万零五', '30005'],
    ['一千零二十', '1020'],
    ['一千零二十三', '1023'],
    ['十二万三千四百五十六', '123456'],
    ['一亿两千万', '120000000'],
    ['一万亿', '1000000000000'],
    ['二零二六', '2026'],
    ['二〇二六年十一月', '2026年11月'],
    ['幺三八零零', '13800'],
    ['三点五', '35'],
    ['3.5', '35'],
    ['百分之二十', '20'],
    ['20%', '20'],
    ['百分之三点五', '35'],
    ['差一点', '差1点'],
    ['三五十', '35十'],
    ['3万', '30000'],
    ['3万5', '300005'],
    ['12亿元', '1200000000元'],
  ])('%s is %s', (text, expected) => {
    expect(numberForm(text).text).toBe(expected);
  });

  it('a long run is read digit by digit, and none ends the process', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...Array.from('零一二两九十百千万亿点百分之12')), maxLength: 60 }),
        (text) => {
          expect(numberForm(text).text).toMatch(/^[\p{L}\p{N}]*$/u);
        },
      ),
      { seed: 5 },
    );
  });

  it('every whole number up to a hundred million, said in the usual way, is itself', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 99_999_999 }), (number) => {
        expect(numberForm(inChinese(number)).text).toBe(String(number));
      }),
      { seed: 6, numRuns: 2_000 },
    );
  });
});

describe('what two texts are compared by', () => {
  it.each([
    ['您好，请问：有什么？', '您好请问有什么'],
    ['ＡＢＣ　１２３', 'abc123'],
    ['Hello, World', 'helloworld'],
    ['e\u0301te\u0301', 'été'],
    ['2026-11-22', '20261122'],
    ['①号', '1号'],
    ['…，。', ''],
  ])('%s is %s', (text, expected) => {
    expect(plainForm(text).text).toBe(expected);
  });

  it('what is said within a sentence is within its search text, across punctuation', () => {
    const character = fc.constantFrom(
      ...Array.from('您好话费退款一百二十abc12'),
      '，',
      '。',
      ' ',
      '𠮷',
      '％',
    );
    fc.assert(
      fc.property(
        fc.array(character),
        fc.array(character, { minLength: 1 }),
        fc.array(character),
        (a, b, c) => {
          const said = plainForm(b.join('')).text;
          expect(searchText([...a, ...b, ...c].join(''))).toContain(said);
        },
      ),
      { seed: 7 },
    );
  });
});

it('the short way to a search text gives what the long one gives', () => {
  const unit = fc.constantFrom(...Array.from('您好话费一百二abcZ９9，。 -（)éﬁ…'));
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 30 }), (text) => {
      const forms = [...new Set([plainForm(text).text, numberForm(text).text])];
      expect(searchText(text)).toBe(forms.join('\n'));
    }),
    { seed: 8, numRuns: 1_000 },
  );
});

describe('pairs', () => {
  it('each pair has a number of its own', () => {
    expect(pairsOf('ab')).toEqual([(0x61 << 16) | 0x62]);
    expect(pairsOf('龥龥龥')).toEqual([(0x9fa5 << 16) | 0x9fa5 | 0]);
    expect(pairsOf('a')).toEqual([]);
  });

  it('none spans both forms', () => {
    expect(pairsOf('一下\n1下').toSorted()).toEqual([...pairsOf('一下'), ...pairsOf('1下')].toSorted());
  });
});

function inChinese(number: number): string {
  if (number >= 10_000) {
    const rest = number % 10_000;
    const low = rest === 0 ? '' : rest < 1_000 ? `零${inChinese(rest)}` : inChinese(rest);
    return `${inChinese(Math.floor(number / 10_000))}万${low}`;
  }
  const digits = String(number);
  if (number === 0) return '零';
  let said = '';
  Array.from(digits).forEach((digit, at) => {
    const unit = ['', '十', '百', '千'][digits.length - 1 - at] ?? '';
    if (digit !== '0') said += `${'零一二三四五六七八九'[Number(digit)] ?? ''}${unit}`;
    else if (!said.endsWith('零')) said += '零';
  });
  return said.replace(/零$/u, '');
}
