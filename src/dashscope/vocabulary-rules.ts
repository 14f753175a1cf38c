import { DashScopeUsageError, type UsageFault } from './errors.ts';
import { LANGUAGES, RECOGNITION_MODELS } from './models.ts';

/** One hot word of a v2 vocabulary. */
export interface VocabularyEntry {
  readonly text: string;
  /** 1 to 5; 4 is a good start. */
  readonly weight: number;
  /** For paraformer-realtime-8k-v2 only `zh` is useful. */
  readonly lang?: string | undefined;
}

/** The rules by name; Model Studio, "Custom hot words", and for phrases "Paraformer hotwords". */
export const HOT_WORD_RULES = {
  'target-model': 'a model that takes vocabularies; the v1 models take phrase lists',
  prefix: 'lower-case letters and digits, at least one and fewer than 10',
  'entry-count': 'at most 500 hot words in a list',
  'text-present': 'a text that is not empty',
  'text-characters': 'at most 15 characters, blanks included, where any of them is not ASCII',
  'text-parts': 'at most 7 parts between blanks, where all is ASCII',
  weight: 'a whole number from 1 to 5',
  lang: 'one of zh, en, ja, yue, ko, de, fr, ru',
  'phrase-model': 'a model that takes phrase lists; the v2 models take vocabularies',
  'phrase-count': 'from 1 to 500 phrases in a list',
  'phrase-characters': 'at most 10 characters, in a Chinese phrase',
  'phrase-words': 'at most 5 words between blanks, in an English or mixed phrase',
  'phrase-weight': 'a whole number from 1 to 5, or from -6 to -1',
  page: 'whole numbers in the range of the interface',
} as const;
export type HotWordRule = keyof typeof HOT_WORD_RULES;

export interface HotWordFault extends UsageFault {
  readonly rule: HotWordRule;
}

/** A list of hot words that the service would refuse, or silently not use; nothing was sent. All faults at once. */
export class HotWordsInvalid extends DashScopeUsageError {
  declare readonly faults: readonly HotWordFault[];

  constructor(faults: readonly HotWordFault[]) {
    super(`${faults.length} rule${faults.length === 1 ? '' : 's'} for hot words broken`, faults);
  }
}

/** @param found never a hot word itself: it may be a name */
export function broken(rule: HotWordRule, parameter: string, found: string): HotWordFault {
  return { rule, parameter, found, allowed: `${HOT_WORD_RULES[rule]} (rule ${rule})` };
}

/** @throws {HotWordsInvalid} */
export function refuseFaults(faults: readonly HotWordFault[]): void {
  if (faults.length > 0) throw new HotWordsInvalid(faults);
}

const ENTRIES_MAX = 500;
const CHARACTERS_MAX = 15;
const PARTS_MAX = 7;

export function checkPrefix(prefix: string): readonly HotWordFault[] {
  if (/^[a-z0-9]{1,9}$/.test(prefix)) return [];
  const other = prefix.replace(/[a-z0-9]/g, '').length;
  return [broken('prefix', 'prefix', `${prefix.length} characters, ${other} of them neither`)];
}

/** A model that is not known passes: it may be tomorrow's. */
export function checkTargetModel(targetModel: string): readonly HotWordFault[] {
  const known = RECOGNITION_MODELS.find(({ name }) => name === targetModel);
  if (targetModel !== '' && known?.hotWords !== 'phraseId') return [];
  return [broken('target-model', 'targetModel', targetModel === '' ? 'nothing' : targetModel)];
}

export function checkEntries(entries: readonly VocabularyEntry[]): readonly HotWordFault[] {
  const faults = entries.flatMap(checkEntry);
  if (entries.length <= ENTRIES_MAX) return faults;
  return [broken('entry-count', 'vocabulary', `${entries.length} hot words`), ...faults];
}

function checkEntry({ text, weight, lang }: VocabularyEntry, index: number): readonly HotWordFault[] {
  const at = `vocabulary[${index}]`;
  const faults = [...checkText(text, `${at}.text`)];
  if (!Number.isInteger(weight) || weight < 1 || weight > 5) {
    faults.push(broken('weight', `${at}.weight`, String(weight)));
  }
  if (lang !== undefined && !(LANGUAGES as readonly string[]).includes(lang)) {
    faults.push(broken('lang', `${at}.lang`, JSON.stringify(lang)));
  }
  return faults;
}

function checkText(text: string, at: string): readonly HotWordFault[] {
  if (text.trim() === '') return [broken('text-present', at, 'nothing')];
  const ascii = Buffer.byteLength(text) === text.length;
  if (ascii) {
    const parts = countParts(text);
    return parts <= PARTS_MAX ? [] : [broken('text-parts', at, `${parts} parts`)];
  }
  const characters = countCharacters(text);
  return characters <= CHARACTERS_MAX ? [] : [broken('text-characters', at, `${characters} characters`)];
}

/** As people count them: a character beyond 16 bits is one. */
export function countCharacters(text: string): number {
  return Array.from(text).length;
}

export function countParts(text: string): number {
  return text.split(/\s+/).filter((part) => part !== '').length;
}
