import { afterEach, describe, expect, it } from 'vitest';

import { PhraseManager } from '../../src/dashscope/phrase-manager.ts';
import { HotWordsInvalid } from '../../src/dashscope/vocabulary-rules.ts';
import { silentLogger } from '../../src/log.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';

const MODEL = 'paraformer-realtime-8k-v1';

const running: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each[Symbol.asyncDispose]();
});

async function manager(): Promise<{ sandbox: Sandbox; phrases: PhraseManager }> {
  const sandbox = await startSandbox({
    host: '127.0.0.1',
    port: 0,
    recogniser: captionsRecogniser,
    logger: silentLogger,
  });
  running.push(sandbox);
  return {
    sandbox,
    phrases: new PhraseManager({ baseUrl: sandbox.httpUrl, apiKey: 'sk-1', retryDelayMs: 1 }),
  };
}

describe('a phrase list', () => {
  it('is made, found, replaced and deleted', async () => {
    const { phrases } = await manager();
    const made = await phrases.create(MODEL, { 话费: 3, 挂失: -2 });
    expect(made).toMatchObject({
      phraseId: expect.stringMatching(/^paraformer-realtime-8k-v1-ft-\d{12}-[0-9a-f]+$/),
      model: MODEL,
      createTime: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/),
    });
    expect(await phrases.query(made.phraseId)).toEqual(made);
    expect((await phrases.update(made.phraseId, MODEL, { 话费: 5 })).phraseId).toBe(made.phraseId);
    const second = await phrases.create(MODEL, { 套餐: 1 });
    expect(await phrases.list({ pageSize: 1 })).toEqual({ total: 2, lists: [second] });
    expect(await phrases.list({ pageNo: 2, pageSize: 1 })).toEqual({ total: 2, lists: [made] });
    await phrases.delete(made.phraseId);
    for (const gone of [
      phrases.query(made.phraseId),
      phrases.delete(made.phraseId),
      phrases.update(made.phraseId, MODEL, { a: 1 }),
    ]) {
      await expect(gone).rejects.toMatchObject({ dashscopeCode: 'BadRequest.ResourceNotExist' });
    }
  });

  it('is not made twice where the answer may only have been lost; a deletion is done once', async () => {
    const { sandbox, phrases } = await manager();
    sandbox.desk.order({ fault: 'rest-lose-answer:on=POST /api/v1/fine-tunes', times: 1 });
    await expect(phrases.create(MODEL, { 话费: 3 })).rejects.toMatchObject({ code: 'ASR_UNREACHABLE' });
    expect(sandbox.live.phrases).toBe(1);
    const { phraseId } = (await phrases.list()).lists[0]!;
    sandbox.desk.order({ fault: 'rest-lose-answer:on=DELETE', times: 1 });
    await phrases.delete(phraseId);
    expect(sandbox.live.phrases).toBe(0);
  });

  it('is checked before anything is sent, all faults at once', async () => {
    const phrases = new PhraseManager({ baseUrl: 'http://127.0.0.1:9', apiKey: 'sk-1' });
    const thrown: unknown = await phrases
      .create('paraformer-realtime-v2', {
        ['长'.repeat(11)]: 1,
        'one two three four five six': 1,
        'mixed 中文 with five words ok': 1,
        ' ': 1,
        zero: 0,
        low: -7,
        high: 6,
        half: 0.5,
        ['短'.repeat(10)]: -6,
        'just five words of it': 5,
      })
      .catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(HotWordsInvalid);
    expect((thrown as HotWordsInvalid).faults.map(({ rule, parameter }) => `${rule} ${parameter}`)).toEqual([
      'phrase-model model',
      'phrase-characters phrases[0]',
      'phrase-words phrases[1]',
      'phrase-words phrases[2]',
      'text-present phrases[3]',
      'phrase-weight phrases[4].weight',
      'phrase-weight phrases[5].weight',
      'phrase-weight phrases[6].weight',
      'phrase-weight phrases[7].weight',
    ]);
    for (const count of [0, 501]) {
      const many = Object.fromEntries(Array.from({ length: count }, (_, no) => [`w${no}`, 1]));
      await expect(phrases.create(MODEL, many)).rejects.toMatchObject({
        faults: [{ rule: 'phrase-count', found: `${count} phrases` }],
      });
    }
    await expect(phrases.list({ pageNo: 0, pageSize: 101 })).rejects.toMatchObject({
      faults: [{ parameter: 'pageNo' }, { parameter: 'pageSize' }],
    });
  });
});
