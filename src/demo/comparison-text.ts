import { type ComparedSentence, type Comparison, isInTime, TIME_LIMIT_MS } from './compare.ts';
import { timeText } from './speaker.ts';

/** The comparison for a person: each sentence that is not as it should be, then one line that sums up. */
export function comparisonLines(comparison: Comparison): string[] {
  const { exact, scriptSentences, beginDeltaMaxMs, endDeltaMaxMs, sentences } = comparison;
  const extra = sentences.filter(({ kind }) => kind === 'extra').length;
  const besides = extra === 0 ? '' : `, ${extra} stored besides`;
  return [
    ...sentences.flatMap(faultLines),
    `${exact} of ${scriptSentences} sentences are stored with exactly the script's text${besides}; ` +
      `begins within ${beginDeltaMaxMs} ms, ends within ${endDeltaMaxMs} ms of it (limit ${TIME_LIMIT_MS} ms): ` +
      (comparison.verdict === 'equal' ? 'as it should be' : 'NOT as it should be'),
  ];
}

function faultLines(found: ComparedSentence): string[] {
  if (found.kind === 'extra') {
    return [
      `${timeText(found.stored.beginMs)} ${found.stored.role}: not in the script: ${found.stored.text}`,
    ];
  }
  const { script } = found;
  const where = `${timeText(script.beginMs)} ${script.party}`;
  if (found.kind === 'missing') return [`${where}: missing: ${script.text}`];
  const lines: string[] = [];
  if (found.kind === 'text-differs') {
    lines.push(`${where}: text differs`, `  script: ${script.text}`, `  stored: ${found.stored.text}`);
  }
  if (!isInTime(found)) {
    lines.push(`${where}: begins ${deltaText(found.beginDeltaMs)}, ends ${deltaText(found.endDeltaMs)}`);
  }
  if (found.stored.role !== script.party) lines.push(`${where}: stored under the role ${found.stored.role}`);
  return lines;
}

function deltaText(deltaMs: number): string {
  if (deltaMs === 0) return 'on time';
  return `${Math.abs(deltaMs)} ms ${deltaMs > 0 ? 'late' : 'early'}`;
}
