import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';

import { silentLogger } from '../../src/log.ts';
import { lockFileOf, readLock } from '../../src/routing/vocabulary-lock.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { Secret } from '../../src/secret.ts';
import { addEndpoint } from '../../src/store/webhook-endpoints.ts';
import { newSecret } from '../../src/webhooks/endpoint.ts';
import { WEBHOOK_EVENT_TYPES } from '../../src/webhooks/events.ts';
import { placeCalls, type PlannedLeg } from '../support/place-calls.ts';
import { start } from '../support/root-process.ts';
import { sampleSlices } from '../support/sample-slices.ts';
import { completedCalls } from '../support/service.ts';
import { type ScriptedDialog, sdp, type Signalling, startSignalling } from '../support/signalling.ts';
import { headerOf, invite, newCall } from '../support/sip-peer.ts';
import { WebhookReceiver } from '../support/webhook-receiver.ts';

const RULES = `
vocabulary_prefix: acme
vocabularies:
  acme: { file: acme.txt }
tenants:
  small: { calls_max: 1 }
rules:
  - name: unwanted
    when: { headers: { X-Tenant: unwanted } }
    set: { mode: refuse, refuse_status: 603 }
  - name: acme
    when: { headers: { X-Tenant: acme } }
    set:
      tenant: acme
      vocabulary: acme
      parameters: { max_sentence_silence: 600 }
      roles: [{ kind: position, position: 0, role: agent }, { kind: other-party }]
      keep: { recording: spool, words: false }
  - name: small
    when: { headers: { X-Tenant: small } }
    set: { tenant: small }
  - name: told to all
    when: { headers: { X-Tenant: told, X-Told: all } }
    set: { tenant: told }
  - name: told to one
    when: { headers: { X-Tenant: told, X-Told: one } }
    set: { tenant: told, webhooks: [wfm] }
  - name: told to nobody
    when: { headers: { X-Tenant: told, X-Told: none } }
    set: { tenant: told, webhooks: none }
`;

/** What went to the recogniser, by a relay before it. */
interface Tap {
  readonly url: string;
  readonly runs: { readonly payload: { readonly parameters: Record<string, unknown> } }[];
  close(): Promise<void>;
}

async function tapOf(sandbox: Sandbox): Promise<Tap> {
  const runs: Tap['runs'] = [];
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server.on('connection', (client, { headers }) => {
    const behind = new WebSocket(sandbox.url, { headers: { authorization: headers.authorization ?? '' } });
    const waiting: (() => void)[] = [];
    client.on('message', (data: Buffer, isBinary) => {
      if (!isBinary) {
        const message = JSON.parse(data.toString()) as { header: { action: string } } & Tap['runs'][number];
        if (message.header.action === 'run-task') runs.push(message);
      }
      const send = (): void => {
        behind.send(data, { binary: isBinary });
      };
      if (behind.readyState === WebSocket.OPEN) send();
      else waiting.push(send);
    });
    behind.on('open', () => {
      for (const send of waiting.splice(0)) send();
    });
    behind.on('message', (data: Buffer, isBinary) => {
      client.send(data, { binary: isBinary });
    });
    behind.on('close', () => {
      client.close();
    });
    client.on('close', () => {
      behind.close();
    });
  });
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `ws://127.0.0.1:${port}/api-ws/v1/inference`,
    runs,
    close: () =>
      new Promise((resolve) => {
        for (const client of server.clients) client.terminate();
        server.close(() => {
          resolve();
        });
      }),
  };
}

let directory: string;
let file: string;
let sandbox: Sandbox;
let tap: Tap;
let line: Signalling;
/** Of the list `acme`, as the service called it. */
let vocabularyId: string;

