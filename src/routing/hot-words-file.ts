import { type HotWord, hotWordsSchema } from './hot-words-schema.ts';
import type { RoutesFault } from './read-routes.ts';
import { faultsOfIssues, readYaml, type YamlDocument } from './yaml-document.ts';

export type HotWordsReading =
  | {
      readonly kind: 'words';
      readonly words: readonly HotWord[];
      /** From 1. */
      readonly lineOf: (wordNo: number) => number;
    }
  | { readonly kind: 'faults'; readonly faults: readonly RoutesFault[] };

/**
 * Reads a file of hot words: `.yaml`, `.yml` and `.json` hold a list as `words` of the rules do; any other a word a line,
 * `text weight [lang]`, with `#` before what is no word. Every fault at once.
 */
export function readHotWords(name: string, text: string): HotWordsReading {
  const withoutMark = text.replace(/^\uFEFF/u, '');
  return checked(/\.(ya?ml|json)$/iu.test(name) ? readYaml(withoutMark) : readLines(withoutMark));
}

function checked(
  reading: ReturnType<typeof readYaml> | { readonly kind: 'faults'; readonly faults: readonly RoutesFault[] },
): HotWordsReading {
  if (reading.kind === 'faults') return reading;
  const result = hotWordsSchema.safeParse(reading.content ?? []);
  if (!result.success) return { kind: 'faults', faults: faultsOfIssues(result.error, reading) };
  return { kind: 'words', words: result.data, lineOf: (wordNo) => reading.lineOf([wordNo]) };
}

const LINE = /^(.*\S)\s+([+-]?\d+(?:\.\d+)?)(?:\s+([a-z]{2,3}))?$/u;

function readLines(text: string): ReturnType<typeof readYaml> {
  const faults: RoutesFault[] = [];
  const words: HotWord[] = [];
  const lineNumbers: number[] = [];
  for (const [index, raw] of text.split(/\r\n?|\n/u).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [, word, weight, lang] = LINE.exec(line) ?? [];
    if (word === undefined) {
      const what =
        'expected a word, its weight from 1 to 5, and perhaps its language, such as: 携号转网 4 zh';
      faults.push({ line: index + 1, where: '', what });
      continue;
    }
    words.push({ text: word, weight: Number(weight), ...(lang === undefined ? {} : { lang }) });
    lineNumbers.push(index + 1);
  }
  if (faults.length > 0) return { kind: 'faults', faults };
  const lineOf: YamlDocument['lineOf'] = ([wordNo]) => lineNumbers[Number(wordNo)] ?? 1;
  return { kind: 'document', content: words, lineOf };
}
