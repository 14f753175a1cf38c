import { AddressBlocks } from '../address-blocks.ts';
import type { RoleRule } from '../sip/role-rules.ts';
import { readPattern } from './pattern.ts';
import type { Condition, RouteRule, Routes, RouteSettings } from './route-rules.ts';
import { type RoutesFile, routesSchema, type RuleOfFile } from './routes-schema.ts';
import { readMinute } from './time-window.ts';
import { compileVocabularies, idOfVocabulary, type VocabulariesOptions } from './vocabularies.ts';
import { staleLists } from './vocabulary-lock.ts';
import { compileVoicemail, type PromptOptions } from './voicemail-rules.ts';
import { faultsOfIssues, readYaml, toWhere, type YamlDocument } from './yaml-document.ts';

/** Something in the file that is not as it must be. */
export interface RoutesFault {
  /** From 1. */
  readonly line: number;
  /** Such as `rules[2].when.called`; empty for the file as a whole. */
  readonly where: string;
  readonly what: string;
  /** That the line is of, by its path from the rules; undefined: theirs. */
  readonly file?: string | undefined;
}

export type RoutesReading =
  | { readonly kind: 'routes'; readonly routes: Routes }
  | { readonly kind: 'faults'; readonly faults: readonly RoutesFault[] };

const FILE_CHARACTERS_MAX = 4_194_304;

export interface ReadRoutesOptions extends VocabulariesOptions, PromptOptions {
  /** Reads `roles`; undefined where they are none. */
  readonly readRoles: (rules: unknown) => readonly RoleRule[] | undefined;
  /** What of a rule's recognition the recogniser would refuse; empty: nothing. Default: nobody looks. */
  readonly checkRecognition?: (asr: RouteSettings['asr']) => readonly string[];
}

/** Reads rules; every fault at once, each with its line. Never throws. */
export function readRoutes(text: string, options: ReadRoutesOptions): RoutesReading {
  if (text.length > FILE_CHARACTERS_MAX) {
    return faultsOf([{ line: 1, where: '', what: `longer than ${FILE_CHARACTERS_MAX} characters` }]);
  }
  const document = readYaml(text);
  if (document.kind === 'faults') return faultsOf(document.faults);
  const result = routesSchema.safeParse(document.content ?? { rules: [] });
  if (!result.success) return faultsOf(faultsOfIssues(result.error, document));
  return compile(result.data, document, options);
}

function compile(
  file: RoutesFile,
  document: Pick<YamlDocument, 'lineOf'>,
  options: ReadRoutesOptions,
): RoutesReading {
  const { tenants, rules, vocabulary_prefix: prefix } = file;
  const { lineOf } = document;
  const { lists, faults: faultsOfLists } = compileVocabularies(file, document, options);
  const faults: RoutesFault[] = [...faultsOfLists];
  const compiled: RouteRule[] = [];
  const firstWith = new Map<string, RouteRule>();
  const names = new Map<string, number>();
  for (const [index, rule] of rules.entries()) {
    const line = lineOf(['rules', index]);
    const where = `rules[${index}]`;
    const sameName = names.get(rule.name);
    if (sameName !== undefined) {
      faults.push({ line, where, what: `the rule of line ${sameName} has the name ${rule.name}, too` });
    }
    names.set(rule.name, sameName ?? line);
    const roles = rule.set.roles === undefined ? undefined : options.readRoles(rule.set.roles);
    if (rule.set.roles !== undefined && roles === undefined) {
      const path = ['rules', index, 'set', 'roles'];
      faults.push({ line: lineOf(path), where: toWhere(path), what: 'expected rules as in ROLE_RULES' });
    }
    const conditions = conditionsOf(rule.when);
    const { vocabulary, model = options.model, vocabulary_id: given } = rule.set;
    const { id = given, fault } =
      vocabulary === undefined ? {} : idOfVocabulary(vocabulary, model, file, options);
    if (fault !== undefined) {
      const path = ['rules', index, 'set', 'vocabulary'];
      faults.push({ line: lineOf(path), where: toWhere(path), what: fault });
    }
    const { voicemail, faults: faultsOfPrompts } = compileVoicemail(rule.set, options);
    for (const { setting, what } of faultsOfPrompts) {
      const path = ['rules', index, 'set', 'voicemail', setting];
      faults.push({ line: lineOf(path), where: toWhere(path), what });
    }
    const settings: RouteSettings = { ...settingsOf(rule.set, roles, id), voicemail };
    for (const what of options.checkRecognition?.(settings.asr) ?? []) {
      const path = ['rules', index, 'set'];
      faults.push({ line: lineOf(path), where: toWhere(path), what });
    }
    const taker = firstWith.get('{}') ?? firstWith.get(keyOf(rule.when));
    if (taker !== undefined) {
      const what = `can never match: the rule of line ${taker.line} (${taker.name}) takes its calls before`;
      faults.push({ line, where, what });
    }
    const own: RouteRule = { name: rule.name, line, conditions, settings };
    if (taker === undefined) firstWith.set(keyOf(rule.when), own);
    compiled.push(own);
  }
  if (faults.length > 0) return faultsOf(faults);
  const limits = new Map(
    Object.entries(tenants).map(([tenant, { calls_max: callsMax }]) => [tenant, { callsMax }]),
  );
  const stale = options.lock === undefined ? [] : staleLists(lists, options.lock);
  return { kind: 'routes', routes: { rules: compiled, limits, hotWords: { prefix, lists, stale } } };
}

