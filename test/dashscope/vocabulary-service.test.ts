import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';

import { HotWordsInvalid, type VocabularyEntry } from '../../src/dashscope/vocabulary-rules.ts';
import { VocabularyService } from '../../src/dashscope/vocabulary-service.ts';
import { silentLogger } from '../../src/log.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';

const MODEL = 'paraformer-realtime-8k-v2';
const WORDS: VocabularyEntry[] = [
  { text: '携号转网', weight: 4, lang: 'zh' },
  { text: 'VoLTE', weight: 3 },
];

const running: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each[Symbol.asyncDispose]();
});

async function service(timeoutMs = 5_000): Promise<{ sandbox: Sandbox; hotWords: VocabularyService }> {
  const sandbox = await startSandbox({
    host: '127.0.0.1',
    port: 0,
    recogniser: captionsRecogniser,
    logger: silentLogger,
  });
  running.push(sandbox);
  const options = { baseUrl: sandbox.httpUrl, apiKey: 'sk-1', retryDelayMs: 1, timeoutMs };
  return { sandbox, hotWords: new VocabularyService(options) };
}

const make = (hotWords: VocabularyService, prefix = 'callctr', vocabulary = WORDS): Promise<string> =>
  hotWords.create({ targetModel: MODEL, prefix, vocabulary });

describe('a vocabulary', () => {
  it('is made, found, read, replaced and deleted', async () => {
    const { hotWords } = await service();
    const vocabularyId = await make(hotWords);
    expect(vocabularyId).toMatch(/^vocab-callctr-[0-9a-f]+$/);
    expect(hotWords.getLastRequestId()).toMatch(/^[0-9a-f-]{36}$/);
    const stamp = expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
    const summary = { vocabularyId, gmtCreate: stamp, gmtModified: stamp, status: 'OK' };
    expect(await hotWords.list({ prefix: 'callctr' })).toEqual([summary]);
    expect(await hotWords.list({ prefix: 'other' })).toEqual([]);
    expect(await hotWords.query(vocabularyId)).toEqual({
      ...summary,
      targetModel: MODEL,
      vocabulary: WORDS,
    });
    await hotWords.update(vocabularyId, [{ text: '话费', weight: 5 }]);
    expect((await hotWords.query(vocabularyId)).vocabulary).toEqual([{ text: '话费', weight: 5 }]);
    await hotWords.delete(vocabularyId);
    for (const gone of [hotWords.query(vocabularyId), hotWords.delete(vocabularyId)]) {
      await expect(gone).rejects.toMatchObject({
        httpStatus: 400,
        dashscopeCode: 'BadRequest.ResourceNotExist',
        retryable: false,
      });
    }
  });

  it('is one of ten; the eleventh is refused for good', async () => {
    const { hotWords } = await service();
    for (let no = 0; no < 10; no += 1) await make(hotWords, `p${no}`);
    await expect(make(hotWords, 'p10')).rejects.toMatchObject({
      dashscopeCode: 'Throttling.AllocationQuota',
      retryable: false,
    });
    const all: string[] = [];
    for await (const { vocabularyId } of hotWords.listAll({ pageSize: 3 })) all.push(vocabularyId);
    expect(all.map((id) => id.split('-')[1])).toEqual(Array.from({ length: 10 }, (_, no) => `p${no}`));
    expect(await hotWords.list({ pageIndex: 3, pageSize: 3 })).toHaveLength(1);
  });
});

describe('creating, where the answer is lost', () => {
  it('takes the list that was made, not one that was there before', async () => {
    const { sandbox, hotWords } = await service();
    const before = await make(hotWords);
    sandbox.desk.order({ fault: 'rest-lose-answer:on=create_vocabulary', times: 1 });
    const made = await make(hotWords);
    expect(made).not.toBe(before);
    expect(sandbox.live.vocabularies).toBe(2);
  });

  it('after a time-out looks before it asks again', async () => {
    const { sandbox, hotWords } = await service(100);
    sandbox.desk.order({ fault: 'rest-stall:on=create_vocabulary', times: 1 });
    expect(await make(hotWords)).toMatch(/^vocab-callctr-/);
    expect(sandbox.live.vocabularies).toBe(1);
  });

  it.each(['rest-cut:on=create_vocabulary', 'rest-refuse:status=500,on=create_vocabulary'])(
    'asks again where nothing was made: %s',
    async (fault) => {
      const { sandbox, hotWords } = await service();
      sandbox.desk.order({ fault, times: 2 });
      await make(hotWords);
      expect(sandbox.live.vocabularies).toBe(1);
      sandbox.desk.order({ fault });
      await expect(make(hotWords)).rejects.toMatchObject({ retryable: true });
      expect(sandbox.desk.list()[0]?.struck).toBe(3);
    },
  );

  it('gives each of several at a time its own list', async () => {
    const { sandbox, hotWords } = await service();
    sandbox.desk.order({ fault: 'rest-lose-answer:on=create_vocabulary,p=0.5', times: 4, seed: 3 });
    const made = await Promise.all(Array.from({ length: 6 }, () => make(hotWords)));
    expect(new Set(made).size).toBe(6);
    expect(sandbox.live.vocabularies).toBe(6);
  });

  it('counts a deletion whose answer was lost as done', async () => {
    const { sandbox, hotWords } = await service();
    const vocabularyId = await make(hotWords);
    sandbox.desk.order({ fault: 'rest-lose-answer:on=delete_vocabulary', times: 1 });
    await hotWords.delete(vocabularyId);
    expect(sandbox.live.vocabularies).toBe(0);
  });
});

