/** A word of a sentence; times count from the begin of the sentence. */
export interface TimedWord {
  readonly text: string;
  /** What follows the word; an empty string where nothing does. */
  readonly punctuation: string;
  readonly beginMs: number;
  readonly endMs: number;
}

const WORD = /^([\p{L}\p{N}]+)(\p{P}*)$/u;
/** A comma is heard as a pause of about half a syllable at the synthesiser's speed. */
const COMMA_SYLLABLES = 0.5;

/**
 * Shares a sentence's time among its words in proportion to their syllables: one for each Han character, digit
 * or Latin letter. An estimate, since the synthesiser does not tell where a word began; a word is contiguous
 * with the next, save for the pause at a comma.
 *
 * @param spacedWords the words separated by spaces, each with its punctuation
 * @throws {RangeError} when a part is no word, or the sentence has none
 */
export function shareWordTimes(spacedWords: string, durationMs: number): TimedWord[] {
  const words = spacedWords.split(' ').map((part, index, parts) => {
    const match = WORD.exec(part);
    if (match === null) {
      throw new RangeError(`word ${index + 1} of ${parts.length}: expected letters, then punctuation`);
    }
    const [, text = '', punctuation = ''] = match;
    const pause = punctuation === '' || index === parts.length - 1 ? 0 : COMMA_SYLLABLES;
    return { text, punctuation, syllables: Array.from(text).length, pause };
  });
  const total = words.reduce((sum, word) => sum + word.syllables + word.pause, 0);
  const msAt = (syllables: number): number => Math.round((syllables / total) * durationMs);
  let spoken = 0;
  return words.map(({ text, punctuation, syllables, pause }) => {
    const beginMs = msAt(spoken);
    spoken += syllables;
    const endMs = msAt(spoken);
    spoken += pause;
    return { text, punctuation, beginMs, endMs };
  });
}
