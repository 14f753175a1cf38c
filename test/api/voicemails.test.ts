import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { CallId } from '../../src/ids.ts';
import { MAILBOX_NEWS, type MailboxNews, readMailboxNews } from '../../src/voicemail/mailbox-news.ts';
import { startTestApi, TEST_TOKEN, type TestApi } from '../support/api.ts';
import { leaveMessage, sampleAt } from '../support/voicemails.ts';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const token = TEST_TOKEN;

async function get<T = Record<string, unknown>>(path: string): Promise<T> {
  const response = await api.fetch(path, { token });
  expect(response.status, path).toBe(200);
  return (await response.json()) as T;
}

interface Page {
  readonly voicemails: readonly { readonly id: string }[];
  readonly next_cursor: string | null;
}

const idsOf = ({ voicemails }: Page): string[] => voicemails.map(({ id }) => id);

const setState = (id: CallId, body: object): Promise<Response> =>
  api.fetch(`/v1/voicemails/${id}`, {
    token,
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

describe('messages', () => {
  it('are shown with whose they are, when and what was said', async () => {
    const id = await leaveMessage(api.pool, { mailbox: 'shown', texts: ['Hello.', 'Bye.'] });
    const shown = await get(`/v1/voicemails/${id}`);
    expect(shown).toMatchObject({
      id,
      tenant: 'default',
      mailbox: 'shown',
      caller: '13800138000',
      caller_name: 'Anna',
      duration_ms: 5_000,
      end_reason: 'hangup',
      content: 'message',
      text: 'Hello. Bye.',
      recorded: true,
      state: 'new',
    });
    const { rows } = await api.pool.query('select kind from access_log where call_id = $1', [id]);
    expect(rows).toEqual([{ kind: 'transcript' }]);
  });

  it('are listed by mailbox, state and time, newest first, page by page', async () => {
    const ids: CallId[] = [];
    for (const day of [1, 2, 3, 4, 5]) {
      ids.unshift(
        await leaveMessage(api.pool, { mailbox: 'listed', startedAt: new Date(`2026-10-0${day}T10:00:00Z`) }),
      );
    }
    expect(idsOf(await get<Page>('/v1/voicemails?mailbox=listed'))).toEqual(ids);
    const first = await get<Page>('/v1/voicemails?mailbox=listed&limit=2');
    const second = await get<Page>(`/v1/voicemails?mailbox=listed&limit=2&cursor=${first.next_cursor!}`);
    const third = await get<Page>(`/v1/voicemails?mailbox=listed&limit=2&cursor=${second.next_cursor!}`);
    expect([first, second, third].flatMap(idsOf)).toEqual(ids);
    expect(third.next_cursor).toBeNull();
    await setState(ids[0]!, { state: 'heard' });
    await setState(ids[1]!, { state: 'deleted' });
    expect(idsOf(await get<Page>('/v1/voicemails?mailbox=listed'))).toEqual([ids[0], ...ids.slice(2)]);
    expect(idsOf(await get<Page>('/v1/voicemails?mailbox=listed&state=heard'))).toEqual([ids[0]]);
    expect(idsOf(await get<Page>('/v1/voicemails?mailbox=listed&state=deleted'))).toEqual([ids[1]]);
    const span = 'from=2026-10-02T00:00:00Z&to=2026-10-04T00:00:00Z';
    expect(idsOf(await get<Page>(`/v1/voicemails?mailbox=listed&${span}`))).toEqual([ids[2], ids[3]]);
    expect(idsOf(await get<Page>('/v1/voicemails?mailbox=listed&tenant=another'))).toEqual([]);
  });

  it.each([
    ['?state=old', 400],
    ['?cursor=abc', 400],
    ['?from=yesterday', 400],
    ['/1001', 400],
    ['/00000000-0000-4000-8000-000000000000', 404],
    ['/00000000-0000-4000-8000-000000000000/recording', 404],
  ])('that are asked for wrongly get a clear answer: %s', async (path, status) => {
    const response = await api.fetch(`/v1/voicemails${path}`, { token });
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
  });

  it('change their state, and the counts of their mailbox are told after it', async () => {
    const news: MailboxNews[] = [];
    const unsubscribe = await api.bus.subscribe(MAILBOX_NEWS, {
      onMessage: (message) => {
        const read = readMailboxNews(message);
        if (read?.mailbox === 'counted') news.push(read);
      },
      onLost: () => undefined,
    });
    const toldTimes = async (times: number): Promise<void> => {
      while (news.length < times) await api.pool.query('select 1');
    };
    await leaveMessage(api.pool, { mailbox: 'counted', ended: { content: 'short' } });
    await leaveMessage(api.pool, { mailbox: 'counted', tenant: 'another' });
    await leaveMessage(api.pool, { mailbox: 'counted' });
    const id = await leaveMessage(api.pool, { mailbox: 'counted' });

    const heard = await setState(id, { state: 'heard' });
    expect(await heard.json()).toMatchObject({ id, mailbox: 'counted', state: 'heard', changed: true });
    await toldTimes(1);
    expect(await (await setState(id, { state: 'heard' })).json()).toMatchObject({ changed: false });
    await setState(id, { state: 'deleted' });
    await toldTimes(2);
    await setState(id, { state: 'new' });
    await toldTimes(3);
    await api.fetch(`/v1/calls/${id}`, { token, method: 'DELETE' });
    await toldTimes(4);
    expect(news.map(({ tenant, newCount, heardCount }) => [tenant, newCount, heardCount])).toEqual([
      ['default', 1, 1],
      ['default', 1, 0],
      ['default', 2, 0],
      ['default', 1, 0],
    ]);
    expect(news.map(({ asOf }) => asOf)).toEqual(news.map(({ asOf }) => asOf).sort());
    expect((await api.fetch(`/v1/voicemails/${id}`, { token })).status).toBe(404);
    await unsubscribe();
  });

  it('refuse a state that there is not, and anything beside', async () => {
    const id = await leaveMessage(api.pool);
    for (const body of [{ state: 'old' }, {}, { state: 'heard', text: 'other' }]) {
      expect((await setState(id, body)).status).toBe(400);
    }
    expect((await get(`/v1/voicemails/${id}`))['state']).toBe('new');
  });
});

describe('the recording of a message', () => {
  it('is the message and nothing else, whole and in ranges', async () => {
    const id = await leaveMessage(api.pool, { recordingDir: api.recordingDir });
    const path = `/v1/voicemails/${id}/recording`;
    const whole = await api.fetch(path, { token });
    expect(whole.status).toBe(200);
    expect(whole.headers.get('content-type')).toBe('audio/wav');
    const wav = Buffer.from(await whole.arrayBuffer());
    expect(wav.length).toBe(44 + 5_000 * 16);
    expect(whole.headers.get('content-length')).toBe(String(wav.length));
    const samples = Array.from({ length: 40_000 }, (_, index) => wav.readInt16LE(44 + 2 * index));
    expect(samples).toEqual(Array.from({ length: 40_000 }, (_, index) => sampleAt(index)));

    const part = await api.fetch(path, { token, headers: { range: 'bytes=1000-1099' } });
    expect([part.status, part.headers.get('content-range')]).toEqual([206, `bytes 1000-1099/${wav.length}`]);
    expect(Buffer.from(await part.arrayBuffer()).equals(wav.subarray(1_000, 1_100))).toBe(true);

    const etag = whole.headers.get('etag')!;
    const same = await api.fetch(path, { token, headers: { range: 'bytes=-10', 'if-range': etag } });
    expect([same.status, (await same.arrayBuffer()).byteLength]).toEqual([206, 10]);
    const other = await api.fetch(path, { token, headers: { range: 'bytes=-10', 'if-range': '"other"' } });
    expect([other.status, (await other.arrayBuffer()).byteLength]).toEqual([200, wav.length]);
    expect((await api.fetch(path, { token, headers: { 'if-none-match': etag } })).status).toBe(304);

    const beyond = await api.fetch(path, { token, headers: { range: `bytes=${wav.length}-` } });
    expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, `bytes */${wav.length}`]);
    const { rows } = await api.pool.query(
      `select count(*)::int as reads from access_log where call_id = $1 and kind = 'recording'`,
      [id],
    );
    expect(rows).toEqual([{ reads: 6 }]);
    expect(await get(`/v1/voicemails/${id}`)).toMatchObject({ state: 'new' });
  });

  it('that is not here is said to be absent', async () => {
    const id = await leaveMessage(api.pool);
    const response = await api.fetch(`/v1/voicemails/${id}/recording`, { token });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ code: 'RECORDING_ABSENT' });
  });
});
