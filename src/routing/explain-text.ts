import { dirname, join } from 'node:path';

import type { explainRules, Finding } from './matching.ts';
import type { RoutesFault } from './read-routes.ts';
import type { Condition, RouteSettings } from './route-rules.ts';

const SAW_MAX = 3;

/** For people: each rule up to the one that matches, and what was seen of the INVITE. */
export function explainText(explained: ReturnType<typeof explainRules>): string {
  const lines: string[] = [];
  for (const { rule, findings, matches } of explained) {
    lines.push(`${matches ? '✓' : '✗'} ${rule.name} (line ${rule.line})`);
    if (findings.length === 0) lines.push('    every call');
    for (const finding of findings) lines.push(`    ${finding.holds ? '✓' : '✗'} ${findingText(finding)}`);
  }
  const last = explained.at(-1);
  lines.push('');
  if (last?.matches === true) lines.push(`taken by ${last.rule.name}: ${settingsText(last.rule.settings)}`);
  else lines.push('taken by no rule: the settings of the environment hold');
  return lines.join('\n');
}

export const faultsText = (file: string, faults: readonly RoutesFault[]): string =>
  faults
    .map(({ file: beside, line, where, what }) => {
      const path = beside === undefined ? file : join(dirname(file), beside);
      return `${path}:${line}${where === '' ? '' : ` ${where}`}: ${what}`;
    })
    .join('\n');

function findingText({ condition, holds, saw }: Finding): string {
  const shown = saw.slice(0, SAW_MAX).join(', ') + (saw.length > SAW_MAX ? ', …' : '');
  const found = saw.length === 0 ? 'nothing' : shown;
  return `${conditionText(condition)}${holds ? '' : ' expected'}; found ${found}`;
}

function conditionText(condition: Condition): string {
  switch (condition.kind) {
    case 'header':
    case 'metadata':
      return `${condition.kind} ${condition.name}: ${sources(condition)}`;
    case 'source':
      return `source ${condition.texts.join(', ')}`;
    case 'call':
      return `call ${condition.is}`;
    case 'time':
      return `time ${condition.windows
        .map(({ days, fromMinute, toMinute, zone }) =>
          [days.join(' '), `${clock(fromMinute)}–${clock(toMinute)}`, zone].filter(Boolean).join(' '),
        )
        .join(', ')}`;
    default:
      return `${condition.kind} ${sources(condition)}`;
  }
}

const sources = ({ patterns }: Extract<Condition, { readonly patterns: unknown }>): string =>
  patterns
    .slice(0, SAW_MAX)
    .map(({ source }) => source)
    .join(', ') + (patterns.length > SAW_MAX ? ', …' : '');

const clock = (minute: number): string =>
  `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;

function settingsText({
  mode,
  tenant,
  webhooks,
  asr,
  keep,
  roles,
  refuse,
  voicemail,
}: RouteSettings): string {
  const told = {
    mode: mode === 'refuse' ? `refuse ${refuse.status}` : mode,
    tenant,
    webhooks: webhooks?.length === 0 ? 'none' : webhooks?.join(' '),
    mailbox: voicemail === undefined ? undefined : (voicemail.mailbox ?? 'of the called number'),
    model: asr.model,
    vocabulary: asr.vocabulary,
    vocabulary_id: asr.vocabularyId,
    phrase_id: asr.phraseId,
    roles: roles === undefined ? undefined : `${roles.length} rules`,
    recording: keep.recording,
    words: keep.words ? undefined : 'not kept',
    digits: keep.digits,
  };
  return Object.entries(told)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}
