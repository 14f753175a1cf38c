import { describe, expect, it } from 'vitest';

import { type RoutedInvite, routeFactsOf } from '../../src/routing/facts.ts';
import { findMailbox, mailboxOf } from '../../src/routing/mailboxes.ts';
import { explainRules, findRule } from '../../src/routing/matching.ts';
import { readRoutes, type RoutesReading } from '../../src/routing/read-routes.ts';
import type { Routes } from '../../src/routing/route-rules.ts';
import type { PromptFile } from '../../src/routing/voicemail-rules.ts';

const PROMPT = { PCMU: new Uint8Array(8), PCMA: new Uint8Array(8) };
const asked: PromptFile[] = [];

const read = (text: string): RoutesReading =>
  readRoutes(text, {
    model: 'paraformer-realtime-8k-v2',
    readRoles: () => [],
    readPrompt: (file) => {
      asked.push(file);
      return file.path === 'bad.wav'
        ? { kind: 'fault', what: 'no WAV file' }
        : { kind: 'prompt', prompt: PROMPT };
    },
  });

function routesOf(text: string): Routes {
  const reading = read(text);
  if (reading.kind === 'faults') throw new Error(JSON.stringify(reading.faults));
  return reading.routes;
}

const invite = (over: Partial<RoutedInvite> = {}): RoutedInvite => ({
  requestUri: 'sip:1001@pbx.example',
  headers: [],
  metadata: undefined,
  recording: false,
  peerAddress: '10.0.0.1',
  ...over,
});
const facts = (over: Partial<RoutedInvite> = {}): ReturnType<typeof routeFactsOf> =>
  routeFactsOf(invite(over), new Date());

describe('a rule of mode voicemail', () => {
  it('has what it says, and what it does not say by default', () => {
    asked.length = 0;
    const { rules } = routesOf(`
rules:
  - name: all
    set:
      mode: voicemail
      voicemail:
        { mailbox: "7", greeting: a.wav, beep: b.wav, max_seconds: 60, silence_seconds: 2.5, min_seconds: 0,
          finish_key: none, mail_to: [a@example.com, a@example.com] }`);
    expect(rules[0]?.settings.voicemail).toEqual({
      mailbox: '7',
      greeting: PROMPT,
      beep: PROMPT,
      maxMs: 60_000,
      silenceMs: 2_500,
      minSpeechMs: 0,
      finishKey: undefined,
      mailTo: ['a@example.com'],
    });
    expect(asked).toEqual([
      { path: 'a.wav', maxMs: 180_000 },
      { path: 'b.wav', maxMs: 5_000 },
    ]);
    expect(routesOf('rules: [{ name: a, set: { mode: voicemail } }]').rules[0]?.settings.voicemail).toEqual({
      mailbox: undefined,
      greeting: undefined,
      beep: undefined,
      maxMs: 180_000,
      silenceMs: 5_000,
      minSpeechMs: 1_000,
      finishKey: '#',
      mailTo: [],
    });
  });

  it('takes plain calls only, so that a rule behind it may take the others', () => {
    const routes = routesOf('rules:\n  - { name: box, set: { mode: voicemail } }\n  - { name: rest }');
    expect(findRule(routes, facts())?.name).toBe('box');
    expect(findRule(routes, facts({ recording: true }))?.name).toBe('rest');
    expect(explainRules(routes, facts({ recording: true }))[0]?.findings).toMatchObject([
      { condition: { kind: 'call', is: 'plain' }, holds: false, saw: ['siprec'] },
    ]);
  });

  it.each<[string, string, number, string, RegExp]>([
    ['recording sessions', 'when: { call: siprec }', 3, 'rules[0].when', /never match/],
    ['metadata', 'when: { metadata: { a: b } }', 3, 'rules[0].when', /never match/],
    ['participants', 'when: { participant: a }', 3, 'rules[0].when', /never match/],
  ])('can never match %s', (_name, when, line, where, what) => {
    const reading = read(`rules:\n  - name: a\n    ${when}\n    set: { mode: voicemail }`);
    expect(reading).toMatchObject({ faults: [{ line, where, what: expect.stringMatching(what) as string }] });
  });

  it.each<[string, string, string, RegExp]>([
    ['a greeting that is no audio', 'greeting: bad.wav', 'greeting', /bad\.wav: no WAV file/],
    ['a beep that is none', 'beep: bad.wav', 'beep', /bad\.wav/],
    ['a greeting outside', 'greeting: ../secret.wav', 'greeting', /below the directory/],
    ['a greeting by its absolute path', 'greeting: /etc/passwd', 'greeting', /below the directory/],
    ['no seconds', 'max_seconds: 0', 'max_seconds', />=1/],
    ['more than an hour', 'max_seconds: 3601', 'max_seconds', /<=3600/],
    ['a key that is none', 'finish_key: "##"', 'finish_key', /Invalid option/],
    ['an address that is none', 'mail_to: [anna]', 'mail_to[0]', /email/],
    ['a mailbox of a kilobyte', `mailbox: ${'x'.repeat(1_024)}`, 'mailbox', /128/],
    ['a mailbox without a name', 'mailbox: " "', 'mailbox', />=1/],
  ])('%s is a fault of its line', (_name, setting, where, what) => {
    const set = `mode: voicemail\n      voicemail:\n        ${setting}`;
    const reading = read(`rules:\n  - name: a\n    set:\n      ${set}`);
    expect(reading).toMatchObject({
      faults: [
        {
          line: 6,
          where: `rules[0].set.voicemail.${where}`,
          what: expect.stringMatching(what) as string,
        },
      ],
    });
  });

  it.each<[string, string, string]>([
    ['settings for messages of a rule that takes none', '{ voicemail: { mailbox: a } }', 'set.voicemail'],
    ['a recording that is not kept', '{ mode: voicemail, keep: { recording: spool } }', 'set.keep.recording'],
  ])('%s', (_name, set, where) => {
    expect(read(`rules: [{ name: a, set: ${set} }]`)).toMatchObject({
      faults: [{ where: `rules[0].${where}` }],
    });
  });
});

describe('the mailbox of a call', () => {
  const RULES = `
rules:
  - { name: named, when: { called: "900*" }, set: { mode: voicemail, tenant: acme, voicemail: { mailbox: office } } }
  - { name: by number, when: { called: ["10??", "2001"] }, set: { mode: voicemail, tenant: zoo } }
  - { name: live, when: { called: "3*" } }`;

  it.each<[string, string | undefined]>([
    ['sip:9001@pbx', 'office'],
    ['sip:1001@pbx', '1001'],
    ['sip:2001@pbx;user=phone', '2001'],
    [`sip:10${'0'.repeat(200)}@pbx`, undefined],
  ])('%s: %s', (requestUri, mailbox) => {
    const routes = routesOf(RULES.replace('"10??"', '"10*"'));
    const of = facts({ requestUri });
    const rule = findRule(routes, of);
    expect(rule && mailboxOf(rule, of)).toBe(mailbox);
  });

  it('of a call that names no user there is none', () => {
    const routes = routesOf('rules: [{ name: a, set: { mode: voicemail } }]');
    const of = facts({ requestUri: 'sip:pbx.example' });
    expect(mailboxOf(findRule(routes, of)!, of)).toBeUndefined();
  });

  it.each<[string, string | undefined]>([
    ['office', 'named'],
    ['1042', 'by number'],
    ['2001', 'by number'],
    ['9001', undefined],
    ['3001', undefined],
  ])('%s is a mailbox of %s', (mailbox, name) => {
    expect(findMailbox(routesOf(RULES), mailbox)?.name).toBe(name);
  });
});
