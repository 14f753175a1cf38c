import { type Document, isNode, LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';

import type { RoutesFault } from './read-routes.ts';

/** A YAML or JSON text, and where in it each thing stands. */
export interface YamlDocument {
  readonly content: unknown;
  /** From 1; of the innermost thing on the path that is there. */
  readonly lineOf: (path: readonly PropertyKey[]) => number;
}

export type YamlReading =
  | ({ readonly kind: 'document' } & YamlDocument)
  | { readonly kind: 'faults'; readonly faults: readonly RoutesFault[] };

/** Aliases may make a small file a huge one. */
const ALIASES_MAX = 1_000;

/** Every fault at once. Never throws. */
export function readYaml(text: string): YamlReading {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const faults = document.errors.map(({ pos, message }) => ({
    line: lines.linePos(pos[0]).line,
    where: '',
    what: message,
  }));
  if (faults.length > 0) return { kind: 'faults', faults };
  try {
    const content: unknown = document.toJS({ maxAliasCount: ALIASES_MAX });
    return { kind: 'document', content, lineOf: (path) => lineOfPath(document, lines, path) };
  } catch (error) {
    const what = error instanceof Error ? error.message : 'unreadable';
    return { kind: 'faults', faults: [{ line: 1, where: '', what }] };
  }
}

/** What a schema found, each with its line. */
export const faultsOfIssues = (
  { issues }: z.ZodError,
  { lineOf }: Pick<YamlDocument, 'lineOf'>,
): readonly RoutesFault[] =>
  issues.map((issue) => ({
    line: lineOf(issue.path),
    where: toWhere(issue.path),
    what: describe(issue),
  }));

/** `['rules', 0, 'set']` → `rules[0].set` */
export const toWhere = (path: readonly PropertyKey[]): string =>
  path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./u, '');

/** Of a union the reasons of its branches say more than that none took it. */
function describe(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'invalid_union') return issue.message;
  const reasons = issue.errors.flatMap((branch) => branch.map(({ message }) => message));
  return reasons.length === 0 ? issue.message : [...new Set(reasons)].join(', or ');
}

function lineOfPath(document: Document, lines: LineCounter, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length -= 1) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range != null) return lines.linePos(node.range[0]).line;
  }
  return 1;
}
