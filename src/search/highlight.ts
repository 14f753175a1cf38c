import { type NormalForm, numberForm, plainForm } from './normal-form.ts';
import type { SearchTerm } from './query.ts';

/** A stretch of a text, in UTF-16 units. */
export interface TextRange {
  readonly begin: number;
  readonly end: number;
}

/** Where the terms are in a text as it was written; overlapping stretches are one, in the order of the text. */
export function findTerms(text: string, terms: readonly SearchTerm[]): readonly TextRange[] {
  const forms = [plainForm(text), numberForm(text)];
  const found = terms.flatMap((term) =>
    term.forms.flatMap((wanted) => forms.flatMap((form) => findAll(form, wanted))),
  );
  found.sort((a, b) => a.begin - b.begin || b.end - a.end);
  const merged: { begin: number; end: number }[] = [];
  for (const { begin, end } of found) {
    const last = merged.at(-1);
    if (last !== undefined && begin <= last.end) last.end = Math.max(last.end, end);
    else merged.push({ begin, end });
  }
  return merged;
}

function findAll(form: NormalForm, wanted: string): TextRange[] {
  const found: TextRange[] = [];
  for (let at = form.text.indexOf(wanted); at >= 0; at = form.text.indexOf(wanted, at + 1)) {
    found.push({ begin: form.begins[at] ?? 0, end: form.ends[at + wanted.length - 1] ?? 0 });
  }
  return found;
}

/** A part of a text around what was found, with what was found marked. */
export interface Excerpt {
  readonly text: string;
  readonly highlights: readonly TextRange[];
}

/** @param charactersMax of the excerpt, an ellipsis at either end not counted */
export function excerpt(text: string, terms: readonly SearchTerm[], charactersMax: number): Excerpt {
  const highlights = findTerms(text, terms);
  if (text.length <= charactersMax) return { text, highlights };
  const first = highlights[0]?.begin ?? 0;
  const begin = wholeCharacter(
    text,
    Math.max(0, Math.min(first - Math.floor(charactersMax / 4), text.length - charactersMax)),
  );
  const end = wholeCharacter(text, begin + charactersMax);
  const before = begin > 0 ? ELLIPSIS : '';
  const shift = before.length - begin;
  return {
    text: `${before}${text.slice(begin, end)}${end < text.length ? ELLIPSIS : ''}`,
    highlights: highlights
      .filter((range) => range.begin < end)
      .map((range) => ({ begin: range.begin + shift, end: Math.min(range.end, end) + shift })),
  };
}

const ELLIPSIS = '…';

/** Not between the halves of one character. */
function wholeCharacter(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff ? at - 1 : at;
}
