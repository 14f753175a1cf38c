import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { CallRecord } from '../../src/call/record.ts';
import { newCallId, newLegId } from '../../src/ids.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { startTestApi, TEST_TOKEN, type TestApi } from '../support/api.ts';
import { aCall, aLeg, finishing } from '../support/facts.ts';

/** What calls differ by here. */
interface Kind {
  readonly agent: { readonly name?: string; readonly uri: string };
  readonly customerUri: string;
  readonly identifiers: readonly string[];
  readonly tenant?: string;
  readonly hasEnded?: boolean;
}

const ANNA: Kind = {
  agent: { name: 'Anna', uri: 'sip:8001@pbx.example.com' },
  customerUri: 'sip:+8613800138000@sbc.example.com',
  identifiers: ['crm-anna', 'shared'],
};
const BERT: Kind = {
  agent: { name: '王芳', uri: 'sip:bert@pbx.example.com' },
  customerUri: 'sip:02112345678@sbc.example.com',
  identifiers: ['crm-bert', 'shared'],
  tenant: 'other',
  hasEnded: true,
};

let api: TestApi;
const stored: { readonly call: CallRecord; readonly kind: Kind }[] = [];

/** Minutes of one hour; two calls begin in each. */
const startOf = (index: number): Date => new Date(Date.UTC(2026, 2, 1, 8, index >> 1));

async function store(kind: Kind, startedAt: Date): Promise<CallRecord> {
  const id = newCallId();
  const { name } = kind.agent;
  const call = aCall({
    id,
    startedAt,
    tenant: kind.tenant ?? 'default',
    identifiers: kind.identifiers.map((value) => ({ kind: 'ucid', value })),
    legs: [
      aLeg({ id: newLegId(id), role: 'agent', name, uri: kind.agent.uri }),
      aLeg({ id: newLegId(id), legNo: 1, role: 'customer', name: 'Carl', uri: kind.customerUri }),
    ],
  });
  const last = kind.hasEnded === true ? finishing(call, [0, 0]) : call;
  await saveCall(api.pool, last);
  return last;
}

beforeAll(async () => {
  api = await startTestApi();
  for (let index = 0; index < 14; index++) {
    const kind = index % 2 === 0 ? ANNA : BERT;
    stored.push({ call: await store(kind, startOf(index)), kind });
  }
});
afterAll(() => api[Symbol.asyncDispose]());

/** Follows the cursors to the end; behind every page, calls begin that the filter would find, too. */
async function found(query: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const asked = new URLSearchParams({ ...query, limit: '2', ...(cursor === null ? {} : { cursor }) });
    const response = await api.fetch(`/v1/calls?${asked.toString()}`, { token: TEST_TOKEN });
    expect(response.status).toBe(200);
    const page = (await response.json()) as { calls: { id: string }[]; next_cursor: string | null };
    ids.push(...page.calls.map(({ id }) => id));
    cursor = page.next_cursor;
    for (const kind of [ANNA, BERT]) await store(kind, new Date(Date.UTC(2026, 2, 1, 9)));
  } while (cursor !== null);
  return ids;
}

/** Newest first. */
const expected = (isWanted: (one: (typeof stored)[number]) => boolean): readonly string[] =>
  stored
    .filter(isWanted)
    .map(({ call }) => call)
    .toSorted((a, b) => b.startedAt.getTime() - a.startedAt.getTime() || (a.id < b.id ? -1 : 1))
    .map(({ id }) => id);

/** Calls that came while another test turned pages began at 9. */
const UNTIL_9 = { to: '2026-03-01T09:00:00Z' };

describe('the list of calls, page by page while others begin', () => {
  it.each([
    ['the name of the agent, in any case', { agent: 'anna' }, ANNA],
    ['a name that is not of the Latin script', { agent: '王芳' }, BERT],
    ['the user of the agent’s address', { agent: '8001' }, ANNA],
    ['a number without its prefix', { number: '138 0013-8000' }, ANNA],
    ['a number as a directory writes it', { number: '021 1234 5678' }, BERT],
    ['the last digits', { number: '5678' }, BERT],
    ['an identifier', { identifier: 'crm-bert' }, BERT],
    ['a tenant', { tenant: 'other' }, BERT],
    ['a state', { state: 'finishing' }, BERT],
    ['another state', { state: 'active' }, ANNA],
    ['several filters', { agent: 'ANNA', identifier: 'shared', number: '8000', state: 'active' }, ANNA],
  ])('is filtered by %s', async (_what, query, kind) => {
    expect(await found({ ...UNTIL_9, ...query })).toEqual(expected((one) => one.kind === kind));
  });

  it.each([
    ['the agent', { agent: 'Carl' }],
    ['the beginning of a name', { agent: 'Ann' }],
    ['the first digits', { number: '1380013' }],
    ['another number that holds this one', { number: '9913800138000' }],
    ['a part of an identifier', { identifier: 'crm' }],
    ['filters that no call meets together', { agent: 'anna', identifier: 'crm-bert' }],
  ])('finds nothing by %s, where that is not it', async (_what, query) => {
    expect(await found(query)).toEqual([]);
  });

  it('holds what began at `from`, and not what began at `to`', async () => {
    const query = { from: '2026-03-01T08:02:00Z', to: '2026-03-01T16:04:00+08:00' };
    const wanted = expected(({ call }) => call.startedAt >= startOf(4) && call.startedAt < startOf(8));
    expect(wanted).toHaveLength(4);
    expect(await found(query)).toEqual(wanted);
    expect(await found({ ...query, from: '2026-03-01T08:04:00Z' })).toEqual([]);
  });

  it('refuses a cursor that another list gave, or nobody', async () => {
    const response = await api.fetch('/v1/calls?cursor=bm90aGluZw', { token: TEST_TOKEN });
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
      400,
      'CURSOR_INVALID',
    ]);
  });
});
