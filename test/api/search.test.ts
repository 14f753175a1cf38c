import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { CallRecord } from '../../src/call/record.ts';
import { newCallId, newLegId } from '../../src/ids.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { saveSentences } from '../../src/store/save-sentence.ts';
import { BEST_OF } from '../../src/store/search-best.ts';
import { startTestApi, TEST_TOKEN, type TestApi } from '../support/api.ts';
import { aCall, aLeg, aSentence } from '../support/facts.ts';

let api: TestApi;
let call: CallRecord;

beforeAll(async () => {
  api = await startTestApi({
    API_TOKENS: `test:${TEST_TOKEN},live:only-live-events-for-this-one:live`,
  });
  call = await store(['您好，请问有什么可以帮您？', '我要退款，一百二十块。', '好的，马上退款。'], {
    startedAt: new Date('2026-11-20T08:00:00Z'),
    metadata: { category: 'refund' },
    identifiers: [{ kind: 'ucid', value: '0001-77' }],
  });
  await store(['退款！', '再见'], { startedAt: new Date('2026-11-21T08:00:00Z'), tenant: 'other' });
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

/** Agent and customer in turn, two seconds each. */
async function store(texts: readonly string[], over: Partial<CallRecord> = {}): Promise<CallRecord> {
  const id = newCallId(over.startedAt);
  const legs = [
    aLeg({ id: newLegId(id), legNo: 0, role: 'agent', name: 'Li Na', uri: 'sip:1001@example.com' }),
    aLeg({ id: newLegId(id), legNo: 1, role: 'customer', name: undefined, uri: 'tel:+8613912345678' }),
  ];
  const stored = aCall({ ...over, id, legs });
  await saveCall(api.pool, stored);
  await saveSentences(
    api.pool,
    texts.map((text, index) =>
      aSentence({
        callId: id,
        legId: legs[index % 2]!.id,
        legNo: index % 2,
        tenant: stored.tenant,
        sentenceNo: (index >> 1) + 1,
        beginAt: new Date(stored.startedAt.getTime() + index * 2_000),
        text,
      }),
    ),
  );
  return stored;
}

interface Answer {
  readonly hits: readonly {
    readonly call_id: string;
    readonly text: string;
    readonly before: { readonly text: string } | null;
    readonly after: { readonly text: string } | null;
  }[];
  readonly next_cursor: string | null;
}

async function search(parameters: Readonly<Record<string, string>>): Promise<Answer> {
  const response = await api.fetch(`/v1/search?${new URLSearchParams(parameters).toString()}`, {
    token: TEST_TOKEN,
  });
  expect(response.status, await response.clone().text()).toBe(200);
  return (await response.json()) as Answer;
}

const texts = async (parameters: Readonly<Record<string, string>>): Promise<readonly string[]> =>
  (await search(parameters)).hits.map(({ text }) => text);

describe('a search', () => {
  it('gives each hit with its excerpt, its neighbours and its place in the call', async () => {
    const { hits, next_cursor } = await search({ q: '120块' });
    expect(next_cursor).toBeNull();
    expect(hits).toEqual([
      {
        call_id: call.id,
        tenant: 'default',
        leg_id: call.legs[1]!.id,
        leg_no: 1,
        role: 'customer',
        sentence_no: 1,
        begin_ms: 0,
        end_ms: 1500,
        begin_at: '2026-11-20T08:00:02.000Z',
        end_at: expect.any(String) as string,
        text: '我要退款，一百二十块。',
        emo_tag: null,
        excerpt: { text: '我要退款，一百二十块。', highlights: [{ begin: 5, end: 10 }] },
        before: {
          leg_no: 0,
          role: 'agent',
          sentence_no: 1,
          begin_ms: 0,
          end_ms: 1500,
          text: '您好，请问有什么可以帮您？',
        },
        after: {
          leg_no: 0,
          role: 'agent',
          sentence_no: 2,
          begin_ms: 2000,
          end_ms: 3500,
          text: '好的，马上退款。',
        },
      },
    ]);
  });

  it.each<[string, Readonly<Record<string, string>>, number]>([
    ['tenant', { tenant: 'other' }, 1],
    ['a tenant that is not there', { tenant: 'nobody' }, 0],
    ['role', { role: 'customer' }, 1],
    ['agent by name', { agent: 'li na' }, 3],
    ['agent by extension', { agent: '1001' }, 3],
    ['another agent', { agent: '1002' }, 0],
    ['number', { number: '139 1234 5678' }, 3],
    ['identifier', { identifier: '0001-77' }, 2],
    ['category', { category: 'refund' }, 2],
    ['emotion', { emotion: 'negative' }, 0],
    ['from', { from: '2026-11-21T00:00:00+08:00' }, 1],
    ['to', { to: '2026-11-21T00:00:00Z' }, 2],
  ])('is narrowed by %s', async (_, filter, count) => {
    expect(await texts({ q: '退款', ...filter })).toHaveLength(count);
  });

  it('is narrowed to a call', async () => {
    expect(await texts({ q: '退款', call: call.id.toUpperCase() })).toHaveLength(2);
  });

  it('goes newest first or best first', async () => {
    expect(await texts({ q: '退款' })).toEqual(
      expect.arrayContaining(['退款！', '好的，马上退款。', '我要退款，一百二十块。']),
    );
    expect(await texts({ q: '退款', order: 'best' })).toEqual([
      '退款！',
      '好的，马上退款。',
      '我要退款，一百二十块。',
    ]);
  });

  it.each(['newest', 'best'])(
    'gives each hit once over all pages, %s first, while new calls come',
    async (order) => {
      const own = `pages-${order}`;
      for (let minute = 0; minute < 5; minute += 1) {
        const startedAt = new Date(Date.UTC(2026, 10, 22, 8, minute));
        await store(['流水线', `流水线${'很长'.repeat(minute)}`, '流水线上', '别的'], {
          startedAt,
          tenant: own,
        });
      }
      const all = await texts({ q: '流水线', tenant: own, order, limit: '100' });
      expect(all).toHaveLength(15);
      const seen: string[] = [];
      let cursor: string | null = null;
      do {
        const page: Answer = await search({
          q: '流水线',
          tenant: own,
          order,
          limit: '4',
          ...(cursor !== null && { cursor }),
        });
        seen.push(...page.hits.map(({ text }) => text));
        cursor = page.next_cursor;
        await store(['流水线', '流水线'], { startedAt: new Date(Date.UTC(2026, 10, 23)), tenant: own });
      } while (cursor !== null);
      expect(seen).toEqual(all);
      expect(BEST_OF).toBeGreaterThan(all.length);
    },
  );

  it('leaves a row of each call that it showed', async () => {
    await search({ q: '一百二十块' });
    const { rows } = await api.pool.query(
      `select kind, token_name as name from access_log where call_id = $1 order by id desc limit 1`,
      [call.id],
    );
    expect(rows).toEqual([{ kind: 'search', name: 'test' }]);
  });
});

describe('a bad search', () => {
  const problemOf = async (query: string, token = TEST_TOKEN): Promise<unknown> => {
    const response = await api.fetch(`/v1/search?${query}`, { token });
    const { code, detail } = (await response.json()) as { readonly code: string; readonly detail: string };
    return [response.status, code, detail];
  };

  it.each([
    ['q=%E9%80%80', 400, 'QUERY_INVALID', 'one character'],
    ['q=', 400, 'QUERY_INVALID', 'found no letter'],
    ['q=-%E9%80%80%E6%AC%BE', 400, 'QUERY_INVALID', 'only words to leave out'],
    ['q=a%00', 400, 'QUERY_INVALID', 'one character'],
    ['', 400, 'REQUEST_INVALID', ''],
    [`q=${'ab'.repeat(200)}`, 400, 'REQUEST_INVALID', ''],
    ['q=ab&from=yesterday', 400, 'REQUEST_INVALID', ''],
    ['q=ab&role=boss', 400, 'REQUEST_INVALID', ''],
    ['q=ab&limit=101', 400, 'REQUEST_INVALID', ''],
    ['q=ab&call=1', 400, 'REQUEST_INVALID', ''],
    ['q=ab&cursor=abc', 400, 'CURSOR_INVALID', 'next_cursor'],
  ])('%s is told what to do', async (query, status, code, detail) => {
    expect(await problemOf(query)).toEqual([status, code, expect.stringContaining(detail)]);
  });

  it('is refused without the scope', async () => {
    expect(await problemOf('q=ab', 'only-live-events-for-this-one')).toEqual([
      403,
      'SCOPE_MISSING',
      expect.any(String),
    ]);
  });

  it('is refused with the cursor of the other order', async () => {
    const { next_cursor } = await search({ q: '退款', limit: '1' });
    expect(await problemOf(`q=ab&order=best&cursor=${next_cursor}`)).toEqual([
      400,
      'CURSOR_INVALID',
      expect.any(String),
    ]);
  });
});
