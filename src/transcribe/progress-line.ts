import { columnsOf } from './columns.ts';

/** How a file's progress fits on one line of a terminal: `NAME BAR 100% 12345 sentences`. */
export interface ProgressLine {
  /** Shortened in its middle, where both the date and the ending of a recording survive; no control characters. */
  readonly name: string;
  /** 0: no bar. */
  readonly barColumns: number;
}

/** What stands beside name and bar: ` 100% 12345 sentences`, a blank, and the last column, where a cursor wraps. */
const FACTS_COLUMNS = 24;
const BAR_COLUMNS_MAX = 40;
const BAR_COLUMNS_MIN = 10;
const NAME_COLUMNS_MIN = 8;

/** @param columns of the terminal; below 32 the line is as short as it gets, 32 columns */
export function progressLine(name: string, columns: number): ProgressLine {
  const room = Math.max(NAME_COLUMNS_MIN, columns - FACTS_COLUMNS);
  const shown = name.replace(/\p{Cc}/gu, '?');
  const barRoom = room - width(shown);
  if (barRoom >= BAR_COLUMNS_MIN) return { name: shown, barColumns: Math.min(barRoom, BAR_COLUMNS_MAX) };
  const withBar = room - BAR_COLUMNS_MIN;
  if (withBar >= NAME_COLUMNS_MIN) return { name: shorten(shown, withBar), barColumns: BAR_COLUMNS_MIN };
  return { name: shorten(shown, room), barColumns: 0 };
}

const width = (text: string): number =>
  Array.from(text).reduce((sum, character) => sum + columnsOf(character), 0);

function shorten(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  const characters = Array.from(text);
  const front = taken(characters, Math.ceil((columns - 1) / 2));
  const back = taken(characters.toReversed(), columns - 1 - width(front));
  return `${front}…${Array.from(back).reverse().join('')}`;
}

/** As many of the first characters as fit. */
function taken(characters: readonly string[], columns: number): string {
  let text = '';
  let left = columns;
  for (const character of characters) {
    left -= columnsOf(character);
    if (left < 0) break;
    text += character;
  }
  return text;
}