async function syncedId(): Promise<string> {
  const { ended, output } = start('vocabulary.ts', ['sync'], {
    ROUTES_FILE: file,
    DATA_DIR: directory,
    DASHSCOPE_HTTP_URL: sandbox.httpUrl,
    DASHSCOPE_API_KEY: 'any',
  });
  if ((await ended) !== 0) throw new Error(output.stderr);
  return readLock(await readFile(lockFileOf(file), 'utf8'))?.['acme']?.id ?? '';
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'callscribe-routing-'));
  file = join(directory, 'routes.yaml');
  await writeFile(file, RULES);
  await writeFile(join(directory, 'acme.txt'), '携号转网 4 zh\nVoLTE 3\n');
  sandbox = await startSandbox({
    host: '127.0.0.1',
    port: 0,
    recogniser: captionsRecogniser,
    logger: silentLogger,
  });
  vocabularyId = await syncedId();
  tap = await tapOf(sandbox);
  line = await startSignalling({
    ROUTES_FILE: file,
    DASHSCOPE_WS_URL: tap.url,
    DASHSCOPE_API_KEY: 'any',
    DRAIN_SECONDS: '0',
    WEBHOOK_ALLOW: '127.0.0.1',
  });
}, 60_000);

afterAll(async () => {
  await line[Symbol.asyncDispose]();
  await tap.close();
  await sandbox.close();
  await rm(directory, { recursive: true });
}, 60_000);

const body = sdp('m=audio 40000 RTP/AVP 8');
const tenantHeader = (tenant: string): { headers: string[]; body: string } => ({
  headers: [`X-Tenant: ${tenant}`],
  body,
});

async function ask(tenant: string): Promise<string> {
  const call = newCall();
  line.peer.send(invite(line.peer, call, tenantHeader(tenant)));
  return line.final(call, 1, 'INVITE');
}

const tenantOf = async ({ call }: ScriptedDialog): Promise<string> => {
  const sql = 'select tenant from calls where sip_call_id = $1 and revision > 0';
  return (await line.row<{ tenant: string }>(sql, [call.callId])).tenant;
};

const metrics = async (): Promise<string> => (await fetch(`${line.test.service.httpUrl}/metrics`)).text();

