import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';

import type { CallRecord } from '../../src/call/record.ts';
import { createLogger } from '../../src/log.ts';
import { completeCall } from '../../src/store/complete-call.ts';
import { deleteCall } from '../../src/store/delete-call.ts';
import { publishWebhook } from '../../src/store/publish-webhook.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { saveSentences } from '../../src/store/save-sentence.ts';
import { setVoicemailState } from '../../src/store/voicemails.ts';
import { loadDeadMessages, replayDeadMessages } from '../../src/store/webhook-dead.ts';
import { enableEndpoint, loadEndpoint } from '../../src/store/webhook-endpoints.ts';
import type { FinalSentence } from '../../src/transcript/sentence.ts';
import { aCall, aSentence, finishing } from '../support/facts.ts';
import { leaveMessage } from '../support/voicemails.ts';
import { WebhookReceiver } from '../support/webhook-receiver.ts';
import { openWebhooks, type TestWebhooks } from '../support/webhooks.ts';

let webhooks: TestWebhooks;
let receiver: WebhookReceiver;
let logged: Readonly<Record<string, unknown>>[];

afterEach(async () => {
  await webhooks[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
});

const sentencesOf = (call: CallRecord, count: number): FinalSentence[] =>
  Array.from({ length: count }, (_, index) =>
    aSentence({ callId: call.id, legId: call.legs[0]!.id, tenant: call.tenant, sentenceNo: index + 1 }),
  );

/** All that a call makes: its start, so many sentences, its end. @returns the ids of its messages, in order */
async function storeCall(call: CallRecord, sentences: number): Promise<readonly string[]> {
  const { pool } = webhooks;
  await saveCall(pool, call);
  for (const sentence of sentencesOf(call, sentences)) await saveSentences(pool, [sentence]);
  await saveCall(pool, finishing(call, [sentences, 0]));
  expect(await completeCall(pool, call.id)).toBe('complete');
  return idsOf(call, sentences);
}

const idsOf = (call: CallRecord, sentences: number): readonly string[] => [
  `started_${call.id}`,
  ...Array.from({ length: sentences }, (_, index) => `sentence_${call.legs[0]!.id}_${index + 1}`),
  `complete_${call.id}`,
];

const receivedOf = (call: CallRecord): readonly string[] =>
  receiver.received.filter(({ body }) => body.data['call_id'] === call.id).map(({ id }) => id);

/** Two calls that go through the same lane of an endpoint. */
function callsOfOneLane(): readonly [CallRecord, CallRecord] {
  const laneOf = ({ id }: CallRecord): number => Number.parseInt(id.slice(-2), 16) % 8;
  const one = aCall();
  for (;;) {
    const other = aCall();
    if (laneOf(other) === laneOf(one)) return [one, other];
  }
}

async function emptied(): Promise<void> {
  for (;;) {
    const { rows } = await webhooks.pool.query("select from webhook_messages where state = 'pending'");
    if (rows.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe.each(['redis', 'postgres'] as const)('webhooks with the queue on %s', (kind) => {
  beforeEach(async () => {
    receiver = await WebhookReceiver.start();
    webhooks = await openWebhooks(kind);
  });

  it('tell each call once and in order, signed, from calls that were stored before and while the role runs', async () => {
    const { secret } = await webhooks.addEndpoint(receiver.url);
    const [before, during] = [aCall(), aCall()];
    const expected = [await storeCall(before, 5)];
    await webhooks.start();
    expected.push(await storeCall(during, 5));
    await emptied();
    expect([receivedOf(before), receivedOf(during)]).toEqual(expected);
    expect(receiver.received).toHaveLength(14);
    for (const webhook of receiver.received) WebhookReceiver.verify(secret, webhook);
  });

  it('come again with the same id until they are taken, and hold back what follows in their call', async () => {
    await webhooks.addEndpoint(receiver.url);
    const call = aCall();
    const failing = new Set([`started_${call.id}`, `sentence_${call.legs[0]!.id}_2`, `complete_${call.id}`]);
    const tries = new Map<string, number>();
    receiver.answer = ({ id }) => {
      const attempt = (tries.get(id) ?? 0) + 1;
      tries.set(id, attempt);
      return { status: failing.has(id) && attempt < 3 ? 503 : 204 };
    };
    await webhooks.start();
    const expected = await storeCall(call, 3);
    await emptied();
    expect(receivedOf(call)).toEqual(expected.flatMap((id) => (failing.has(id) ? [id, id, id] : [id])));
  });

  it('survive a queue that loses everything in the middle', async () => {
    await webhooks.addEndpoint(receiver.url);
    const calls = [aCall(), aCall(), aCall()];
    let isAway = true;
    receiver.answer = () => ({ status: isAway ? 503 : 204 });
    await webhooks.start();
    const expected: (readonly string[])[] = [];
    for (const call of calls) expected.push(await storeCall(call, 2));
    await receiver.until(() => receiver.received.length >= 3);
    await loseQueue(kind);
    isAway = false;
    const from = receiver.received.length;
    await emptied();
    const after = new Set(receiver.received.slice(from).map(({ id }) => id));
    expect([...after].toSorted()).toEqual(expected.flat().toSorted());
  });

  it('are not sent a second time while they are under way, though the queue lost the job', async () => {
    await webhooks.addEndpoint(receiver.url);
    const [slow, fine] = callsOfOneLane();
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    receiver.answer = async ({ id }) => {
      if (id === `started_${slow.id}`) await released;
      return { status: 204 };
    };
    await Promise.all([webhooks.start(), webhooks.start()]);
    await saveCall(webhooks.pool, slow);
    await receiver.until(() => receiver.received.length === 1);
    await loseQueue(kind);
    const expected = await storeCall(fine, 1);
    await receiver.until(() => receivedOf(fine).length === expected.length);
    release();
    await emptied();
    expect(receivedOf(slow)).toEqual([`started_${slow.id}`]);
  });

  async function loseQueue(queue: typeof kind): Promise<void> {
    if (queue === 'postgres') {
      await webhooks.pool.query('truncate callscribe_queue.job cascade');
      return;
    }
    const redis = new Redis(inject('redisUrl'));
    const keys = await redis.keys(`${webhooks.prefix}:*`);
    if (keys.length > 0) await redis.del(...keys);
    await redis.quit();
  }

  it('are sent once by two processes together', async () => {
    await webhooks.addEndpoint(receiver.url);
    await Promise.all([webhooks.start(), webhooks.start()]);
    const calls = Array.from({ length: 20 }, () => aCall());
    const expected = await Promise.all(calls.map((call) => storeCall(call, 3)));
    await emptied();
    expect(calls.map(receivedOf)).toEqual(expected);
    expect(receiver.underWayMost).toBeLessThanOrEqual(8);
  });

  it('are taken over from a process that ended in the middle of a request', async () => {
    await webhooks.addEndpoint(receiver.url);
    const call = aCall();
    receiver.answer = () => undefined;
    const first = await webhooks.start({ timeoutMs: 60_000 });
    const expected = await storeCall(call, 1);
    await receiver.until(() => receiver.received.length === 1);
    await first.close();
    receiver.answer = () => ({ status: 204 });
    await webhooks.start();
    await emptied();
    expect(receivedOf(call)).toEqual([expected[0], ...expected]);
  });
});

describe('webhooks', () => {
  beforeEach(async () => {
    receiver = await WebhookReceiver.start();
    logged = [];
    const destination = {
      write: (line: string) => void logged.push(JSON.parse(line) as (typeof logged)[number]),
    };
    webhooks = await openWebhooks('redis', createLogger({ level: 'warn', format: 'json', destination }));
  });

  it('tell of a message that a caller left when all of it is there, as it stands when it is told', async () => {
    await webhooks.addEndpoint(receiver.url, { eventTypes: ['voicemail.ready'] });
    const id = await leaveMessage(webhooks.pool, { mailbox: '1001', texts: ['您好。', '请回电。'] });
    await setVoicemailState(webhooks.pool, undefined, id, 'heard');
    await webhooks.start();
    await emptied();
    expect(receiver.received.map((webhook) => webhook.id)).toEqual([`voicemail_ready_${id}`]);
    expect(receiver.received[0]!.body).toMatchObject({
      type: 'voicemail.ready',
      data: {
        call_id: id,
        tenant: 'default',
        mailbox: '1001',
        caller: '13800138000',
        caller_name: 'Anna',
        begin_ms: 3_000,
        end_ms: 8_000,
        end_reason: 'hangup',
        content: 'message',
        text: '您好。请回电。',
        recorded: true,
        state: 'heard',
      },
    });
  });

  it('tell what the rows say', async () => {
    await webhooks.addEndpoint(receiver.url);
    const call = aCall();
    await webhooks.start();
    await storeCall(call, 1);
    await publishWebhook(webhooks.pool, {
      type: 'qa.finding',
      key: 'greeting_1',
      callId: call.id,
      data: { rule: 'greeting', severity: 'low' },
    });
    await emptied();
    const [started, sentence, complete, finding] = receiver.received.map(({ body }) => body);
    const [agent] = call.legs;
    expect(started).toMatchObject({
      type: 'call.started',
      data: {
        call_id: call.id,
        tenant: 'default',
        direction: 'inbound',
        started_at: '2026-03-01T08:00:00.000Z',
        identifiers: call.identifiers,
        legs: [{ leg_id: agent!.id, leg_no: 0, role: 'agent', uri: 'sip:anna@example.com' }, { leg_no: 1 }],
      },
    });
    expect(sentence).toMatchObject({
      type: 'sentence.final',
      data: {
        call_id: call.id,
        leg_id: agent!.id,
        role: 'agent',
        sentence_no: 1,
        begin_ms: 0,
        end_ms: 1500,
        text: '您好，请问有什么可以帮您？',
      },
    });
    expect(complete).toMatchObject({
      type: 'call.complete',
      data: { call_id: call.id, state: 'complete', end_reason: 'bye', figures: { agent_talk_ms: 1500 } },
    });
    expect(finding).toEqual({
      type: 'qa.finding',
      timestamp: expect.any(String) as string,
      data: { call_id: call.id, rule: 'greeting', severity: 'low' },
    });
  });

  it('go to the endpoints of their tenant that asked for their type, and to nobody else', async () => {
    const url = (path: string): string => receiver.url.replace('hooks', path);
    await webhooks.addEndpoint(url('a-all'), { tenant: 'a' });
    await webhooks.addEndpoint(url('a-ends'), { tenant: 'a', eventTypes: ['call.complete'] });
    await webhooks.addEndpoint(url('b'), { tenant: 'b' });
    await webhooks.start();
    await storeCall(aCall({ tenant: 'a' }), 1);
    await emptied();
    expect(receiver.received.map(({ path, body }) => `${path} ${body.type}`).toSorted()).toEqual([
      '/a-all call.complete',
      '/a-all call.started',
      '/a-all sentence.final',
      '/a-ends call.complete',
    ]);
  });

  it('begin with the call even where a sentence became a row before it', async () => {
    await webhooks.addEndpoint(receiver.url);
    await webhooks.start();
    const call = aCall();
    await saveSentences(webhooks.pool, sentencesOf(call, 1));
    await storeCall(aCall(), 0);
    await receiver.until(() => receiver.received.length === 2);
    await saveCall(webhooks.pool, call);
    await emptied();
    expect(receivedOf(call)).toEqual(idsOf(call, 1).slice(0, 2));
    expect(receiver.received).toHaveLength(4);
  });

  it('that no endpoint gets, since none has the name that a rule gives, are shown and logged once', async () => {
    await webhooks.addEndpoint(receiver.url, { name: 'crm' });
    const [given, other] = [['crm'], ['crm-old']].map((names) =>
      aCall({ metadata: { route: { webhooks: names } } }),
    );
    await saveCall(webhooks.pool, given!);
    await webhooks.start();
    const unknown = (): Promise<string | undefined> =>
      webhooks.metrics().then((text) => /^callscribe_webhooks_unknown_names (.*)$/m.exec(text)?.[1]);
    await expect.poll(unknown).toBe('0');
    await saveCall(webhooks.pool, other!);
    await webhooks.start();
    await expect.poll(unknown).toBe('1');
    await emptied();
    expect(receiver.received.map(({ id }) => id)).toEqual([`started_${given!.id}`]);
    const lines = logged.filter(({ msg }) => String(msg).startsWith('a rule names a webhook endpoint'));
    expect(lines).toMatchObject([{ tenant: 'default', endpoint: 'crm-old', callId: other!.id }]);
  });

  it('make no row where nobody wants them, and none twice for rows that are written twice', async () => {
    const call = aCall();
    await storeCall(call, 2);
    await webhooks.addEndpoint(receiver.url);
    await storeCall(aCall(), 1);
    await saveSentences(webhooks.pool, sentencesOf(call, 2));
    await saveCall(webhooks.pool, call);
    const { rows } = await webhooks.pool.query('select count(*)::int as count from webhook_messages');
    expect(rows).toEqual([{ count: 3 }]);
  });

  it('that the endpoint refuses do not hold back other calls, and are dead after their time', async () => {
    const { id } = await webhooks.addEndpoint(receiver.url);
    const [poison, fine] = [aCall(), aCall()];
    receiver.answer = ({ id: message }) => ({ status: message === `started_${poison.id}` ? 400 : 204 });
    await webhooks.start({ retryForMs: 300 });
    const expected = await storeCall(poison, 2);
    expect(await storeCall(fine, 2)).toEqual(idsOf(fine, 2));
    await emptied();
    expect(receivedOf(fine)).toEqual(idsOf(fine, 2));
    const dead = await loadDeadMessages(webhooks.pool, undefined);
    expect(dead).toMatchObject([{ messageId: expected[0], type: 'call.started', failure: 'status 400' }]);
    // Those behind it go on.
    expect([...new Set(receivedOf(poison))]).toEqual(expected);
    expect(await loadEndpoint(webhooks.pool, 'default', id)).toMatchObject({
      state: 'active',
      dead: 1,
      waiting: 0,
    });

    receiver.answer = () => ({ status: 204 });
    receiver.received.length = 0;
    expect(await replayDeadMessages(webhooks.pool, 'another', id, 'all')).toBe(0);
    expect(await replayDeadMessages(webhooks.pool, 'default', id, 'all')).toBe(1);
    await emptied();
    expect(receivedOf(poison)).toEqual([expected[0]]);
    expect(await loadDeadMessages(webhooks.pool, undefined)).toEqual([]);
  });

  it('that are stored while one of their call waits do not overtake it', async () => {
    await webhooks.addEndpoint(receiver.url);
    const [call, fine] = callsOfOneLane();
    const sentences = sentencesOf(call, 2);
    const [started, first, second] = idsOf(call, 2);
    let isRefused = true;
    receiver.answer = ({ id }) => ({ status: isRefused && id === first ? 422 : 204 });
    await webhooks.start();
    await saveCall(webhooks.pool, call);
    await saveSentences(webhooks.pool, sentences.slice(0, 1));
    await receiver.until(() => receivedOf(call).includes(first!));
    await saveSentences(webhooks.pool, sentences.slice(1));
    // Later, in the same lane: had the second sentence been free to go, it would have gone before.
    await storeCall(fine, 1);
    await receiver.until(() => receivedOf(fine).length === 3);
    expect(receivedOf(call)).not.toContain(second);
    isRefused = false;
    await emptied();
    expect([...new Set(receivedOf(call))]).toEqual([started, first, second]);
  });

  it('end for an endpoint that answers 410, and begin again when it is enabled', async () => {
    const { id } = await webhooks.addEndpoint(receiver.url);
    receiver.answer = () => ({ status: 410 });
    await webhooks.start();
    await storeCall(aCall(), 3);
    await emptied();
    expect(receiver.received).toHaveLength(1);
    const { pool } = webhooks;
    expect(await loadEndpoint(pool, 'default', id)).toMatchObject({
      state: 'disabled',
      disabledReason: 'gone',
    });
    expect(await loadDeadMessages(pool, 'default')).not.toEqual([]);
    await storeCall(aCall(), 1);
    receiver.answer = () => ({ status: 204 });
    await enableEndpoint(pool, 'default', id);
    const call = aCall();
    const expected = await storeCall(call, 1);
    await emptied();
    expect(receiver.received.slice(1).map((webhook) => webhook.id)).toEqual(expected);
  });

  it('end for an endpoint that fails for too long', async () => {
    const { id } = await webhooks.addEndpoint(receiver.url);
    receiver.answer = () => ({ status: 302, headers: { location: receiver.url } });
    await webhooks.start({ disableAfterMs: 200, disableAfterFailures: 3 });
    await storeCall(aCall(), 1);
    await emptied();
    expect(await loadEndpoint(webhooks.pool, undefined, id)).toMatchObject({
      state: 'disabled',
      disabledReason: 'failing',
      lastFailure: 'redirect 302, not followed',
      dead: 3,
    });
    expect(receiver.received.length).toBeGreaterThanOrEqual(3);
  });

  it('leave an endpoint alone for as long as it asks', async () => {
    const { id } = await webhooks.addEndpoint(receiver.url);
    receiver.answer = () => ({ status: 429, headers: { 'retry-after': '3600' } });
    await webhooks.start();
    await storeCall(aCall(), 0);
    const held = async (): Promise<number> => {
      const { rows } = await webhooks.pool.query<{ seconds: number }>(
        `select extract(epoch from held_until - clock_timestamp())::float8 as seconds
           from webhook_endpoints where id = $1 and held_until > clock_timestamp()`,
        [id],
      );
      return rows[0]?.seconds ?? 0;
    };
    while ((await held()) === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await held()).toBeGreaterThan(3_500);
    // Another endpoint goes on meanwhile, and has seen all that came later.
    await using other = await WebhookReceiver.start();
    await webhooks.addEndpoint(other.url);
    const call = aCall();
    await storeCall(call, 1);
    await other.until(() => other.received.length === 3);
    expect(receiver.received).toHaveLength(1);
  });

  it('reach others while an endpoint stalls with everything it has', async () => {
    await webhooks.addEndpoint(receiver.url);
    await using quick = await WebhookReceiver.start();
    await webhooks.addEndpoint(quick.url);
    receiver.answer = () => undefined;
    await webhooks.start({ timeoutMs: 60_000 });
    const calls = Array.from({ length: 40 }, () => aCall());
    for (const call of calls) await storeCall(call, 1);
    await quick.until(() => quick.received.length === 120);
    expect(receiver.underWayMost).toBeLessThanOrEqual(8);
  });

  it('are forgotten with their call', async () => {
    await webhooks.addEndpoint(receiver.url);
    const [forgotten, kept] = [aCall(), aCall()];
    await storeCall(forgotten, 2);
    const expected = await storeCall(kept, 2);
    expect(await deleteCall(webhooks.pool, forgotten.id)).toMatchObject({ calls: 1, webhook_messages: 4 });
    await webhooks.start();
    await emptied();
    expect(receiver.received.map(({ id }) => id)).toEqual(expected);
  });
});
