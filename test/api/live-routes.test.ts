import { once } from 'node:events';
import { connect } from 'node:net';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { createLiveHub } from '../../src/live/hub.ts';
import { LiveRelay } from '../../src/live/relay.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { saveSentences } from '../../src/store/save-sentence.ts';
import { startTestApi, TEST_TOKEN, type TestApi } from '../support/api.ts';
import { aCall, aSentence, finishing } from '../support/facts.ts';
import { EventSourceClient, WebSocketClient } from '../support/live-clients.ts';

let api: TestApi;
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  const tokens = [`test:${TEST_TOKEN}`, 'reader:no-live-scope-here:read', 'viewer:may-follow-live-only:live'];
  api = await startTestApi({ API_TOKENS: tokens.join(',') });
});
afterAll(() => api[Symbol.asyncDispose]());
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function aStoredCall(): Promise<ReturnType<typeof aCall>> {
  const call = aCall();
  await saveCall(api.pool, call);
  return call;
}

async function ticket(): Promise<string> {
  const response = await api.fetch('/v1/live/tickets', { method: 'POST', token: 'may-follow-live-only' });
  expect(response.status).toBe(201);
  return ((await response.json()) as { ticket: string }).ticket;
}

describe('a live stream', () => {
  it('opens with a ticket once, and then no more', async () => {
    const call = await aStoredCall();
    const path = `/v1/calls/${call.id}/events?ticket=${await ticket()}`;
    const first = await api.fetch(path);
    expect([first.status, first.headers.get('content-type')]).toEqual([
      200,
      'text/event-stream; charset=utf-8',
    ]);
    await first.body?.cancel();
    expect((await api.fetch(path)).status).toBe(401);
    const ofSocket = new WebSocketClient(`${api.url}/v1/live?call=${call.id}&ticket=${await ticket()}`);
    closers.push(() => ofSocket.close());
    await ofSocket.until(() => ofSocket.of('call').length > 0);
  });

  it.each([
    ['without a credential', '/v1/live', undefined, 401],
    ['without the scope', '/v1/live', 'no-live-scope-here', 403],
    ['with a ticket that nobody made', '/v1/live?ticket=made-up', undefined, 401],
    ['of a call that there is not', '/v1/calls/01900000-0000-7000-8000-000000000000/events', TEST_TOKEN, 404],
    ['of something that is no id', '/v1/calls/12/events', TEST_TOKEN, 400],
    ['with a filter that there is not', '/v1/live?role=boss', TEST_TOKEN, 400],
    ['of such a call over all', '/v1/live?call=01900000-0000-7000-8000-000000000000', TEST_TOKEN, 404],
  ])('is refused %s', async (_why, path, token, status) => {
    const response = await api.fetch(path, token === undefined ? {} : { token });
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
  });

  it('is refused from a position that it never gave', async () => {
    const call = await aStoredCall();
    const headers = { 'last-event-id': 'somewhere' };
    const response = await api.fetch(`/v1/calls/${call.id}/events`, { token: TEST_TOKEN, headers });
    expect(response.status).toBe(400);
  });

  it('refuses an upgrade as it refuses a request', async () => {
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
    const lines = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
    socket.write(
      [
        'GET /v1/live HTTP/1.1',
        'Host: x',
        ...lines,
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        '',
        '',
      ].join('\r\n'),
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString('latin1')).toMatch(/^HTTP\/1\.1 401 /);
    // And ends the connection, though the client keeps it.
    await once(socket, 'close');
  });

  it('of a call that is complete brings all of it, and ends', async () => {
    const call = await aStoredCall();
    const legId = call.legs[0]!.id;
    const sentences = Array.from({ length: 700 }, (_, index) =>
      aSentence({ callId: call.id, legId, sentenceNo: index + 1 }),
    );
    await saveSentences(api.pool, sentences);
    await saveCall(api.pool, finishing(call, [700, 0]));
    await api.pool.query("update calls set state = 'complete' where id = $1", [call.id]);
    const source = new EventSourceClient(`${api.url}/v1/calls/${call.id}/events?ticket=${await ticket()}`);
    closers.push(() => source.close());
    await source.until(() => source.of('end').length > 0);
    expect(source.of('sentence.final').map(({ sentence_no }) => sentence_no)).toEqual(
      sentences.map(({ sentenceNo }) => sentenceNo),
    );
    expect(source.of('end')).toEqual([{ reason: 'ended' }]);
    const { rows } = await api.pool.query('select kind from access_log where call_id = $1', [call.id]);
    expect(rows).toEqual([{ kind: 'live' }]);
  });

  it('of a subscriber that reads nothing is closed, and costs the others nothing', async () => {
    const call = await aStoredCall();
    const legId = call.legs[0]!.id;
    const hub = createLiveHub();
    const relay = new LiveRelay(hub, api.bus);
    closers.push(() => {
      relay.close();
      return Promise.resolve();
    });
    const good = new WebSocketClient(`${api.url}/v1/live?call=${call.id}&ticket=${await ticket()}`);
    closers.push(() => good.close());
    const lazy = connect(Number(new URL(api.url).port), '127.0.0.1');
    closers.push(() => Promise.resolve(lazy.destroy()));
    lazy.write(
      `GET /v1/calls/${call.id}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TEST_TOKEN}\r\n\r\n`,
    );
    await once(lazy, 'readable');
    lazy.pause();
    await good.until(() => good.of('call').length > 0);

    hub.emit('call', { ...call, revision: 2 });
    const tooSlow = async (): Promise<boolean> => {
      const metrics = await api.metrics.liveStreams.get();
      return metrics.values.some(({ labels, value }) => labels.outcome === 'too_slow' && value > 0);
    };
    let sentenceNo = 0;
    while (!(await tooSlow())) {
      for (let count = 0; count < 50; count += 1) {
        sentenceNo += 1;
        const text = '很长的一句话'.repeat(500);
        hub.emit('transcript', {
          kind: 'final',
          sentence: aSentence({ callId: call.id, legId, sentenceNo, text }),
        });
      }
      const heard = sentenceNo;
      await good.until(() => good.finals.length >= heard);
    }
    expect(good.finals).toEqual(Array.from({ length: sentenceNo }, (_, index) => `0/${index + 1}`));
  });
});
