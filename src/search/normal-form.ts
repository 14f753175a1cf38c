import { digitRuns } from './numerals.ts';

/** A text as it is compared, and where each UTF-16 unit of it comes from. */
export interface NormalForm {
  readonly text: string;
  /** Of each unit, where its origin begins in the text as it was written, and where that ends. */
  readonly begins: readonly number[];
  readonly ends: readonly number[];
}

/**
 * What two texts are compared by: full-width and half-width, capital and small letters are one; spaces, punctuation and
 * symbols, which the recogniser adds as it likes, are none.
 */
export function plainForm(text: string): NormalForm {
  const form = emptyForm();
  for (const { index, 0: written } of text.matchAll(LETTER)) {
    add(form, written.normalize('NFKC').toLowerCase().replace(MARKS, ''), index, index + written.length);
  }
  return form;
}

/** The same with all numbers in digits; equal to {@link plainForm} where there is no number to write otherwise. */
export function numberForm(text: string): NormalForm {
  const plain = plainForm(text);
  const form = emptyForm();
  let at = 0;
  const copyUpTo = (end: number): void => {
    for (; at < end; at += 1) add(form, plain.text[at] ?? '', plain.begins[at] ?? 0, plain.ends[at] ?? 0);
  };
  for (const { begin, end, digits } of digitRuns(plain.text)) {
    copyUpTo(begin);
    add(form, digits, plain.begins[begin] ?? 0, plain.ends[end - 1] ?? 0);
    at = end;
  }
  copyUpTo(plain.text.length);
  return form;
}

/** Between both forms of a sentence; in neither of them, since no line end is a letter. */
const BETWEEN = '\n';
const BETWEEN_UNIT = BETWEEN.charCodeAt(0);

/**
 * What is stored of a sentence to be searched: its plain form, and behind a line end its number form where that is
 * another. A term is in the sentence when its own plain form or its own number form is in this.
 */
export function searchText(text: string): string {
  const plain = text.replace(SIMPLE_MARKS, '');
  const isSimple = !NOT_SIMPLE.test(plain);
  if (isSimple && !NUMERAL.test(plain)) return plain;
  const numbered = numberForm(text).text;
  const wholly = isSimple ? plain : plainForm(text).text;
  return wholly === numbered ? wholly : `${wholly}${BETWEEN}${numbered}`;
}

/** What nearly every sentence is made of is its own plain form; a tenth of the work. */
const SIMPLE_MARKS = /[，。？！、：；,.?!:;'"()% \n-]+/g;
const NOT_SIMPLE = /[^\u4e00-\u9fffa-z0-9]/;
const NUMERAL = /[零〇一幺二两三四五六七八九十百千万亿]/;

/**
 * The pairs of neighbouring UTF-16 units in a search text or a term's form, each as one signed 32-bit number (first unit
 * in the high half), each once. No two pairs share a number.
 */
export function pairsOf(form: string): readonly number[] {
  const pairs: number[] = [];
  for (let at = 1, last = form.charCodeAt(0); at < form.length; at += 1) {
    const unit = form.charCodeAt(at);
    const isWithin = last !== BETWEEN_UNIT && unit !== BETWEEN_UNIT;
    if (isWithin) pairs.push((last << 16) | unit);
    last = unit;
  }
  return pairs.sort(ascending).filter((pair, at) => pair !== pairs[at - 1]);
}

/** {@link pairsOf} as Postgres writes an array. */
export const pairsLiteral = (form: string): string => `{${pairsOf(form).join(',')}}`;

const ascending = (a: number, b: number): number => a - b;

/** A letter or digit, or what stands for one in another width, with the marks above and below it. */
const LETTER = /[\p{L}\p{N}\p{M}\p{S}]\p{M}*/gu;
const MARKS = /[^\p{L}\p{M}\p{N}]+/gu;

interface GrowingForm extends NormalForm {
  text: string;
  readonly begins: number[];
  readonly ends: number[];
}

const emptyForm = (): GrowingForm => ({ text: '', begins: [], ends: [] });

function add(form: GrowingForm, text: string, begin: number, end: number): void {
  form.text += text;
  for (let unit = 0; unit < text.length; unit += 1) {
    form.begins.push(begin);
    form.ends.push(end);
  }
}
