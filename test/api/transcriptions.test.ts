import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { MemoryAudio } from '../../src/asr/memory-audio.ts';
import { decodeG711 } from '../../src/audio/g711.ts';
import type { CallRecord } from '../../src/call/record.ts';
import { type CallId, newCallId } from '../../src/ids.ts';
import { saveRecording } from '../../src/recording/save-recording.ts';
import type { Channel } from '../../src/recording/stereo-mix.ts';
import { encodeG711Wav } from '../../src/sample/g711-wav.ts';
import { Secret } from '../../src/secret.ts';
import { loadCall } from '../../src/store/load-call.ts';
import { loadLegs } from '../../src/store/load-legs.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { saveEvent } from '../../src/store/save-event.ts';
import { addEndpoint, removeEndpoint } from '../../src/store/webhook-endpoints.ts';
import { newSecret, parseEndpointUrl } from '../../src/webhooks/endpoint.ts';
import { WEBHOOK_EVENT_TYPES } from '../../src/webhooks/events.ts';
import { startTestApi, TEST_TOKEN, type TestApi } from '../support/api.ts';
import { recordedEvent, storeCompleteCall, storeRecording } from '../support/api-calls.ts';
import { makeCodes } from '../support/captioned-audio.ts';
import { aCall } from '../support/facts.ts';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

interface Answer {
  readonly status: number;
  readonly id: string;
  readonly state: string;
  readonly code?: string;
  readonly detail?: string;
  readonly progress: number;
  readonly sentences: number;
  readonly call_id: CallId | null;
  readonly fault: { readonly code: string; readonly text: string } | null;
}

const ask = (path: string, options?: RequestInit): Promise<Answer> =>
  askPath(`/v1/transcriptions${path}`, options);

async function askPath(path: string, options: RequestInit = {}): Promise<Answer> {
  const response = await api.fetch(path, { ...options, token: TEST_TOKEN });
  return { ...((await response.json()) as Answer), status: response.status };
}

function handIn(name: string, content: Uint8Array): Promise<Answer> {
  const body = new FormData();
  body.set('file', new Blob([Buffer.from(content)]), name);
  return ask('', { method: 'POST', body });
}