describe('rules decide on calls', { timeout: 60_000 }, () => {
  it('hot words, parameters, roles and what is kept reach wire and rows', async () => {
    const slices = [(await sampleSlices('agent'))[0]!, (await sampleSlices('customer'))[0]!];
    const legs = slices.map(({ codec, codes }, legNo): PlannedLeg => ({
      codec,
      codesBase64: Buffer.from(codes).toString('base64'),
      label: String(legNo + 1),
    }));
    const headers = ['X-Tenant: acme'];
    const target = line.test.target('udp');
    await placeCalls({ target, transport: 'udp', calls: [{ mode: 'siprec', seed: 1, legs, headers }] });
    const [call] = await completedCalls(line.test.pool, 1);
    expect(tap.runs.map(({ payload }) => payload.parameters)).toMatchObject(
      Array(2).fill({ vocabulary_id: vocabularyId, max_sentence_silence: 600 }),
    );
    expect(vocabularyId).toMatch(/^vocab-acme-[0-9a-f]+$/);
    expect(sandbox.counters).toMatchObject({ hotWordsApplied: 2, hotWordsIgnored: 0 });
    const { rows } = await line.test.pool.query<Record<string, unknown>>(
      `select legs.role, legs.vocabulary_id, sentences.tenant, sentences.text, sentences.words
         from legs join sentences on sentences.leg_id = legs.id where legs.call_id = $1 order by legs.leg_no`,
      [call?.id],
    );
    expect(rows).toEqual(
      ['agent', 'customer'].map((role, legNo) => ({
        role,
        vocabulary_id: vocabularyId,
        tenant: 'acme',
        text: slices[legNo]?.sentence.text,
        words: [],
      })),
    );
    const stored = await line.row<{ tenant: string; metadata: { route: object } }>(
      'select tenant, metadata from calls where id = $1',
      [call?.id],
    );
    expect(stored.tenant).toBe('acme');
    expect(stored.metadata.route).toMatchObject({ rule: 'acme', keepsWords: false });
    const kept = await line.test.pool.query(
      "select from call_events where call_id = $1 and kind = 'recorded'",
      [call?.id],
    );
    expect(kept.rowCount).toBe(0);
  });

  it('who is told of a call by webhook, from its start to its end', async () => {
    const { pool } = line.test;
    await using crm = await WebhookReceiver.start();
    await using wfm = await WebhookReceiver.start();
    for (const [name, { url }] of Object.entries({ crm, wfm })) {
      const secret = new Secret(newSecret());
      await addEndpoint(pool, { tenant: 'told', name, url, eventTypes: WEBHOOK_EVENT_TYPES, secret });
    }
    const { codec, codes } = (await sampleSlices('agent'))[0]!;
    const legs = [{ codec, codesBase64: Buffer.from(codes).toString('base64'), label: '1' }];
    const calls = ['all', 'one', 'none'].map((told, seed) => ({
      mode: 'siprec' as const,
      seed,
      legs,
      headers: ['X-Tenant: told', `X-Told: ${told}`],
    }));
    await placeCalls({ target: line.test.target('udp'), transport: 'udp', calls });
    const rowsOf = async (sql: string): Promise<number> => (await pool.query(sql)).rowCount ?? 0;
    const complete = "select from calls where tenant = 'told' and state = 'complete'";
    await expect.poll(() => rowsOf(complete), { timeout: 30_000 }).toBe(3);
    await expect.poll(() => rowsOf('select from webhook_messages'), { timeout: 10_000 }).toBe(0);
    const { rows } = await pool.query<{ id: string; rule: string }>(
      "select id, metadata #>> '{route,rule}' as rule from calls where tenant = 'told'",
    );
    const ruleOf = new Map(rows.map(({ id, rule }) => [id, rule]));
    const told = ({ received }: WebhookReceiver): readonly string[] =>
      received.map(({ body: { type, data } }) => `${ruleOf.get(String(data['call_id']))} ${type}`).toSorted();
    const each = ['call.complete', 'call.started', 'sentence.final'];
    const toAll = each.map((type) => `told to all ${type}`);
    expect(told(crm)).toEqual(toAll);
    expect(told(wfm)).toEqual([...toAll, ...each.map((type) => `told to one ${type}`)]);
    const stored = await pool.query("select from sentences where tenant = 'told'");
    expect(stored.rowCount).toBe(3);
  });

  it('a rule refuses with its status, and a tenant has no more calls than it may', async () => {
    expect(await ask('unwanted')).toMatch(/^SIP\/2.0 603 /);
    const first = await line.answered(tenantHeader('small'));
    const second = await ask('small');
    expect(second).toMatch(/^SIP\/2.0 503 /);
    expect(headerOf(second, 'Retry-After')).toBeDefined();
    expect(await tenantOf(first)).toBe('small');
    await line.hangUp(first);
    await expect.poll(() => ask('small')).toMatch(/^SIP\/2.0 200 /);
  });

  it('a changed file holds for new calls and not for those that stand; a wrong one changes nothing', async () => {
    const before = await line.answered(tenantHeader('late'));
    expect(await tenantOf(before)).toBe('default');
    await writeFile(
      file,
      `${RULES}  - { name: late, when: { headers: { X-Tenant: late } }, set: { tenant: late } }\n`,
    );
    await expect
      .poll(metrics, { timeout: 10_000 })
      .toContain('callscribe_routes_readings_total{outcome="taken"} 1');
    const after = await line.answered(tenantHeader('late'));
    expect(await tenantOf(after)).toBe('late');
    await writeFile(file, RULES.replace('tenant: acme', 'tennant: acme'));
    await expect
      .poll(metrics, { timeout: 10_000 })
      .toContain('callscribe_routes_readings_total{outcome="refused"} 1');
    const still = await line.answered(tenantHeader('late'));
    expect(await tenantOf(still)).toBe('late');
    for (const dialog of [before, after, still]) {
      expect(await line.ask(dialog, 'UPDATE', 2, { body })).toMatch(/^SIP\/2.0 200 /);
      await line.hangUp(dialog);
    }
    expect(await tenantOf(before)).toBe('default');
    expect(await metrics()).toContain('callscribe_routed_calls_total{rule="late"} 2');
  });
});
