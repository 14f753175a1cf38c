import Table from 'cli-table3';
import pc from 'picocolors';

import { roleColour, type Speaker, timeText } from './speaker.ts';

/** A stored sentence, as far as the table shows it. */
export interface TableRow {
  readonly speaker: Speaker;
  readonly beginMs: number;
  readonly text: string;
  readonly emoTag: string | null;
}

export interface TableOptions {
  readonly colours: 'on' | 'off';
}

/** The stored sentences of a call as a table: time, who, text, emotion. Widths are right for wide characters. */
export function transcriptTable(rows: readonly TableRow[], options: TableOptions): string {
  const colours = pc.createColors(options.colours === 'on');
  const head = ['time', 'who', 'text', 'emotion'].map((title) => colours.bold(title));
  // No lines between the rows: a call reads like a page.
  const chars = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' };
  const table = new Table({ head, chars, style: { head: [], border: [] } });
  for (const { speaker, beginMs, text, emoTag } of rows) {
    const who = roleColour(speaker.role, colours)(speaker.role);
    table.push([
      timeText(beginMs),
      speaker.name === undefined ? who : `${who} ${speaker.name}`,
      text,
      emoTag ?? '-',
    ]);
  }
  return table.toString();
}
