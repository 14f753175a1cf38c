import { readFile, truncate, writeFile } from 'node:fs/promises';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { CallRecord } from '../../src/call/record.ts';
import { newCallId, newLegId } from '../../src/ids.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { saveEvent } from '../../src/store/save-event.ts';
import { startTestApi, TEST_TOKEN, type TestApi } from '../support/api.ts';
import { storeCompleteCall, storeRecording } from '../support/api-calls.ts';
import { aCall, aLeg, anEvent } from '../support/facts.ts';

let api: TestApi;
let call: CallRecord;

beforeAll(async () => {
  api = await startTestApi();
  call = await storeCompleteCall(api.pool);
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
  api.fetch(`/v1/calls/${path}`, { token: TEST_TOKEN, headers });

async function problemCode(response: Response): Promise<unknown> {
  expect(response.headers.get('content-type')).toContain('application/problem+json');
  return ((await response.json()) as { code: unknown }).code;
}

async function readsOf(callId: string): Promise<readonly { kind: string }[]> {
  const { rows } = await api.pool.query<{ kind: string; token: string }>(
    'select kind, token_id as token from access_log where call_id = $1 order by id',
    [callId],
  );
  return rows;
}

describe('one call', () => {
  it('is told with legs, events and figures', async () => {
    await saveEvent(api.pool, anEvent({ callId: call.id, legId: call.legs[1]!.id, kind: 'hold' }));
    const response = await get(call.id);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      id: call.id,
      state: 'complete',
      started_at: '2026-03-01T08:00:00.000Z',
      legs: [
        { leg_no: 0, role: 'agent', sentence_count: 2 },
        { leg_no: 1, role: 'customer' },
      ],
      events: [{ event_no: 1, leg_no: 1, kind: 'hold', detail: { lines: 2 } }],
      figures: { sentences: 4, agent_talk_ms: 3_000, legs: [{ leg_no: 0, talk_ms: 3_000 }, { leg_no: 1 }] },
    });
  });

  it('is told again only when it has changed', async () => {
    const running = aCall();
    await saveCall(api.pool, running);
    const etag = (await get(running.id)).headers.get('etag') ?? '';
    const same = await get(running.id, { 'if-none-match': etag });
    expect(same.status).toBe(304);
    expect(await same.text()).toBe('');
    await saveCall(api.pool, { ...running, revision: 2, tenant: 'other' });
    expect((await get(running.id, { 'if-none-match': etag })).status).toBe(200);
  });

  it('that there is none of is not found', async () => {
    const response = await get(newCallId());
    expect(response.status).toBe(404);
    expect(await problemCode(response)).toBe('NOT_FOUND');
  });
});

