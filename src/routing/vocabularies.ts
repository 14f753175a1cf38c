import { readHotWords } from './hot-words-file.ts';
import type { HotWord } from './hot-words-schema.ts';
import type { RoutesFault } from './read-routes.ts';
import type { RoutesFile } from './routes-schema.ts';
import type { VocabularyLock } from './vocabulary-lock.ts';
import type { YamlDocument } from './yaml-document.ts';

/** A list of hot words as the rules have it. */
export interface FileVocabulary {
  readonly name: string;
  readonly model: string;
  readonly words: readonly HotWord[];
}

/** A file that the rules name, by its path from theirs. */
export type FileBeside =
  { readonly kind: 'text'; readonly text: string } | { readonly kind: 'fault'; readonly what: string };

export interface VocabulariesOptions {
  /** Of lists and rules that name none. */
  readonly model: string;
  /** Default: there are none. */
  readonly readBeside?: (path: string) => FileBeside;
  /** What the service would refuse of a list. Default: nobody looks. */
  readonly checkVocabulary?: (
    vocabulary: FileVocabulary,
  ) => readonly { readonly wordNo: number | undefined; readonly what: string }[];
  /** What the lists are called at the service; undefined: nobody needs to know. */
  readonly lock?: VocabularyLock | undefined;
}

/** The lists of the rules, with all that is wrong with them. */
export function compileVocabularies(
  { vocabularies, vocabulary_prefix: prefix }: RoutesFile,
  { lineOf }: Pick<YamlDocument, 'lineOf'>,
  options: VocabulariesOptions,
): { readonly lists: ReadonlyMap<string, FileVocabulary>; readonly faults: readonly RoutesFault[] } {
  const faults: RoutesFault[] = [];
  const lists = new Map<string, FileVocabulary>();
  for (const [name, list] of Object.entries(vocabularies)) {
    const path = ['vocabularies', name];
    const where = path.join('.');
    const reading =
      list.file === undefined
        ? {
            kind: 'words' as const,
            words: list.words ?? [],
            lineOf: (wordNo: number) => lineOf([...path, 'words', wordNo]),
          }
        : readWordsBeside(list.file, options);
    const at = list.file === undefined ? {} : { file: list.file };
    if (reading.kind === 'faults') {
      faults.push(...reading.faults.map((fault) => ({ ...fault, ...at })));
      continue;
    }
    if (reading.kind === 'absent') {
      faults.push({ line: lineOf([...path, 'file']), where: `${where}.file`, what: reading.what });
      continue;
    }
    const compiled = { name, model: list.model ?? options.model, words: reading.words };
    lists.set(name, compiled);
    for (const { wordNo, what } of options.checkVocabulary?.(compiled) ?? []) {
      faults.push(
        wordNo === undefined
          ? { line: lineOf(path), where, what }
          : { line: reading.lineOf(wordNo), where: `${where} word ${wordNo + 1}`, what, ...at },
      );
    }
  }
  if (lists.size > 0 && prefix === undefined) {
    faults.push({
      line: lineOf(['vocabularies']),
      where: 'vocabulary_prefix',
      what: 'expected: by it, lists of the account are known to be those of this file',
    });
  }
  return { lists, faults };
}

function readWordsBeside(
  file: string,
  { readBeside }: VocabulariesOptions,
): ReturnType<typeof readHotWords> | { readonly kind: 'absent'; readonly what: string } {
  const beside = readBeside?.(file);
  if (beside?.kind === 'text') return readHotWords(file, beside.text);
  return { kind: 'absent', what: beside?.what ?? 'files beside the rules are not read here' };
}

/**
 * The service's id of a list that a rule names.
 *
 * @param model of the rule
 * @returns neither where the list has faults of its own, or nobody needs to know
 */
export function idOfVocabulary(
  name: string,
  model: string,
  { vocabularies }: RoutesFile,
  { model: modelDefault, lock }: VocabulariesOptions,
): { readonly id?: string; readonly fault?: string } {
  const list = vocabularies[name];
  if (list === undefined) return { fault: `there is no list ${name} under vocabularies` };
  const { model: listModel = modelDefault } = list;
  if (listModel !== model) {
    return {
      fault: `the list ${name} is made for ${listModel}; with ${model} it would silently not be used`,
    };
  }
  if (lock === undefined) return {};
  const locked = lock[name];
  if (locked?.model === model) return { id: locked.id };
  return {
    fault: `the service has no list ${name} yet, or its id is not noted: npm run vocabulary -- sync does both`,
  };
}
