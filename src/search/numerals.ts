/** A stretch of a text that says a number, and the same in digits. */
export interface DigitRun {
  /** UTF-16 units from the text's begin. */
  readonly begin: number;
  readonly end: number;
  readonly digits: string;
}

/**
 * Recognition writes a number as it was said, `一百二十`, or in digits, `120`, and does not always choose the same
 * way. Here both become digits:
 *
 * - a number with units is worked out: `一百二十` 120, `三万五` 35000, `一百二` 120, `十二` 12;
 * - one without is read digit by digit, as years and telephone numbers are: `二零二六` 2026, `幺三八` 138;
 * - `三点五` is `35`, `百分之二十` is `20`, as `3.5` and `20%` are without their marks.
 *
 * A numeral within a word becomes a digit too (`一下` `1下`): whoever searches writes it in one of the same ways.
 */
export function digitRuns(text: string): readonly DigitRun[] {
  return Array.from(text.matchAll(NUMBER), ({ index, 0: whole }) => ({
    begin: index,
    end: index + whole.length,
    digits: whole
      .replace(PER_CENT, '')
      .split(POINT)
      .map((part) => part.replace(COUNTED, multiply).replace(NUMERALS, readNumerals))
      .join(''),
  }));
}

const PER_CENT = '百分之';
const POINT = '点';
const ONE = '[零〇一幺二两三四五六七八九十百千万亿\\d]';
/** `百分之` is a percent sign and no hundred, `点` is a point between numbers only. */
const NUMBER = new RegExp(
  `(?:${PER_CENT}(?=${ONE}))?(?:(?!${PER_CENT})${ONE})+(?:${POINT}(?:(?!${PER_CENT})${ONE})+)*`,
  'gu',
);
const NUMERALS = /[^\d]+/gu;
/** `3万`, as recognition writes round numbers. */
const COUNTED = /(\d{1,6})([十百千万亿]+)(?![零〇一幺二两三四五六七八九])/gu;

const DIGITS = new Map(Array.from('零一二三四五六七八九', (character, value) => [character, value] as const));
for (const [other, value] of [
  ['〇', 0],
  ['幺', 1],
  ['两', 2],
] as const) {
  DIGITS.set(other, value);
}
const SMALL_UNITS = new Map([
  ['十', 10],
  ['百', 100],
  ['千', 1_000],
]);
const LARGE_UNITS = new Map([
  ['万', 10_000],
  ['亿', 100_000_000],
]);

function multiply(whole: string, digits: string, units: string): string {
  const unit = Array.from(units).reduce(
    (product, one) => product * (SMALL_UNITS.get(one) ?? LARGE_UNITS.get(one) ?? 1),
    1,
  );
  const product = Number(digits) * unit;
  return Number.isSafeInteger(product) ? String(product) : whole;
}

/** Longer runs are no amount; they are read digit by digit, so that the work and the number stay bounded. */
const AMOUNT_MAX_CHARACTERS = 20;

function readNumerals(numerals: string): string {
  const isAmount = numerals.length <= AMOUNT_MAX_CHARACTERS && /[十百千万亿]/u.test(numerals);
  const amount = isAmount ? readAmount(numerals) : undefined;
  return amount === undefined
    ? Array.from(numerals, (character) => DIGITS.get(character) ?? character).join('')
    : String(amount);
}

/** @returns undefined where it is no amount (`三五十` is two numbers or a guess), or none that a number can hold */
function readAmount(numerals: string): number | undefined {
  const last = numerals.length - 1;
  let total = 0;
  let section = 0;
  let digit: number | undefined;
  let unitBefore = 0;
  for (const [at, character] of Array.from(numerals).entries()) {
    const value = DIGITS.get(character);
    if (value !== undefined) {
      if (digit !== undefined && digit !== 0) return undefined;
      digit = value;
      // 一百二 is 120 and 三万五 35,000; after a zero the digit stands for itself.
      if (at === last && unitBefore > 10 && !DIGITS.has(numerals[at - 1] ?? '')) digit *= unitBefore / 10;
      continue;
    }
    // 十二 is 12 and 百二十 120: a unit without a digit before it counts once.
    const small = SMALL_UNITS.get(character);
    if (small !== undefined) {
      section += (digit ?? 1) * small;
      unitBefore = small;
    } else {
      const large = LARGE_UNITS.get(character) ?? 1;
      const before = section + (digit ?? 0);
      total = total > 0 && large > total ? (total + before) * large : total + Math.max(before, 1) * large;
      section = 0;
      unitBefore = large;
    }
    digit = undefined;
  }
  const amount = total + section + (digit ?? 0);
  return Number.isSafeInteger(amount) ? amount : undefined;
}