/** The same for conditions that say the same. */
const keyOf = (when: RuleOfFile['when']): string =>
  JSON.stringify(Object.fromEntries(Object.entries(when).sort(([a], [b]) => (a < b ? -1 : 1))));

const listOf = <T>(value: T | readonly T[]): readonly T[] =>
  Array.isArray(value) ? (value as readonly T[]) : [value as T];

function conditionsOf(when: RuleOfFile['when']): readonly Condition[] {
  const conditions: Condition[] = [];
  const patterns = (texts: string | readonly string[]): ReturnType<typeof readPattern>[] =>
    listOf(texts).map(readPattern);
  if (when.call !== undefined) conditions.push({ kind: 'call', is: when.call });
  if (when.source !== undefined) {
    const blocks = listOf(when.source);
    conditions.push({ kind: 'source', texts: blocks, blocks: new AddressBlocks(blocks) });
  }
  for (const [kind, texts] of [
    ['called', when.called],
    ['calling', when.calling],
    ['request-uri', when.request_uri],
    ['participant', when.participant],
  ] as const) {
    if (texts !== undefined) conditions.push({ kind, patterns: patterns(texts) });
  }
  for (const [kind, named] of [
    ['header', when.headers],
    ['metadata', when.metadata],
  ] as const) {
    for (const [name, texts] of Object.entries(named ?? {})) {
      conditions.push({ kind, name: name.toLowerCase(), patterns: patterns(texts) });
    }
  }
  if (when.time !== undefined) {
    const windows = listOf(when.time).map(({ days, from, to, zone }) => ({
      days,
      fromMinute: readMinute(from) ?? 0,
      toMinute: readMinute(to) ?? 0,
      zone,
    }));
    conditions.push({ kind: 'time', windows });
  }
  return conditions;
}

const settingsOf = (
  set: RuleOfFile['set'],
  roles: readonly RoleRule[] | undefined,
  vocabularyId: string | undefined,
): Omit<RouteSettings, 'voicemail'> => ({
  mode: set.mode,
  tenant: set.tenant,
  webhooks: set.webhooks === 'none' ? [] : set.webhooks,
  asr: {
    model: set.model,
    vocabularyId,
    vocabulary: set.vocabulary,
    phraseId: set.phrase_id,
    parameters: set.parameters,
  },
  roles,
  keep: { recording: set.keep.recording, words: set.keep.words, digits: set.keep.digits },
  refuse: { status: set.refuse_status },
});

const faultsOf = (faults: readonly RoutesFault[]): RoutesReading => ({
  kind: 'faults',
  faults: [...faults].sort((a, b) => a.line - b.line),
});