describe('the transcript', () => {
  it('names speakers, numbers and times as the rows have them', async () => {
    const transcript = (await (await get(`${call.id}/transcript`)).json()) as { sentences: unknown[] };
    expect(transcript).toMatchObject({ call_id: call.id, state: 'complete' });
    expect(transcript.sentences).toHaveLength(4);
    expect(transcript.sentences[0]).toMatchObject({
      leg_no: 0,
      sentence_no: 1,
      speaker: 'Agent Anna',
      begin_ms: 0,
      end_ms: 1500,
      begin_at: '2026-03-01T08:00:00.000Z',
      text: 'agent says 1',
      words: [{ text: '您好', begin_ms: 0, end_ms: 400, punctuation: '，' }],
    });
    const short = await get(`${call.id}/transcript?words=false`);
    expect(await short.text()).not.toContain('"words"');
  });

  it('is text, SubRip and WebVTT, with speakers, on the clock of the recording', async () => {
    const [txt, srt, vtt] = await Promise.all(
      ['txt', 'srt', 'vtt'].map(async (format) => {
        const response = await get(`${call.id}/transcript?format=${format}`);
        return { type: response.headers.get('content-type'), text: await response.text() };
      }),
    );
    expect(txt?.type).toBe('text/plain; charset=utf-8');
    expect(txt?.text.split('\n').slice(0, 2)).toEqual([
      'Agent Anna: agent says 1',
      'Customer Anna: customer says 1',
    ]);
    expect(srt?.type).toBe('application/x-subrip; charset=utf-8');
    expect(srt?.text).toContain('2\n00:00:01,000 --> 00:00:02,500\nCustomer Anna: customer says 1\n');
    expect(vtt?.type).toBe('text/vtt; charset=utf-8');
    expect(vtt?.text).toMatch(/^WEBVTT\n\n00:00:00\.000 --> 00:00:01\.500\n<v Agent Anna>agent says 1\n/);
  });

  it('shows where the call was paused, in each format and on each clock', async () => {
    const made = aCall();
    const [agent, customer] = made.legs;
    const at = (ms: number): Date => new Date(made.startedAt.getTime() + ms);
    const legs = [
      agent!,
      { ...customer!, startedAt: at(1_000) },
      aLeg({ id: newLegId(made.id), legNo: 2, startedAt: at(20_000) }),
    ];
    const paused = await storeCompleteCall(api.pool, { ...made, legs });
    const places = (...atMs: readonly (number | null)[]): object => ({
      by: 'anna',
      legs: atMs.map((ms, legNo) => ({ legNo, atMs: ms })),
    });
    const events = [
      { kind: 'paused', at: at(12_000), detail: places(12_000, 11_000) },
      { kind: 'resumed', at: at(31_000), detail: places(31_040, 30_000, 11_000) },
      { kind: 'paused', at: at(50_000), detail: places(50_000, 49_000, 30_000) },
    ];
    for (const [index, event] of events.entries()) {
      await saveEvent(api.pool, anEvent({ callId: paused.id, eventNo: index + 1, ...(event as object) }));
    }
    const json = (await (await get(`${paused.id}/transcript`)).json()) as { pauses: unknown[] };
    expect(json.pauses).toEqual([
      {
        begin_at: at(12_000).toISOString(),
        end_at: at(31_000).toISOString(),
        legs: [
          { leg_no: 0, begin_ms: 12_000, end_ms: 31_040 },
          { leg_no: 1, begin_ms: 11_000, end_ms: 30_000 },
          { leg_no: 2, begin_ms: 0, end_ms: 11_000 },
        ],
      },
      {
        begin_at: at(50_000).toISOString(),
        end_at: at(60_000).toISOString(),
        legs: [
          { leg_no: 0, begin_ms: 50_000, end_ms: 60_000 },
          { leg_no: 1, begin_ms: 49_000, end_ms: 59_000 },
          { leg_no: 2, begin_ms: 30_000, end_ms: 40_000 },
        ],
      },
    ]);
    const lines = ['[paused 00:12–00:31]', '[paused 00:50–01:00]'];
    for (const format of ['txt', 'srt', 'vtt']) {
      const text = await (await get(`${paused.id}/transcript?format=${format}`)).text();
      expect(text.match(/^\[.*$/gm)).toEqual(lines);
    }
  });

  it('says of a pause that goes on since when it does', async () => {
    const running = aCall();
    await saveCall(api.pool, running);
    const detail = {
      by: 'anna',
      legs: [
        { legNo: 0, atMs: null },
        { legNo: 1, atMs: 500 },
      ],
    };
    await saveEvent(api.pool, anEvent({ callId: running.id, kind: 'paused', detail }));
    expect(await (await get(`${running.id}/transcript`)).json()).toMatchObject({
      pauses: [
        {
          end_at: null,
          legs: [
            { begin_ms: 0, end_ms: null },
            { begin_ms: 500, end_ms: null },
          ],
        },
      ],
    });
    const text = await (await get(`${running.id}/transcript?format=txt`)).text();
    expect(text).toBe('[paused since 00:00]\n');
  });

  it('that was read leaves a row of who read it', async () => {
    const other = await storeCompleteCall(api.pool);
    expect(await readsOf(other.id)).toEqual([]);
    await get(`${other.id}/transcript?format=srt`);
    expect(await readsOf(other.id)).toEqual([{ kind: 'transcript', token: 'env:test' }]);
  });

  it('in a format that there is none of is a bad request', async () => {
    const response = await get(`${call.id}/transcript?format=docx`);
    expect(response.status).toBe(400);
    expect(await problemCode(response)).toBe('REQUEST_INVALID');
  });
});

describe('the recording', () => {
  it('comes whole, and in the ranges that a player asks for, and leaves a row each time', async () => {
    const recorded = await storeCompleteCall(api.pool);
    const bytes = await readFile(await storeRecording(api.recordingDir, recorded));
    const whole = await get(`${recorded.id}/recording`);
    expect(whole.status).toBe(200);
    expect(whole.headers.get('content-type')).toMatch(/^audio\/(x-)?wav$/);
    expect(whole.headers.get('accept-ranges')).toBe('bytes');
    expect(Buffer.from(await whole.arrayBuffer()).equals(bytes)).toBe(true);

    const part = await get(`${recorded.id}/recording`, { range: 'bytes=44-99' });
    expect(part.status).toBe(206);
    expect(part.headers.get('content-range')).toBe(`bytes 44-99/${bytes.length}`);
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(44, 100))).toBe(true);

    const last = await get(`${recorded.id}/recording`, { range: 'bytes=-4' });
    expect(Buffer.from(await last.arrayBuffer()).equals(bytes.subarray(-4))).toBe(true);

    const beyond = await get(`${recorded.id}/recording`, { range: `bytes=${bytes.length}-` });
    expect(beyond.status).toBe(416);
    expect(await problemCode(beyond)).toBe('RANGE_NOT_SATISFIABLE');
    expect(await readsOf(recorded.id)).toEqual(
      Array.from({ length: 4 }, () => ({ kind: 'recording', token: 'env:test' })),
    );
  });

  it('that is not there is not found, with the reasons that there may be', async () => {
    const running = aCall();
    await saveCall(api.pool, running);
    for (const { id } of [running, call]) {
      const response = await get(`${id}/recording`);
      expect(response.status).toBe(404);
      expect(await problemCode(response)).toBe('RECORDING_ABSENT');
      expect((await readsOf(id)).filter(({ kind }) => kind === 'recording')).toEqual([]);
    }
  });

  it.each([
    ['cut off', (path: string) => truncate(path, 1_000)],
    ['without a byte', (path: string) => truncate(path, 0)],
    ['of something else', (path: string) => writeFile(path, Buffer.alloc(32_044, 1))],
  ])('%s is said to be damaged', async (_how, damage) => {
    const recorded = await storeCompleteCall(api.pool);
    await damage(await storeRecording(api.recordingDir, recorded));
    const response = await get(`${recorded.id}/recording`);
    expect(response.status).toBe(500);
    expect(await problemCode(response)).toBe('RECORDING_MALFORMED');
  });
});
