import { connect } from 'node:net';

import { afterEach, describe, expect, it } from 'vitest';

import { silentLogger } from '../../src/log.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/server.ts';
import { FakeClock } from '../support/fake-clock.ts';

const MODEL = 'paraformer-realtime-8k-v2';
const REQUEST_ID = expect.stringMatching(/^[0-9a-f-]{36}$/);
const STAMP = expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);

const running: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each[Symbol.asyncDispose]();
});

async function sandboxWith(options: Partial<SandboxOptions> = {}): Promise<Sandbox> {
  const sandbox = await startSandbox({
    host: '127.0.0.1',
    port: 0,
    recogniser: captionsRecogniser,
    logger: silentLogger,
    apiKeys: ['sk-1'],
    ...options,
  });
  running.push(sandbox);
  return sandbox;
}

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function ask(
  { httpUrl }: Sandbox,
  method: string,
  path: string,
  body?: unknown,
  key = 'sk-1',
): Promise<Answer> {
  const response = await fetch(`${httpUrl}${path}`, {
    method,
    headers: { Authorization: `bearer ${key}`, 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const customise = (sandbox: Sandbox, input: unknown): Promise<Answer> =>
  ask(sandbox, 'POST', '/services/audio/asr/customization', {
    model: 'speech-biasing',
    input,
    parameters: {},
  });
const WORD = { text: '携号转网', weight: 4, lang: 'zh' };
const create = (change: Record<string, unknown> = {}): Record<string, unknown> => ({
  action: 'create_vocabulary',
  target_model: MODEL,
  prefix: 'callctr',
  vocabulary: [WORD],
  ...change,
});

describe('vocabularies on the wire', () => {
  it('have exactly the answers of the specification', async () => {
    const sandbox = await sandboxWith();
    const made = await customise(sandbox, create());
    const id = (made.body['output'] as Record<string, string>)['vocabulary_id']!;
    const envelope = { usage: { count: 1 }, request_id: REQUEST_ID };
    expect(made).toEqual({ status: 200, body: { output: { vocabulary_id: id }, ...envelope } });
    expect(id).toMatch(/^vocab-callctr-[0-9a-f]{20}$/);
    const times = { gmt_create: STAMP, gmt_modified: STAMP, status: 'OK' };
    expect((await customise(sandbox, { action: 'list_vocabulary' })).body).toEqual({
      output: { vocabulary_list: [{ vocabulary_id: id, ...times }] },
      ...envelope,
    });
    expect((await customise(sandbox, { action: 'query_vocabulary', vocabulary_id: id })).body).toEqual({
      output: { ...times, target_model: MODEL, vocabulary: [WORD] },
      ...envelope,
    });
    for (const input of [
      { action: 'update_vocabulary', vocabulary_id: id, vocabulary: [] },
      { action: 'delete_vocabulary', vocabulary_id: id },
    ]) {
      expect((await customise(sandbox, input)).body).toEqual({ output: {}, ...envelope });
    }
  });

  it('are UNDEPLOYED for a while after create and update, where that is asked for', async () => {
    const clock = new FakeClock();
    const sandbox = await sandboxWith({ clock, timers: { deployMs: 1_000 } });
    const made = await customise(sandbox, create());
    const id = (made.body['output'] as Record<string, string>)['vocabulary_id']!;
    const status = async (): Promise<unknown> => {
      const { body } = await customise(sandbox, { action: 'query_vocabulary', vocabulary_id: id });
      return (body['output'] as Record<string, unknown>)['status'];
    };
    expect(await status()).toBe('UNDEPLOYED');
    clock.advance(1_000);
    expect(await status()).toBe('OK');
    await customise(sandbox, { action: 'update_vocabulary', vocabulary_id: id, vocabulary: [] });
    expect(await status()).toBe('UNDEPLOYED');
  });

  it.each<[string, unknown]>([
    ['no action', {}],
    ['an unknown action', { action: 'burn_vocabulary' }],
    ['no target_model', create({ target_model: undefined })],
    ['a long prefix', create({ prefix: 'abcdefghij' })],
    ['capitals in the prefix', create({ prefix: 'Abc' })],
    ['501 hot words', create({ vocabulary: Array.from({ length: 501 }, () => WORD) })],
    ['no weight', create({ vocabulary: [{ text: 'a' }] })],
    ['weight 6', create({ vocabulary: [{ text: 'a', weight: 6 }] })],
    ['weight 50', create({ vocabulary: [{ text: 'a', weight: 50 }] })],
    ['16 characters', create({ vocabulary: [{ text: '一'.repeat(16), weight: 1 }] })],
    ['8 parts', create({ vocabulary: [{ text: 'a b c d e f g h', weight: 1 }] })],
    ['an unknown language', create({ vocabulary: [{ text: 'a', weight: 1, lang: 'xx' }] })],
    ['a page before the first', { action: 'list_vocabulary', page_index: -1 }],
  ])('are refused with 400: %s', async (_case, input) => {
    const sandbox = await sandboxWith();
    expect(await customise(sandbox, input)).toEqual({
      status: 400,
      body: { code: 'InvalidParameter', message: expect.any(String), request_id: REQUEST_ID },
    });
    expect(sandbox.live.vocabularies).toBe(0);
  });

  it('are ten at most, of 500 hot words', async () => {
    const sandbox = await sandboxWith();
    const vocabulary = Array.from({ length: 500 }, () => WORD);
    for (let no = 0; no < 10; no += 1) {
      expect((await customise(sandbox, create({ vocabulary }))).status).toBe(200);
    }
    expect(await customise(sandbox, create())).toEqual({
      status: 400,
      body: {
        code: 'Throttling.AllocationQuota',
        message: 'Free allocated quota exceeded.',
        request_id: REQUEST_ID,
      },
    });
  });
});

describe('phrase lists on the wire', () => {
  it('have the answers that the Python SDK reads', async () => {
    const sandbox = await sandboxWith();
    const model = 'paraformer-realtime-v1';
    const body = {
      model,
      training_file_ids: [],
      validation_file_ids: [],
      training_type: 'compile_asr_phrase',
      hyper_parameters: { phrase_list: { 话费: 3, 挂失: -2 } },
    };
    const made = await ask(sandbox, 'POST', '/fine-tunes', body);
    const output = made.body['output'] as Record<string, string>;
    expect(made.body).toEqual({
      output: {
        job_id: expect.stringMatching(/^ft-\d{12}-/),
        status: 'SUCCEEDED',
        finetuned_output: `${model}-${output['job_id']!}`,
        model,
        training_type: 'compile_asr_phrase',
        create_time: STAMP,
        output_type: 'custom_resource',
      },
      request_id: REQUEST_ID,
    });
    const id = output['finetuned_output']!;
    const listed = {
      create_time: STAMP,
      finetuned_output: id,
      job_id: output['job_id'],
      model,
      output_type: 'custom_resource',
    };
    expect((await ask(sandbox, 'GET', '/fine-tunes/outputs?page_no=1&page_size=10')).body['output']).toEqual({
      page_no: 1,
      page_size: 10,
      total: 1,
      finetuned_outputs: [listed],
    });
    expect((await ask(sandbox, 'GET', `/fine-tunes/outputs/${id}`)).body['output']).toEqual(listed);
    const updated = await ask(sandbox, 'POST', '/fine-tunes', { ...body, finetuned_output: id });
    expect(updated.body['output']).toMatchObject({ finetuned_output: id, status: 'SUCCEEDED' });
    expect((await ask(sandbox, 'DELETE', `/fine-tunes/outputs/${id}`)).body['output']).toEqual({
      finetuned_output: id,
    });
    expect((await ask(sandbox, 'GET', `/fine-tunes/outputs/${id}`)).body).toMatchObject({
      code: 'BadRequest.ResourceNotExist',
    });
  });
});

describe('tokens on the wire', () => {
  it('have the form of the page, live as long as they were asked for and make no tokens themselves', async () => {
    const clock = new FakeClock();
    const sandbox = await sandboxWith({ clock });
    const { status, body } = await ask(sandbox, 'POST', '/tokens?expire_in_seconds=100');
    const nowSeconds = Math.floor(clock.wallTime().getTime() / 1000);
    expect({ status, body }).toEqual({
      status: 200,
      body: { token: expect.stringMatching(/^st-[0-9a-f]{32}$/), expires_at: nowSeconds + 100 },
    });
    const token = body['token'] as string;
    const list = (): Promise<Answer> => ask(sandbox, 'GET', '/fine-tunes/outputs', undefined, token);
    expect((await list()).status).toBe(200);
    expect((await ask(sandbox, 'POST', '/tokens', undefined, token)).status).toBe(401);
    clock.advance(100_000);
    expect(await list()).toMatchObject({ status: 401, body: { code: 'InvalidApiKey' } });
    expect(sandbox.live.tokens).toBe(0);
  });

  it.each(['0', '1801', 'x', '1.5'])('are refused with %s seconds', async (seconds) => {
    const sandbox = await sandboxWith();
    expect((await ask(sandbox, 'POST', `/tokens?expire_in_seconds=${seconds}`)).status).toBe(400);
  });

  it('hold for 60 s unless more is asked for; a made-up one is none, even where any key is let in', async () => {
    const clock = new FakeClock();
    const sandbox = await sandboxWith({ clock, apiKeys: 'any' });
    const { body } = await ask(sandbox, 'POST', '/tokens');
    expect(body['expires_at']).toBe(Math.floor(clock.wallTime().getTime() / 1000) + 60);
    expect((await ask(sandbox, 'GET', '/fine-tunes/outputs', undefined, 'st-made-up')).status).toBe(401);
    expect((await ask(sandbox, 'GET', '/fine-tunes/outputs', undefined, 'sk-any')).status).toBe(200);
  });
});

describe('the REST side', () => {
  it.each<[string, string, string, unknown, number]>([
    ['an unknown path', 'GET', '/models', undefined, 404],
    ['an unknown method', 'PUT', '/fine-tunes', {}, 404],
    ['what is no JSON', 'POST', '/fine-tunes', '{', 400],
    ['no body', 'POST', '/services/audio/asr/customization', undefined, 400],
    ['a body that is too long', 'POST', '/fine-tunes', `"${'x'.repeat(1 << 20)}"`, 413],
    ['a path that cannot be decoded', 'GET', '/fine-tunes/outputs/%E0%A4%A', undefined, 400],
  ])('answers %s', async (_case, method, path, body, status) => {
    const sandbox = await sandboxWith();
    const answer = await ask(sandbox, method, path, body);
    expect(answer).toMatchObject({ status, body: { code: expect.any(String), request_id: REQUEST_ID } });
  });

  it('lives on after bytes that are no HTTP, and after clients that leave', async () => {
    const sandbox = await sandboxWith();
    const port = Number(new URL(sandbox.httpUrl).port);
    for (const bytes of [
      '\0\0\0',
      'GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n',
      'POST /api/v1/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc',
      'GET /api-ws/v1/inference HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    ]) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.resume();
      socket.end(bytes);
      await new Promise((resolve) => socket.once('close', resolve));
    }
    expect((await ask(sandbox, 'GET', '/fine-tunes/outputs')).status).toBe(200);
  });
});
