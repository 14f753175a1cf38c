import { describe, expect, it } from 'vitest';

import { type RoutedInvite, routeFactsOf } from '../../src/routing/facts.ts';
import { explainRules, findRule } from '../../src/routing/matching.ts';
import { readRoutes, type RoutesFault } from '../../src/routing/read-routes.ts';
import type { Routes } from '../../src/routing/route-rules.ts';
import { routesJsonSchema } from '../../src/routing/routes-schema.ts';
import { readMetadata } from '../../src/sip/rs-metadata.ts';

const readRoles = (): [] => [];

function routesOf(text: string): Routes {
  const reading = readRoutes(text, { model: 'paraformer-realtime-8k-v2', readRoles });
  if (reading.kind === 'faults') throw new Error(JSON.stringify(reading.faults));
  return reading.routes;
}

function faultsOf(text: string): readonly RoutesFault[] {
  const reading = readRoutes(text, { model: 'paraformer-realtime-8k-v2', readRoles: () => undefined });
  return reading.kind === 'faults' ? reading.faults : [];
}

const RULES = `
tenants:
  acme: { calls_max: 2 }
rules:
  - name: strangers
    when: { source: 203.0.113.0/24 }
    set: { mode: refuse, refuse_status: 603 }
  - name: lobby
    when: { call: plain, called: "/^8[0-9]{3}$/" }
    set: { tenant: lobby }
  - name: acme at night
    when:
      headers: { X-Tenant: acme }
      time: { from: "18:00", to: "08:00", days: [mon, tue, wed, thu, fri], zone: Asia/Shanghai }
    set: { tenant: acme, vocabulary_id: vocab-night }
  - name: acme
    when: { headers: { X-Tenant: [acme, "acme-*"] } }
    set: { tenant: acme, vocabulary_id: vocab-day, keep: { recording: memory, digits: hide, words: false } }
  - name: sales
    when: { metadata: { skill: sales } }
    set: { tenant: sales, phrase_id: phrase-1, model: paraformer-realtime-8k-v1 }
  - name: anna
    when: { participant: "anna@*" }
    set: { tenant: anna }
  - name: shanghai
    when: { called: "8621????", calling: "+86*" }
    set: { tenant: shanghai }
  - name: the rest
`;

const METADATA = `<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>complete</datamode>
<session session_id="s1"/><participant participant_id="p1"><nameID aor="sip:anna@x"><name>Anna</name></nameID></participant>
<ac:Skill xmlns:ac="urn:x">Sales</ac:Skill></recording>`;

const invite = (over: Partial<RoutedInvite> = {}): RoutedInvite => ({
  requestUri: 'sip:86211234@rec.example',
  headers: [{ name: 'from', value: '"A" <sip:%2B8613800000000@x>;tag=1' }],
  metadata: undefined,
  recording: true,
  peerAddress: '10.0.0.1',
  ...over,
});
const MONDAY_10_SHANGHAI = new Date('2026-11-23T02:00:00Z');
const header = (value: string): RoutedInvite['headers'] => [{ name: 'x-tenant', value }];
const withMetadata = (text: string): Partial<RoutedInvite> => ({ metadata: readMetadata(text) });

describe('the first rule that matches decides', () => {
  it.each<[string, Partial<RoutedInvite>, Date]>([
    ['strangers', { peerAddress: '203.0.113.9', headers: header('acme') }, MONDAY_10_SHANGHAI],
    ['strangers', { peerAddress: '::ffff:203.0.113.9' }, MONDAY_10_SHANGHAI],
    ['lobby', { recording: false, requestUri: 'sip:8001@pbx' }, MONDAY_10_SHANGHAI],
    ['lobby', { recording: false, headers: [{ name: 'to', value: '<sip:8001@pbx>' }] }, MONDAY_10_SHANGHAI],
    ['the rest', { recording: true, requestUri: 'sip:8001@pbx' }, MONDAY_10_SHANGHAI],
    ['acme', { headers: header('ACME') }, MONDAY_10_SHANGHAI],
    ['acme', { headers: header('acme-east') }, MONDAY_10_SHANGHAI],
    ['acme at night', { headers: header('acme') }, new Date('2026-11-23T10:00:00Z')],
    // Friday night lasts until Saturday morning, Sunday night is none of the week's.
    ['acme at night', { headers: header('acme') }, new Date('2026-11-27T23:59:00Z')],
    ['acme', { headers: header('acme') }, new Date('2026-11-29T11:00:00Z')],
    ['sales', withMetadata(METADATA), MONDAY_10_SHANGHAI],
    ['anna', withMetadata(METADATA.replace('Sales', 'support')), MONDAY_10_SHANGHAI],
    ['shanghai', {}, MONDAY_10_SHANGHAI],
    ['the rest', { requestUri: 'sip:862112345@rec' }, MONDAY_10_SHANGHAI],
    ['the rest', { headers: [] }, MONDAY_10_SHANGHAI],
  ])('%s', (name, over, at) => {
    const routes = routesOf(RULES);
    const facts = routeFactsOf(invite(over), at);
    expect(findRule(routes, facts)?.name).toBe(name);
    const explained = explainRules(routes, facts);
    expect(explained.at(-1)).toMatchObject({ rule: { name }, matches: true });
    expect(explained.slice(0, -1).every(({ matches, findings }) => !matches && findings.length > 0)).toBe(
      true,
    );
  });

  it('and sets what it says', () => {
    const { rules, limits } = routesOf(RULES);
    expect(rules.find(({ name }) => name === 'acme')?.settings).toMatchObject({
      mode: 'live',
      tenant: 'acme',
      asr: { vocabularyId: 'vocab-day', parameters: {} },
      keep: { recording: 'memory', words: false, digits: 'hide' },
    });
    expect(limits.get('acme')).toEqual({ callsMax: 2 });
  });

  it.each([
    ['', undefined],
    ['webhooks: none', []],
    ['webhooks: [crm]', ['crm']],
    ['webhooks: [crm, 2_x-y], mode: voicemail', ['crm', '2_x-y']],
    // As all other settings, it has no effect there.
    ['webhooks: none, mode: refuse', []],
  ])('and of endpoints: %s', (set, webhooks) => {
    const { rules } = routesOf(`rules:\n  - { name: a, set: { ${set} } }`);
    expect(rules[0]?.settings.webhooks).toEqual(webhooks);
  });

  it('a header of a kilobyte and an expression that would run for ever elsewhere take no time', () => {
    const routes = routesOf('rules:\n  - { name: a, when: { headers: { X-T: "/^(a+)+$/" } } }');
    const facts = routeFactsOf(
      invite({ headers: [{ name: 'x-t', value: `${'a'.repeat(100_000)}!` }] }),
      new Date(),
    );
    expect(findRule(routes, facts)?.name).toBe('a');
    const short = routeFactsOf(
      invite({ headers: [{ name: 'x-t', value: `${'a'.repeat(1_000)}!` }] }),
      new Date(),
    );
    expect(findRule(routes, short)).toBeUndefined();
  });
});

