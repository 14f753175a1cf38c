import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { Bus } from '../../src/bus/bus.ts';
import { PacketBus } from '../../src/bus/packet-bus.ts';
import { postgresTransport } from '../../src/bus/postgres-transport.ts';
import { silentLogger as logger } from '../../src/log.ts';
import { tellMailboxNews } from '../../src/voicemail/mailbox-news.ts';
import { startTestService, type TestService } from '../support/service.ts';
import { headerOf, newCall, request, respond, type SipPeer, tagOf, udpPeer } from '../support/sip-peer.ts';

const run = promisify(execFile);

const RULES = `
rules:
  - name: mailboxes
    when: { called: "10??" }
    set: { mode: voicemail, tenant: acme }
`;

let folder: string;
let test: TestService;
let phone: SipPeer;
/** Of another process, whose news are newer than what the database says. */
let bus: Bus;
let newCount: number;
let told: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'callscribe-mwi-'));
  await writeFile(join(folder, 'routes.yaml'), RULES);
});
afterAll(() => rm(folder, { recursive: true }));

beforeEach(async () => {
  newCount = 2;
  told = 0;
  test = await startTestService({ queue: 'postgres', env: { ROUTES_FILE: join(folder, 'routes.yaml') } });
  phone = await udpPeer(target());
  bus = new PacketBus({
    openTransport: postgresTransport({ databaseUrl: test.databaseUrl, logger }),
    logger,
    onOutcome: () => undefined,
  });
});
afterEach(async () => {
  await bus.close();
  await phone.close();
  await test[Symbol.asyncDispose]();
});

function target(): { host: string; port: number } {
  const [host = '', port] = test.target('udp').replace('sip:', '').split(':');
  return { host, port: Number(port) };
}

function tell(): void {
  told += 1;
  const asOf = `2999-01-01T00:00:00.${String(told).padStart(6, '0')}Z`;
  tellMailboxNews(bus, { tenant: 'acme', mailbox: '1001', newCount, heardCount: 1, asOf });
}

const subscribe = (user: string, event = 'message-summary'): string =>
  request(phone, 'SUBSCRIBE', newCall(), { headers: [`Event: ${event}`, 'Expires: 120'] })
    .toString()
    .replace('SUBSCRIBE sip:uas@', `SUBSCRIBE sip:${user}@`);

async function notified(fits: RegExp): Promise<string> {
  const notify = await phone.next(new RegExp(`^NOTIFY .*${fits.source}`, 's'));
  phone.send(respond(notify, '200 OK'));
  return notify;
}

describe('message waiting of the whole service', { timeout: 60_000 }, () => {
  it('tells a phone the counts of its mailbox, and each change, until the service ends', async () => {
    phone.send(subscribe('1001'));
    const accepted = await phone.next(/^SIP\/2\.0 200/);
    expect(tagOf(accepted)).not.toBe('');
    expect(await notified(/Voice-Message: 0\/0/)).toContain('Message-Account: sip:1001@example.org');
    tell();
    await notified(/Voice-Message: 2\/1/);
    newCount = 3;
    tell();
    await notified(/Voice-Message: 3\/1/);
    const metrics = await (await fetch(`${test.service.httpUrl}/metrics`)).text();
    expect(metrics).toContain('callscribe_mwi_subscriptions 1');
    expect(metrics).toMatch(/callscribe_mwi_notifies_total\{outcome="taken"\} [1-9]/);

    const closed = test.service.close();
    await notified(/terminated;reason=deactivated/);
    await closed;
  });

  it('knows the mailboxes of the rules, and no other package', async () => {
    phone.send(subscribe('2001'));
    expect(await phone.next(/^SIP/)).toMatch(/^SIP\/2\.0 404 /);
    phone.send(subscribe('1001', 'presence'));
    const refused = await phone.next(/^SIP/);
    expect(refused).toMatch(/^SIP\/2\.0 489 /);
    expect(headerOf(refused, 'Allow-Events')).toBe('message-summary');
  });

  /** SIPp (Debian: sip-tester) is not ours. `npm test` installs it. */
  it.each(['u1', 't1'])('serves sipp (-t %s)', async (transport) => {
    const scenario = fileURLToPath(new URL('sipp-mwi.xml', import.meta.url));
    const { host, port } = target();
    const options = ['-sf', scenario, '-t', transport, '-m', '5', '-r', '5', '-s', '1001', '-nostdin'];
    const address = transport === 't1' ? test.target('tcp').replace('sip:', '') : `${host}:${port}`;
    await run('sipp', [...options, '-timeout', '30', '-timeout_error', '-i', host, address], {
      cwd: folder,
      env: { ...process.env, TERM: 'dumb' },
    });
  });
});
