import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { newSecret } from '../../src/webhooks/endpoint.ts';
import { createGuardedAgent, type Lookup } from '../../src/webhooks/guarded-agent.ts';
import { createSender, type Send } from '../../src/webhooks/sender.ts';
import { WebhookReceiver } from '../support/webhook-receiver.ts';

let receiver: WebhookReceiver;
const closers: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  receiver = await WebhookReceiver.start();
  closers.push(() => receiver[Symbol.asyncDispose]());
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function sender(options: { allow?: readonly string[]; lookup?: Lookup }): Send {
  const agent = createGuardedAgent({ allow: [], connectTimeoutMs: 5_000, ...options });
  closers.push(() => agent.destroy());
  return createSender({ agent, timeoutMs: 5_000, now: () => new Date() });
}

const sendTo = (send: Send, url: string): ReturnType<Send> =>
  send({ url, secrets: [newSecret()] }, { messageId: 'm1', body: '{}' }, new AbortController().signal);

/** A name server that gives other addresses each time. */
const answering = (...answers: readonly (readonly string[])[]): { lookup: Lookup; asked: string[] } => {
  const asked: string[] = [];
  return {
    asked,
    lookup: (hostname, done) => {
      const addresses = answers[Math.min(asked.push(hostname), answers.length) - 1] ?? [];
      done(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      );
    },
  };
};

const notAllowed = { kind: 'failed', failure: 'address not allowed' };

describe('a webhook to an address that is not public', () => {
  it.each(['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '2130706433', '0x7f.1', 'localhost'])(
    'is not sent to %s',
    async (host) => {
      const send = sender({});
      for (const protocol of ['http', 'https']) {
        expect(await sendTo(send, `${protocol}://${host}:${receiver.port}/`)).toMatchObject(notAllowed);
      }
      expect(receiver.received).toEqual([]);
    },
  );

  it('is sent where that is allowed', async () => {
    const send = sender({ allow: ['127.0.0.0/8'] });
    expect(await sendTo(send, receiver.url)).toEqual({ kind: 'delivered', status: 204 });
    expect(await sendTo(send, `http://localhost:${receiver.port}/`)).toEqual({
      kind: 'delivered',
      status: 204,
    });
  });
});

describe('a name', () => {
  it('that leads to a private address is refused, whatever else it leads to', async () => {
    const { lookup } = answering(['127.0.0.1'], ['127.0.0.1', '10.0.0.1', '::1']);
    const send = sender({ lookup });
    for (const _ of [1, 2]) {
      expect(await sendTo(send, `https://crm.example:${receiver.port}/`)).toMatchObject(notAllowed);
    }
    expect(receiver.received).toEqual([]);
  });

  it('is looked up once for a connection, so that a second answer changes nothing', async () => {
    // The first answer is allowed; whoever asked again before connecting would go to the second.
    const { lookup, asked } = answering(['127.0.0.1'], ['127.0.0.2']);
    const send = sender({ lookup, allow: ['127.0.0.1'] });
    expect(await sendTo(send, `http://crm.example:${receiver.port}/`)).toMatchObject({ kind: 'delivered' });
    expect(asked).toEqual(['crm.example']);
  });

  it('that leads elsewhere after a while is refused then', async () => {
    receiver.answer = () => ({ status: 204, headers: { connection: 'close' } });
    const { lookup } = answering(['127.0.0.1'], ['127.0.0.2']);
    const send = sender({ lookup, allow: ['127.0.0.1'] });
    const url = `http://crm.example:${receiver.port}/`;
    expect(await sendTo(send, url)).toMatchObject({ kind: 'delivered' });
    await receiver.until(() => receiver.underWay === 0);
    expect(await sendTo(send, url)).toMatchObject(notAllowed);
    expect(receiver.received).toHaveLength(1);
  });
});
