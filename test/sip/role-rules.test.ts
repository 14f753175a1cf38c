import { describe, expect, it } from 'vitest';

import { type ConfigError, loadConfig } from '../../src/config.ts';
import { type LineParty, UNKNOWN_PARTY } from '../../src/sip/parties.ts';
import { assignRoles, DEFAULT_ROLE_RULES, type RoleFacts, type RoleRule } from '../../src/sip/role-rules.ts';
import { parseRoleRules } from '../../src/sip/role-rules-text.ts';

const leg = (over: Partial<LineParty> = {}, label?: string): RoleFacts['legs'][number] => ({
  label,
  party: { ...UNKNOWN_PARTY, ...over },
});
const AGENT = leg({ uri: 'sip:1001@pbx.example.com', name: 'Anna', participantIds: ['p1'] }, '10');
const CALLER = leg({ uri: 'sip:+4930123@carrier.net', participantIds: ['p2'] }, '9');

const roles = (rules: readonly RoleRule[], facts: Partial<RoleFacts> = {}): string[] =>
  assignRoles(rules, {
    legs: [CALLER, AGENT],
    direction: 'unknown',
    callingNumber: undefined,
    headers: [],
    ...facts,
  }).map(({ role, rule }) => `${role} ${rule}`);

describe('assignRoles', () => {
  it.each<[string, readonly RoleRule[], Partial<RoleFacts>, string[]]>([
    ['nothing known', DEFAULT_ROLE_RULES, {}, ['unknown none', 'unknown none']],
    ['no rule', [], {}, ['unknown none', 'unknown none']],
    [
      'an extension that says it',
      DEFAULT_ROLE_RULES,
      { legs: [leg({ extensions: { 'x:role': 'Customer' } }), leg({ extensions: { 'ac:agentid': '7' } })] },
      ['customer stated', 'agent stated'],
    ],
    [
      'an extension of the site',
      [{ kind: 'extension', name: 'Skill', matches: /^sales/, role: 'agent' }],
      { legs: [leg({ extensions: { 'v:skill': 'sales-1' } }), leg({ extensions: { skill: 'other' } })] },
      ['agent extension', 'unknown none'],
    ],
    [
      'a header with the agent’s number',
      [{ kind: 'header', name: 'X-Agent', role: 'agent' }],
      { headers: [{ name: 'x-agent', value: '1001' }] },
      ['unknown none', 'agent header'],
    ],
    [
      'a pattern of numbers, a domain',
      [
        { kind: 'address', matches: /^\d{4}$/, role: 'agent' },
        { kind: 'address', matches: /@carrier\.net$/, role: 'customer' },
      ],
      {},
      ['customer address', 'agent address'],
    ],
    [
      'a list of extensions',
      [{ kind: 'agent-numbers', numbers: ['1001'] }],
      {},
      ['unknown none', 'agent agent-numbers'],
    ],
    [
      'the near end of a recorded phone',
      DEFAULT_ROLE_RULES,
      { legs: [leg({ end: 'far' }), leg({ end: 'near' })] },
      ['customer near-end', 'agent near-end'],
    ],
    [
      'who called an inbound call, by its number',
      DEFAULT_ROLE_RULES,
      { direction: 'inbound', callingNumber: 'tel:+4930123' },
      ['customer direction', 'agent direction'],
    ],
    [
      'who called an outbound call, by the participant',
      DEFAULT_ROLE_RULES,
      {
        direction: 'outbound',
        legs: [
          leg({ extensions: { 'apkt:callingparty': 'false' } }),
          leg({ extensions: { 'apkt:callingparty': 'true' } }),
        ],
      },
      ['customer direction', 'agent direction'],
    ],
    [
      'a direction without a caller',
      DEFAULT_ROLE_RULES,
      { direction: 'inbound' },
      ['unknown none', 'unknown none'],
    ],
    ['a label', [{ kind: 'label', label: '10', role: 'agent' }], {}, ['unknown none', 'agent label']],
    [
      'the rank of a label, as a number',
      [{ kind: 'label-rank', rank: 'lowest', role: 'customer' }],
      {},
      ['customer label-rank', 'unknown none'],
    ],
    [
      'a position',
      [{ kind: 'position', position: 1, role: 'agent' }],
      {},
      ['unknown none', 'agent position'],
    ],
    [
      'the opposite of the other',
      [{ kind: 'agent-numbers', numbers: ['1001'] }, { kind: 'other-party' }],
      {},
      ['customer other-party', 'agent agent-numbers'],
    ],
    [
      'the first rule that answers',
      [
        { kind: 'position', position: 1, role: 'customer' },
        { kind: 'agent-numbers', numbers: ['1001'] },
      ],
      {},
      ['unknown none', 'customer position'],
    ],
    [
      'a mixed line, whatever the rules say',
      [{ kind: 'position', position: 0, role: 'agent' }],
      { legs: [leg({ mixed: true, participantIds: ['a', 'b'] })] },
      ['mixed mixed'],
    ],
  ])('%s', (_name, rules, facts, expected) => {
    expect(roles(rules, facts)).toEqual(expected);
  });

  it('tells what the rule saw', () => {
    const [verdict] = assignRoles([{ kind: 'agent-numbers', numbers: ['1001'] }], {
      legs: [AGENT],
      direction: 'unknown',
      callingNumber: undefined,
      headers: [],
    });
    expect(verdict?.saw).toBe('sip:1001@pbx.example.com');
  });
});

describe('parseRoleRules', () => {
  it('reads every kind of rule', () => {
    const text = `[{"kind":"stated"},{"kind":"extension","name":"a","role":"agent"},{"kind":"header","name":"X-A","role":"agent"},
      {"kind":"address","matches":"^1\\\\d{3}$","role":"agent"},{"kind":"agent-numbers","numbers":["1"]},{"kind":"near-end"},
      {"kind":"direction"},{"kind":"label","label":"1","role":"customer"},{"kind":"label-rank","rank":"highest","role":"agent"},
      {"kind":"position","position":0,"role":"agent"},{"kind":"other-party"}]`;
    const rules = parseRoleRules(text);
    expect(rules).toHaveLength(11);
    expect(roles(rules!.slice(3, 4))).toEqual(['unknown none', 'agent address']);
  });

  it.each([
    '',
    '{}',
    '[{"kind":"guess"}]',
    '[{"kind":"address","matches":"(","role":"agent"}]',
    '[{"kind":"stated","x":1}]',
  ])('refuses %s', (text) => {
    expect(parseRoleRules(text)).toBeUndefined();
  });
});

describe('ROLE_RULES', () => {
  it('replaces the default rules, and is a fault of the configuration where it cannot be read', () => {
    expect(loadConfig({}).roleRules).toEqual(DEFAULT_ROLE_RULES);
    const rules = loadConfig({ ROLE_RULES: '[{"kind":"address","matches":"^1","role":"agent"}]' }).roleRules;
    expect(roles(rules)).toEqual(['unknown none', 'agent address']);
    expect(() => loadConfig({ ROLE_RULES: '[{"kind":"guess"}]' })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }) as ConfigError,
    );
  });
});
