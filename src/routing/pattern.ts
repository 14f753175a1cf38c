import { RE2JS } from 're2js';

/** Tells which texts it means. */
export interface Pattern {
  readonly source: string;
  matches(text: string): boolean;
}

/** No text of a SIP message that is worth a rule is longer; what is longer matches by its beginning. */
export const MATCHED_CHARACTERS_MAX = 1_024;

/**
 * A text as it stands in a rule: `1001` means itself, `*` stands for any characters and `?` for one, `/…/` is a regular
 * expression. Case does not count. The engine is RE2's: its time is linear in the text, whatever the expression is.
 *
 * @throws {RangeError} with the reason, where it is no regular expression
 */
export function readPattern(source: string): Pattern {
  const expression = /^\/(.*)\/$/su.exec(source)?.[1];
  if (expression !== undefined) {
    const compiled = compile(expression);
    return { source, matches: (text) => compiled.test(text.slice(0, MATCHED_CHARACTERS_MAX)) };
  }
  if (!/[*?]/u.test(source)) {
    const wanted = source.toLowerCase();
    return { source, matches: (text) => text.toLowerCase() === wanted };
  }
  const whole = source
    .split(/([*?])/u)
    .map((part) => (part === '*' ? '.*' : part === '?' ? '.' : RE2JS.quote(part)))
    .join('');
  const compiled = compile(`^(?:${whole})$`);
  return { source, matches: (text) => compiled.test(text.slice(0, MATCHED_CHARACTERS_MAX)) };
}

function compile(expression: string): RE2JS {
  try {
    return RE2JS.compile(expression, RE2JS.CASE_INSENSITIVE | RE2JS.DOTALL);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RangeError(`no regular expression (of RE2's syntax, without look-around): ${reason}`, {
      cause: error,
    });
  }
}
