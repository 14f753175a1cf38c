import { CallscribeError } from '../errors.ts';
import { numberForm, plainForm } from './normal-form.ts';

/** A word or phrase of a query, in the forms in which a search text holds it. */
export interface SearchTerm {
  /** As it was typed. */
  readonly typed: string;
  /** One form, or two where a number in it can be written otherwise; each has at least two characters. */
  readonly forms: readonly string[];
}

/** All of `wanted`, none of `unwanted`. */
export interface SearchQuery {
  readonly wanted: readonly SearchTerm[];
  readonly unwanted: readonly SearchTerm[];
}

export const QUERY_MAX_CHARACTERS = 200;
export const TERMS_MAX = 10;

/**
 * Reads what somebody typed: words are all to be in the sentence, `"several words"` together, what has a minus before it
 * not at all. Quotation marks of any kind will do; one that is not closed reaches to the end. There is nothing else to
 * be learned, so nothing that is typed is a mistake of form.
 *
 * @throws {CallscribeError} QUERY_INVALID, saying what to type instead
 */
export function parseQuery(text: string): SearchQuery {
  if (text.length > QUERY_MAX_CHARACTERS) {
    throw invalid(`found ${text.length} characters, up to ${QUERY_MAX_CHARACTERS} are searched for`);
  }
  const wanted: SearchTerm[] = [];
  const unwanted: SearchTerm[] = [];
  for (const [, minus, quoted, bare] of text.replace(QUOTES, '"').matchAll(TERM)) {
    const term = toTerm(quoted ?? bare ?? '');
    if (term !== undefined) (minus === '' ? wanted : unwanted).push(term);
  }
  if (wanted.length + unwanted.length > TERMS_MAX) {
    throw invalid(`found ${wanted.length + unwanted.length} words, up to ${TERMS_MAX} are searched for`);
  }
  if (wanted.length === 0) {
    throw invalid(
      unwanted.length === 0
        ? 'found no letter and no digit, expected a word of at least two characters'
        : 'found only words to leave out, expected one that was said as well',
    );
  }
  return { wanted, unwanted };
}

const QUOTES = /[“”„«»「」『』＂]/gu;
/** `-"a phrase"`, `-word`, `"a phrase"`, `word`; a minus within a word belongs to it. */
const TERM = /([-－]?)(?:"([^"]*)"?|([^\s"]+))/gu;

/** @returns undefined where nothing that is spoken is left of it, such as a lone minus */
function toTerm(typed: string): SearchTerm | undefined {
  const plain = plainForm(typed).text;
  if (plain === '') return undefined;
  const forms = [...new Set([plain, numberForm(typed).text])].filter((form) => form.length >= 2);
  if (forms.length === 0) {
    throw invalid(`found a word of one character, expected at least two; quote it with its neighbours`);
  }
  return { typed, forms };
}

const invalid = (what: string): CallscribeError => new CallscribeError('QUERY_INVALID', `search: ${what}`);
