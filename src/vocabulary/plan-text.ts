import type { HotWord } from '../routing/hot-words-schema.ts';
import type { Step } from './plan.ts';

/** One step, for people. Never a hot word: it may be a name. */
export function stepText(step: Step): string {
  switch (step.kind) {
    case 'keep':
      return `=  ${step.list.names.join(', ')}: ${step.id} stays as it is (${step.list.words.length} words)`;
    case 'update':
      return `~  ${step.list.names.join(', ')}: ${step.id} ${changeText(step.before, step.list.words)}`;
    case 'create':
      return `+  ${step.list.names.join(', ')}: a new list of ${step.list.words.length} words for ${step.list.model}`;
    case 'delete':
      return `-  ${step.id}: nothing of the file wants it`;
  }
}

function changeText(before: readonly HotWord[], after: readonly HotWord[]): string {
  const old = new Map(before.map((word) => [word.text, word]));
  const added = after.filter(({ text }) => !old.has(text)).length;
  const gone = before.length - (after.length - added);
  const changed = after.filter(({ text, weight, lang }) => {
    const word = old.get(text);
    return word !== undefined && (word.weight !== weight || (lang !== undefined && word.lang !== lang));
  }).length;
  return `gets ${added} words, loses ${gone}, changes ${changed}`;
}
