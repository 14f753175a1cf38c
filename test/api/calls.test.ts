import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { saveCall } from '../../src/store/save-call.ts';
import { startTestApi, TEST_TOKEN, type TestApi } from '../support/api.ts';
import { aCall } from '../support/facts.ts';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

interface Page {
  readonly calls: readonly { readonly id: string }[];
  readonly next_cursor: string | null;
}

async function list(query: string): Promise<Page> {
  const response = await api.fetch(`/v1/calls?${query}`, { token: TEST_TOKEN });
  expect(response.status).toBe(200);
  return (await response.json()) as Page;
}

describe('the list of calls', () => {
  it('shows calls newest first, page by page, without a gap or a double while new ones come', async () => {
    const calls = Array.from({ length: 7 }, (_, index) =>
      aCall({ startedAt: new Date(Date.UTC(2026, 2, 1, 8, index >> 1)) }),
    );
    for (const call of calls) await saveCall(api.pool, call);
    const seen: string[] = [];
    let cursor: string | null = '';
    do {
      const page: Page = await list(`limit=3${cursor && `&cursor=${cursor}`}`);
      seen.push(...page.calls.map(({ id }) => id));
      cursor = page.next_cursor;
      await saveCall(api.pool, aCall({ startedAt: new Date(Date.UTC(2026, 3, 1)) }));
    } while (cursor !== null);
    const expected = calls
      .toSorted((a, b) => b.startedAt.getTime() - a.startedAt.getTime() || (a.id < b.id ? -1 : 1))
      .map(({ id }) => id);
    expect(seen).toEqual(expected);
  });
});

describe('a bad request', () => {
  it('gets a problem that names each fault, and the id of the request', async () => {
    const response = await api.fetch('/v1/calls?state=gone&limit=0', {
      token: TEST_TOKEN,
      headers: { 'x-request-id': 'mine-1' },
    });
    expect(response.status).toBe(400);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
    expect(response.headers.get('x-request-id')).toBe('mine-1');
    expect(await response.json()).toMatchObject({
      code: 'REQUEST_INVALID',
      status: 400,
      request_id: 'mine-1',
      errors: [{ where: 'querystring/state' }, { where: 'querystring/limit' }],
    });
  });
});
