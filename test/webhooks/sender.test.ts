import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { newSecret } from '../../src/webhooks/endpoint.ts';
import { createGuardedAgent } from '../../src/webhooks/guarded-agent.ts';
import { createSender, parseRetryAfter, type SendOutcome } from '../../src/webhooks/sender.ts';
import { type Answer, WebhookReceiver } from '../support/webhook-receiver.ts';

let receiver: WebhookReceiver;
let interrupt: AbortController;
const closers: (() => Promise<unknown>)[] = [];
const secrets = [newSecret(), newSecret()];
const message = { messageId: 'sentence_7_1', body: '{"type":"sentence.final","data":{"text":"您好，请问"}}' };

beforeEach(async () => {
  receiver = await WebhookReceiver.start();
  interrupt = new AbortController();
  closers.push(() => receiver[Symbol.asyncDispose]());
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function send(timeoutMs = 10_000, url = receiver.url): Promise<SendOutcome> {
  const agent = createGuardedAgent({ allow: ['127.0.0.0/8'], connectTimeoutMs: timeoutMs });
  closers.push(() => agent.destroy());
  const deliver = createSender({ agent, timeoutMs, now: () => new Date() });
  return deliver({ url, secrets }, message, interrupt.signal);
}

describe('a message', () => {
  it('is signed after Standard Webhooks with each of the secrets', async () => {
    expect(await send()).toEqual({ kind: 'delivered', status: 204 });
    const [webhook] = receiver.received;
    expect(webhook).toMatchObject({ id: 'sentence_7_1', text: message.body });
    for (const secret of secrets) WebhookReceiver.verify(secret, webhook!);
    expect(() => {
      WebhookReceiver.verify(newSecret(), webhook!);
    }).toThrow();
    expect(() => {
      WebhookReceiver.verify(secrets[0]!, { ...webhook!, text: `${message.body} ` });
    }).toThrow();
  });
});

describe('an answer', () => {
  const failed = (failure: string, retryAfterMs?: number): SendOutcome => ({
    kind: 'failed',
    failure,
    retryAfterMs,
  });

  it.each<[string, Answer, SendOutcome]>([
    ['200 with a text', { status: 200, body: 'thank you' }, { kind: 'delivered', status: 200 }],
    ['202', { status: 202 }, { kind: 'delivered', status: 202 }],
    ['400', { status: 400 }, { kind: 'refused', failure: 'status 400' }],
    ['422', { status: 422 }, { kind: 'refused', failure: 'status 422' }],
    ['401', { status: 401 }, failed('status 401')],
    ['410', { status: 410 }, { kind: 'gone', failure: 'status 410' }],
    ['500', { status: 500 }, failed('status 500')],
    ['429 with Retry-After', { status: 429, headers: { 'retry-after': '7' } }, failed('status 429', 7_000)],
    [
      '503 with a strange Retry-After',
      { status: 503, headers: { 'retry-after': 'soon' } },
      failed('status 503'),
    ],
    ['a dropped connection', (response) => response.destroy(), failed('no connection (UND_ERR_SOCKET)')],
  ])('of %s counts as what it is', async (_, answer, outcome) => {
    receiver.answer = () => answer;
    expect(await send()).toEqual(outcome);
  });

  it.each([301, 302, 307, 308])('of %d leads nowhere', async (status) => {
    receiver.answer = ({ path }) =>
      path === '/hooks' ? { status, headers: { location: '/elsewhere' } } : { status: 204 };
    expect(await send()).toEqual(failed(`redirect ${status}, not followed`));
    expect(receiver.received.map(({ path }) => path)).toEqual(['/hooks']);
  });

  it('that does not come ends with the time-out, and the connection with it', async () => {
    receiver.answer = () => undefined;
    expect(await send(200)).toEqual(failed('no answer within 200 ms'));
    await receiver.until(() => receiver.underWay === 0);
  });

  it('whose text never ends counts by its status, and its connection is closed', async () => {
    receiver.answer = () => (response) => {
      response.writeHead(200);
      const pour = (): void => void response.write('x'.repeat(4_096), (error) => error ?? setImmediate(pour));
      pour();
    };
    expect(await send(10_000)).toEqual({ kind: 'delivered', status: 200 });
    await receiver.until(() => receiver.underWay === 0);
  });

  it('whose text stalls counts by its status, and its connection is closed with the time-out', async () => {
    receiver.answer = () => (response) => void response.writeHead(200).write('x');
    expect(await send(500)).toEqual({ kind: 'delivered', status: 200 });
    await receiver.until(() => receiver.underWay === 0);
  });

  it('is not waited for any more when we are interrupted', async () => {
    receiver.answer = () => undefined;
    const sending = send();
    await receiver.until(() => receiver.received.length === 1);
    interrupt.abort();
    expect(await sending).toEqual({ kind: 'interrupted' });
  });

  it('that nobody gives is a failure', async () => {
    const { url } = receiver;
    await closers.pop()?.();
    expect(await send(5_000, url)).toEqual(failed('no connection (ECONNREFUSED)'));
  });
});

describe('Retry-After', () => {
  const now = new Date('2026-11-21T08:00:00Z');
  it.each([
    ['120', 120_000],
    ['0', 0],
    ['Sat, 21 Nov 2026 08:00:30 GMT', 30_000],
    ['Sat, 21 Nov 2026 07:00:00 GMT', 0],
    ['-1', undefined],
    ['1e9', undefined],
    ['', undefined],
    ['whenever', undefined],
  ])('of "%s" is %s ms', (value, ms) => {
    expect(parseRetryAfter(value, now)).toBe(ms);
  });
});
