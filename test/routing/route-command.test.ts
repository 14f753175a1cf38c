import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { start } from '../support/root-process.ts';

let directory: string;
let rules: string;
let inviteFile: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'callscribe-route-'));
  rules = join(directory, 'routes.yaml');
  inviteFile = join(directory, 'invite.txt');
  await writeFile(
    rules,
    [
      'rules:',
      '  - name: night',
      '    when: { time: { from: "18:00", to: "08:00", zone: Asia/Shanghai } }',
      '    set: { webhooks: none }',
      '  - name: agents',
      '    when: { called: "10*", source: 192.0.2.0/24 }',
      '    set: { tenant: acme, webhooks: [crm, wfm] }',
    ].join('\n'),
  );
  await writeFile(
    inviteFile,
    [
      'INVITE sip:1001@rec.example.com SIP/2.0',
      'Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1',
      'From: <sip:a@example.com>;tag=1',
      'To: <sip:1001@rec.example.com>',
      'Call-ID: 1',
      'CSeq: 1 INVITE',
      'Content-Length: 0',
      '',
      '',
    ].join('\n'),
  );
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

async function route(...args: readonly string[]): Promise<{ code: number | null; out: string; err: string }> {
  const { output, ended } = start('route.ts', args, { ROUTES_FILE: rules });
  return { code: await ended, out: output.stdout, err: output.stderr };
}

it('explains which rule takes an INVITE, and why', { timeout: 120_000 }, async () => {
  const day = await route('explain', inviteFile, '--at', '2026-03-02T12:00:00+08:00');
  expect(day.out).toBe(
    [
      '✗ night (line 2)',
      '    ✗ time 18:00–08:00 Asia/Shanghai expected; found 2026-03-02T04:00:00.000Z',
      '✓ agents (line 5)',
      '    ✓ source 192.0.2.0/24; found 192.0.2.7',
      '    ✓ called 10*; found 1001',
      '',
      'taken by agents: mode live, tenant acme, webhooks crm wfm',
      '',
    ].join('\n'),
  );
  const night = await route('explain', inviteFile, '--at', '2026-03-02T23:00:00+08:00');
  expect(night.out).toContain('taken by night: mode live, webhooks none\n');
  const elsewhere = await route(
    'explain',
    inviteFile,
    '--at',
    '2026-03-02T12:00:00+08:00',
    '--from',
    '10.0.0.1',
  );
  expect(elsewhere.out).toContain('taken by no rule');
  expect([day.code, night.code, elsewhere.code]).toEqual([0, 0, 0]);
});

it(
  'checks a file, prints its schema, and says what is wrong with its arguments',
  { timeout: 120_000 },
  async () => {
    expect(await route('check')).toMatchObject({ code: 0, out: '2 rules can be taken\n' });
    expect(JSON.parse((await route('schema')).out)).toMatchObject({ type: 'object' });
    const wrong = join(directory, 'wrong.yaml');
    await writeFile(wrong, 'rules:\n  - { name: a, set: { parameters: { max_sentence_silence: 1 } } }');
    const checked = await route('check', '--file', wrong);
    expect(checked).toMatchObject({
      code: 1,
      out: expect.stringMatching(/wrong\.yaml:2 .*maxSentenceSilence/) as string,
    });
    const usage = await route('explane', '--at', 'noon');
    expect(usage.code).toBe(2);
    expect(usage.err).toMatch(/--at: expected a time[^]*explane: expected explain, check or schema/);
  },
);