describe('a file that cannot be taken names every fault with its line', () => {
  it.each<[string, string, number, RegExp]>([
    ['no YAML', 'rules:\n  - {', 2, /flow/i],
    ['a key that is none', 'rules:\n  - name: a\n    when: { caled: "1" }', 3, /caled/],
    [
      'a name twice',
      'rules:\n  - { name: a, when: { called: "1" } }\n  - { name: a, when: { called: "2" } }',
      3,
      /line 2/,
    ],
    [
      'a rule behind one for all calls',
      'rules:\n  - name: all\n  - { name: b, when: { called: "1" } }',
      3,
      /never match.*line 2/,
    ],
    [
      'the same conditions again',
      'rules:\n  - { name: a, when: { call: plain, called: "1" } }\n  - { name: b, when: { called: "1", call: plain } }',
      3,
      /never match/,
    ],
    [
      'metadata of plain calls',
      'rules:\n  - { name: a, when: { call: plain, metadata: { x: y } } }',
      2,
      /never match/,
    ],
    [
      'an expression that is none',
      'rules:\n  - name: a\n    when:\n      called: "/(/"',
      4,
      /regular expression/,
    ],
    [
      'an expression with a look-ahead',
      'rules:\n  - { name: a, when: { called: "/(?=1)/" } }',
      2,
      /look-around/,
    ],
    ['a block that is none', 'rules:\n  - { name: a, when: { source: 10.0.0.0/64 } }', 2, /CIDR/],
    [
      'a zone that is none',
      'rules:\n  - { name: a, when: { time: { zone: Moon/Base } } }',
      2,
      /Asia\/Shanghai/,
    ],
    [
      'an empty window',
      'rules:\n  - { name: a, when: { time: { zone: UTC, from: "08:00", to: "08:00" } } }',
      2,
      /empty/,
    ],
    ['two word lists', 'rules:\n  - { name: a, set: { vocabulary_id: v, phrase_id: p } }', 2, /at most one/],
    [
      'roles that are none',
      'rules:\n  - name: a\n    set:\n      roles: [{ kind: nonsense }]',
      4,
      /ROLE_RULES/,
    ],
    ['webhooks that are no list', 'rules:\n  - { name: a, set: { webhooks: crm } }', 2, /none, or a list/],
    ['webhooks without a name', 'rules:\n  - { name: a, set: { webhooks: [] } }', 2, /none, or a list/],
    ['none among names', 'rules:\n  - { name: a, set: { webhooks: [crm, none] } }', 2, /not `none`/],
    ['a name that no endpoint has', 'rules:\n  - { name: a, set: { webhooks: [CRM] } }', 2, /lower-case/],
    [
      'more names than a tenant has endpoints',
      `rules:\n  - { name: a, set: { webhooks: [${Array.from({ length: 21 }, (_, no) => `n${no}`).join()}] } }`,
      2,
      /1 to 20/,
    ],
    ['no rules', 'tenants: {}', 1, /array/],
  ])('%s', (_name, text, line, what) => {
    const faults = faultsOf(text);
    expect(faults.map((fault) => fault.line)).toEqual([line]);
    expect(faults[0]?.what).toMatch(what);
  });

  it('all of them', () => {
    expect(faultsOf('rules:\n  - { nam: a }\n  - { name: b, when: { source: x } }')).toHaveLength(3);
  });
});

it('editors get a schema', () => {
  expect(routesJsonSchema()).toMatchObject({ type: 'object', required: ['rules'] });
  expect(JSON.stringify(routesJsonSchema())).toContain('Webhook endpoints of the tenant that are told');
});
