import type { RouteFacts } from './facts.ts';
import type { Condition, RouteRule, Routes } from './route-rules.ts';
import { isWithin } from './time-window.ts';

/** A condition as it was answered. */
export interface Finding {
  readonly condition: Condition;
  readonly holds: boolean;
  /** What of the INVITE was looked at; of what holds, what made it hold. */
  readonly saw: readonly string[];
}

/** The first rule that matches; undefined where none does. */
export function findRule({ rules }: Routes, facts: RouteFacts): RouteRule | undefined {
  return rules.find(({ conditions }) => conditions.every((condition) => ask(condition, facts).holds));
}

/** Why each rule, up to the one that matches, takes the INVITE or not. */
export function explainRules(
  { rules }: Routes,
  facts: RouteFacts,
): readonly { readonly rule: RouteRule; readonly findings: readonly Finding[]; readonly matches: boolean }[] {
  const explained = [];
  for (const rule of rules) {
    const findings = rule.conditions.map((condition) => ask(condition, facts));
    const matches = findings.every(({ holds }) => holds);
    explained.push({ rule, findings, matches });
    if (matches) break;
  }
  return explained;
}

function ask(condition: Condition, facts: RouteFacts): Finding {
  switch (condition.kind) {
    case 'called':
      return askTexts(condition, facts.called);
    case 'calling':
      return askTexts(condition, facts.calling);
    case 'request-uri':
      return askTexts(condition, [facts.requestUri]);
    case 'participant':
      return askTexts(condition, facts.participants);
    case 'header': {
      const values = facts.headers.flatMap(({ name, value }) => (name === condition.name ? value : []));
      return askTexts(condition, values);
    }
    case 'metadata': {
      const texts = facts.extensions.flatMap(([name, text]) => (name === condition.name ? text : []));
      return askTexts(condition, texts);
    }
    case 'source':
      return { condition, holds: condition.blocks.contains(facts.source), saw: [facts.source] };
    case 'call':
      return { condition, holds: condition.is === facts.kind, saw: [facts.kind] };
    case 'time':
      return {
        condition,
        holds: condition.windows.some((window) => isWithin(window, facts.at)),
        saw: [facts.at.toISOString()],
      };
  }
}

function askTexts(
  condition: Extract<Condition, { readonly patterns: unknown }>,
  texts: readonly string[],
): Finding {
  const found = texts.find((text) => condition.patterns.some((pattern) => pattern.matches(text)));
  return found === undefined
    ? { condition, holds: false, saw: texts }
    : { condition, holds: true, saw: [found] };
}