async function ended(id: string): Promise<Answer> {
  for (;;) {
    const answer = await ask(`/${id}`);
    if (answer.state === 'complete' || answer.state === 'failed') return answer;
    expect(answer.progress).toBeLessThanOrEqual(1);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

const uploads = (): Promise<string[]> => readdir(join(api.recordingDir, '..', 'uploads'));

describe('a file that is handed in', { timeout: 30_000 }, () => {
  it('becomes a call with what was said, and is deleted then', async () => {
    const text = '您好，请问有什么可以帮您？';
    const codes = makeCodes('PCMA', 4_000, [{ beginMs: 500, endMs: 2_300, text }]);
    const taken = await handIn('voicemail.wav', encodeG711Wav('PCMA', codes));
    expect(taken).toMatchObject({ status: 202, state: 'waiting', call_id: null, fault: null });
    const done = await ended(taken.id);
    expect(done).toMatchObject({ state: 'complete', progress: 1, sentences: 1 });
    const said = await loadTranscript(api.pool, done.call_id!);
    expect(said.map((sentence) => [sentence.text, sentence.beginMs])).toEqual([[text, 500]]);
    expect(await loadCall(api.pool, done.call_id!)).toMatchObject({ state: 'complete', tenant: 'default' });
    const left = async (): Promise<boolean> => (await uploads()).includes(taken.id);
    while (await left()) await new Promise((resolve) => setTimeout(resolve, 10));
  });

  it.each([
    ['is empty', 'a.wav', new Uint8Array(0)],
    ['is no audio', 'a.wav', Buffer.from('I am a text')],
    [
      'is a text that calls itself MP3',
      'a.mp3',
      Buffer.from('ID? no: a text, of more than a few characters'),
    ],
    ['is an archive that calls itself WAV', 'a.wav', Buffer.from('PK\x03\x04'.padEnd(2_000, 'x'), 'latin1')],
    ['is a WAV file without audio', 'a.wav', encodeG711Wav('PCMA', new Uint8Array(0))],
    ['is cut off in its header', 'a.wav', encodeG711Wav('PCMA', new Uint8Array(8_000)).subarray(0, 30)],
    ['has a name that leads elsewhere', '../../../etc/passwd', Buffer.from('root')],
  ])('and %s is refused with what was found, and nothing of it stays', async (_case, name, content) => {
    const answer = await handIn(name, content);
    expect(answer).toMatchObject({ status: 422, code: 'AUDIO_UNSUPPORTED' });
    expect(answer.detail).toMatch(/^the file: /);
    expect(answer.detail).not.toContain('uploads');
    const { rows } = await api.pool.query("select 1 from transcriptions where state <> 'complete'");
    expect(rows).toEqual([]);
    expect(await uploads()).toEqual([]);
  });

  it('and is shorter than it says is recognised as far as it goes', async () => {
    const codes = makeCodes('PCMA', 60_000, [{ beginMs: 500, endMs: 2_300, text: '您好。' }]);
    const whole = encodeG711Wav('PCMA', codes);
    const taken = await handIn('a.wav', whole.subarray(0, whole.length - 56_000 * 8));
    expect(await ended(taken.id)).toMatchObject({ state: 'complete', sentences: 1, progress: 1 });
  });

  it('and is the recording of a call becomes another call; the first stays as it is', async () => {
    const call = await storeCompleteCall(api.pool);
    await storeRecording(api.recordingDir, call);
    const recording = await api.fetch(`/v1/calls/${call.id}/recording`, { token: TEST_TOKEN });
    const before = await loadTranscript(api.pool, call.id);
    const taken = await handIn('call.wav', new Uint8Array(await recording.arrayBuffer()));
    const done = await ended(taken.id);
    expect(done).toMatchObject({ state: 'complete', call_id: taken.id });
    expect(await loadLegs(api.pool, done.call_id!)).toHaveLength(2);
    expect(await loadTranscript(api.pool, call.id)).toEqual(before);
  });

  it('in another way than as the part of a form is refused', async () => {
    const json = { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } };
    expect(await ask('', json)).toMatchObject({ status: 415, code: 'MEDIA_TYPE_UNSUPPORTED' });
    expect(await ask('', { method: 'POST', body: new FormData() })).toMatchObject({ status: 400 });
    expect(await ask('', { method: 'POST' })).toMatchObject({ status: 415 });
  });

  it('never is not found', async () => {
    expect(await ask('/01940000-0000-7000-8000-000000000000')).toMatchObject({ status: 404 });
    expect(await ask('/nonsense')).toMatchObject({ status: 400, code: 'REQUEST_INVALID' });
  });
});

describe("a call's recording that is recognised again", { timeout: 30_000 }, () => {
  /** A call with its recording: each leg says one thing, at its own time. */
  async function storeSpoken(
    channels: readonly Channel[] = ['left', 'right'],
    metadata: CallRecord['metadata'] = {},
  ): Promise<CallRecord> {
    const call = await storeCompleteCall(api.pool, { metadata });
    const said = [
      { beginMs: 400, endMs: 2_000, text: '您好。' },
      { beginMs: 2_400, endMs: 4_000, text: '我想改地址。' },
    ];
    const legs = call.legs.slice(0, channels.length).map(({ legNo, role }, index) => {
      const source = new MemoryAudio(8 * 5_000);
      const pcm = decodeG711('PCMA', makeCodes('PCMA', 5_000, [said[index]!]));
      source.append(Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength));
      return { legNo, role, startedAt: call.startedAt, source };
    });
    await saveRecording({ recordingDir: api.recordingDir, callId: call.id, startedAt: call.startedAt, legs });
    await saveEvent(api.pool, recordedEvent(call, channels));
    return call;
  }

  const again = (id: string, body: object = {}): Promise<Answer> =>
    askPath(`/v1/calls/${id}/transcriptions`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    });

  it('becomes another call with its people and times; the first stays as it is', async () => {
    const call = await storeSpoken();
    const before = await loadTranscript(api.pool, call.id);
    const taken = await again(call.id);
    expect(taken).toMatchObject({ status: 202, state: 'waiting' });
    const done = await ended(taken.id);
    expect(done.state).toBe('complete');

    const legs = await loadLegs(api.pool, done.call_id!);
    expect(legs.map(({ role, name, uri }) => ({ role, name, uri }))).toEqual(
      call.legs.map(({ role, name, uri }) => ({ role, name: name ?? null, uri: uri ?? null })),
    );
    const stored = await loadCall(api.pool, done.call_id!);
    expect(stored).toMatchObject({
      tenant: call.tenant,
      startedAt: call.startedAt,
      endedAt: call.endedAt,
      identifiers: [{ kind: 'recognised-again', value: call.id }],
    });
    // The sandbox hears that somebody spoke, and when: a caption does not survive the mixing of the legs.
    const said = await loadTranscript(api.pool, done.call_id!);
    expect(said.map(({ role, beginAt }) => [role, beginAt.getTime() - call.startedAt.getTime()])).toEqual([
      ['agent', 400],
      ['customer', 2_400],
    ]);
    expect(await loadTranscript(api.pool, call.id)).toEqual(before);
  });

  it('is told to the endpoints that the first one was told to', async () => {
    const ids: Record<string, string> = {};
    for (const name of ['crm', 'wfm']) {
      const secret = new Secret(newSecret());
      const url = parseEndpointUrl('https://127.0.0.1:9/');
      const endpoint = { tenant: 'default', name, url, eventTypes: WEBHOOK_EVENT_TYPES, secret };
      ids[name] = await addEndpoint(api.pool, endpoint);
    }
    const toldOf = async (webhooks: readonly string[] | undefined): Promise<readonly string[]> => {
      const call = await storeSpoken(['left', 'right'], { route: { rule: 'acme', webhooks } });
      const done = await ended((await again(call.id)).id);
      const { rows } = await api.pool.query<{ told: string }>(
        `select type || ' ' || name as told from webhook_messages join webhook_endpoints on webhook_endpoints.id = endpoint_id
          where call_id = $1 order by 1`,
        [done.call_id],
      );
      return rows.map(({ told }) => told);
    };
    const each = ['call.complete', 'call.started', 'sentence.final', 'sentence.final'];
    expect(await toldOf(['wfm'])).toEqual(each.map((type) => `${type} wfm`));
    expect(await toldOf([])).toEqual([]);
    expect(await toldOf(undefined)).toHaveLength(8);
    for (const id of Object.values(ids)) await removeEndpoint(api.pool, undefined, id);
  });

  it.each([
    ['where nothing else was said', undefined, 'some'],
    ['but where the first one kept none', false, 'none'],
  ] as const)('has words with times %s', async (_name, keepsWords, expected) => {
    const call = await storeSpoken(['left', 'right'], { route: { rule: 'acme', keepsWords } });
    const done = await ended((await again(call.id)).id);
    const { rows } = await api.pool.query<{ words: number }>(
      'select jsonb_array_length(words) as words from sentences where call_id = $1',
      [done.call_id],
    );
    expect(rows).toHaveLength(2);
    expect(rows.every(({ words }) => (expected === 'some' ? words > 0 : words === 0))).toBe(true);
  });

  it('takes the hot words that are asked for', async () => {
    const call = await storeSpoken();
    const failed = await ended((await again(call.id, { vocabulary_id: 'vocab-nowhere-1' })).id);
    expect(failed).toMatchObject({ state: 'failed', call_id: null });
    // It reached the recogniser, which has no such list.
    expect(failed.fault?.text).toContain('ResourceNotExist');
  });

  it('with one leg on both sides is one leg again', async () => {
    const call = await storeSpoken(['both']);
    const done = await ended((await again(call.id)).id);
    expect(await loadLegs(api.pool, done.call_id!)).toHaveLength(1);
    expect(await loadTranscript(api.pool, done.call_id!)).toHaveLength(1);
  });

  it('and what cannot be is refused with the reason', async () => {
    const unrecorded = await storeCompleteCall(api.pool);
    expect(await again(unrecorded.id)).toMatchObject({ status: 404, code: 'RECORDING_ABSENT' });
    await saveEvent(api.pool, recordedEvent(unrecorded));
    expect(await again(unrecorded.id)).toMatchObject({ status: 404, code: 'RECORDING_ABSENT' });
    const running = aCall();
    await saveCall(api.pool, running);
    expect(await again(running.id)).toMatchObject({ status: 409, code: 'CALL_RUNNING' });
    expect(await again(newCallId())).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    expect(await again(running.id, { language: 'zh' })).toMatchObject({ status: 400 });
  });
});