describe('rules, before anything is sent', () => {
  const nowhere = new VocabularyService({ baseUrl: 'http://127.0.0.1:9', apiKey: 'sk-1', maxAttempts: 1 });
  const rulesOf = async (act: Promise<unknown>): Promise<string[]> => {
    const thrown: unknown = await act.catch((error: unknown) => error);
    if (!(thrown instanceof HotWordsInvalid)) throw thrown;
    return thrown.faults.map(({ rule, parameter }) => `${rule} ${parameter}`);
  };

  it.each<[string, VocabularyEntry, string[]]>([
    ['15 characters, blanks included', { text: `${'一'.repeat(13)} a`, weight: 1 }, []],
    ['16 characters', { text: `${'一'.repeat(14)} a`, weight: 1 }, ['text-characters vocabulary[0].text']],
    ['15 characters beyond 16 bits', { text: '𠮷'.repeat(15), weight: 1 }, []],
    ['7 parts of ASCII', { text: 'a b c d e f gggggggggggggggggggg', weight: 5 }, []],
    ['8 parts of ASCII', { text: 'a b c d e f g h', weight: 5 }, ['text-parts vocabulary[0].text']],
    [
      'one character that is not ASCII',
      { text: 'café au lait, merci', weight: 1 },
      ['text-characters vocabulary[0].text'],
    ],
    ['nothing', { text: ' ', weight: 1 }, ['text-present vocabulary[0].text']],
    ['weight 0', { text: 'a', weight: 0 }, ['weight vocabulary[0].weight']],
    ['weight 6', { text: 'a', weight: 6 }, ['weight vocabulary[0].weight']],
    ['weight 2.5', { text: 'a', weight: 2.5 }, ['weight vocabulary[0].weight']],
    ['a language of another model', { text: 'a', weight: 1, lang: 'it' }, ['lang vocabulary[0].lang']],
  ])('%s', async (_case, entry, broken) => {
    if (broken.length === 0) {
      await expect(rulesOf(nowhere.update('x', [entry]))).rejects.toMatchObject({ kind: 'network' });
    } else expect(await rulesOf(nowhere.update('x', [entry]))).toEqual(broken);
  });

  it('are told all at once, by name, without the hot words', async () => {
    const vocabulary = [
      { text: '某某某的名字很长很长很长很长很长', weight: 9, lang: 'xx' },
      ...Array.from({ length: 500 }, () => ({ text: 'a', weight: 1 })),
    ];
    const act = nowhere.create({ targetModel: 'paraformer-realtime-v1', prefix: 'Call-Centre', vocabulary });
    expect(await rulesOf(act)).toEqual([
      'target-model targetModel',
      'prefix prefix',
      'entry-count vocabulary',
      'text-characters vocabulary[0].text',
      'weight vocabulary[0].weight',
      'lang vocabulary[0].lang',
    ]);
    await expect(act).rejects.toMatchObject({ code: 'ASR_USAGE', kind: 'usage', retryable: false });
    await expect(act).rejects.toThrow(/found 11 characters, 3 of them neither.*rule prefix/);
    await expect(act).rejects.not.toThrow(/某/);
  });

  it.each(['', 'abcdefghij', 'a_b', 'A1', '词'])('the prefix %j is none', async (prefix) => {
    const act = nowhere.create({ targetModel: MODEL, prefix, vocabulary: [] });
    expect(await rulesOf(act)).toEqual(['prefix prefix']);
  });

  it('let a model of tomorrow through', async () => {
    const act = nowhere.create({ targetModel: 'paraformer-realtime-v9', prefix: 'a', vocabulary: [] });
    await expect(act).rejects.toMatchObject({ kind: 'network' });
  });

  it('agree with the sandbox’s own, whatever the words', async () => {
    const { sandbox, hotWords } = await service();
    const vocabularyId = await make(hotWords);
    const word = fc.record({
      text: fc.stringMatching(/^[a-c一-三𠮷é ]{1,18}$/u).filter((text) => text.trim() !== ''),
      weight: fc.integer({ min: -1, max: 7 }),
    });
    await fc.assert(
      fc.asyncProperty(word, async (entry) => {
        const ours = await hotWords.update(vocabularyId, [entry]).then(
          () => true,
          () => false,
        );
        const body = {
          model: 'speech-biasing',
          input: { action: 'update_vocabulary', vocabulary_id: vocabularyId, vocabulary: [entry] },
        };
        const theirs = await fetch(`${sandbox.httpUrl}/services/audio/asr/customization`, {
          method: 'POST',
          headers: { Authorization: 'Bearer sk-1' },
          body: JSON.stringify(body),
        });
        expect(ours).toBe(theirs.ok);
      }),
      { numRuns: 60 },
    );
  });
});
