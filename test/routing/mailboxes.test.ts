import { describe, expect, it } from 'vitest';

import { tenantOfMailbox } from '../../src/routing/mailboxes.ts';
import { readRoutes } from '../../src/routing/read-routes.ts';

const RULES = `
rules:
  - name: live
    when: { called: "10*" }
  - name: reception
    when: { called: "5001", time: { from: "18:00", to: "08:00", zone: UTC } }
    set: { mode: voicemail, tenant: acme, voicemail: { mailbox: "reception" } }
  - name: everybody
    when: { called: ["10??", "/^2\\\\d{3}$/"], calling: "+86*" }
    set: { mode: voicemail }
  - name: the same by its name
    set: { mode: voicemail, tenant: default, voicemail: { mailbox: "1001" } }
  - name: one of a site
    when: { source: 10.1.0.0/16 }
    set: { mode: voicemail, tenant: one, voicemail: { mailbox: "700" } }
  - name: other site
    when: { source: 10.2.0.0/16 }
    set: { mode: voicemail, tenant: two, voicemail: { mailbox: "700" } }
  - name: third site
    when: { source: 10.2.3.0/24 }
    set: { mode: voicemail, tenant: three, voicemail: { mailbox: "700" } }
`;

function tenantOf(mailbox: string, source = '192.168.0.1'): string | undefined {
  const reading = readRoutes(RULES, { model: 'paraformer-realtime-8k-v2', readRoles: () => [] });
  if (reading.kind === 'faults') throw new Error(JSON.stringify(reading.faults));
  return tenantOfMailbox(reading.routes, { mailbox, source, tenantDefault: 'default' });
}

describe('the mailbox that a peer asks about', () => {
  it.each([
    ['is named by a rule, whatever else the rule asks of a call', 'reception', 'acme'],
    ['is not the number that leads to it', '5001', undefined],
    ['is the number that is called, where the rule names none', '1001', 'default'],
    ['likewise, by a regular expression', '2999', 'default'],
    ['is none that no rule knows', '3001', undefined],
    ['is none of a rule of another mode', '10', undefined],
  ])('%s', (_, mailbox, tenant) => {
    expect(tenantOf(mailbox)).toBe(tenant);
  });

  it('is that of the peer’s own side, and none where that is not clear', () => {
    expect(tenantOf('700', '10.1.0.9')).toBe('one');
    expect(tenantOf('700', '10.2.0.9')).toBe('two');
    expect(tenantOf('700', '10.3.0.9')).toBeUndefined();
    expect(tenantOf('700', '10.2.3.9')).toBeUndefined();
  });
});
