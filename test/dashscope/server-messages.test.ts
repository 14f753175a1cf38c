import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { decodeServerMessage, type SentenceResult } from '../../src/dashscope/server-messages.ts';

const TASK_ID = '5f0c6a0f6c1b4e7f9a5d3b8e2c417a90';

const message = (event: string, payload: unknown, header: object = {}): string =>
  JSON.stringify({ header: { task_id: TASK_ID, event, attributes: {}, ...header }, payload });

const resultMessage = (sentence: unknown, usage?: unknown): string =>
  message('result-generated', { output: { sentence }, usage });

function resultOf(sentence: unknown, usage?: unknown): SentenceResult {
  const decoded = decodeServerMessage(resultMessage(sentence, usage));
  if (decoded.kind !== 'result-generated') throw new Error(`decoded as ${decoded.kind}`);
  return decoded.result;
}

/** The final of the specification. */
const FINAL = {
  sentence_id: 1,
  begin_time: 640,
  end_time: 2980,
  text: '您好，我想查一下话费。',
  sentence_begin: false,
  sentence_end: true,
  heartbeat: false,
  emo_tag: 'neutral',
  emo_confidence: 0.914,
  words: [
    { begin_time: 640, end_time: 980, text: '您好', punctuation: '，' },
    { begin_time: 980, end_time: 2980, text: '我想查一下话费', punctuation: '。' },
  ],
};
const PARTIAL = {
  sentence_id: 1,
  begin_time: 640,
  end_time: null,
  text: '您好我想查一下',
  channel_id: 0,
  speaker_id: null,
  sentence_begin: false,
  sentence_end: false,
  heartbeat: false,
  words: [{ begin_time: 640, end_time: 960, text: '您好', punctuation: '' }],
};

describe('decodeServerMessage', () => {
  it('reads a final with words, emotion and usage', () => {
    expect(resultOf(FINAL, { duration: 3 })).toEqual({
      sentenceId: 1,
      beginMs: 640,
      endMs: 2980,
      text: '您好，我想查一下话费。',
      final: true,
      words: [
        { beginMs: 640, endMs: 980, text: '您好', punctuation: '，' },
        { beginMs: 980, endMs: 2980, text: '我想查一下话费', punctuation: '。' },
      ],
      emotion: { tag: 'neutral', confidence: 0.914 },
      usageSeconds: 3,
    });
  });

  it('reads a partial', () => {
    expect(resultOf(PARTIAL, null)).toMatchObject({
      final: false,
      endMs: undefined,
      text: '您好我想查一下',
      emotion: undefined,
      usageSeconds: undefined,
    });
  });

  it('reads the first partial that was seen in the wild: no usage, no heartbeat, no text', () => {
    const first = { sentence_id: 1, begin_time: 1940, text: '', words: [], sentence_begin: true };
    expect(resultOf(first)).toMatchObject({ beginMs: 1940, text: '', final: false, words: [] });
  });

  it('needs nothing of a sentence but begin_time and text', () => {
    expect(resultOf({ begin_time: 5, text: '好' })).toEqual({
      sentenceId: undefined,
      beginMs: 5,
      endMs: undefined,
      text: '好',
      final: false,
      words: [],
      emotion: undefined,
      usageSeconds: undefined,
    });
  });

  it.each([
    ['sentence_end true, end_time set', { sentence_end: true, end_time: 2980 }, true],
    ['sentence_end true, end_time null', { sentence_end: true, end_time: null }, true],
    ['sentence_end true, end_time absent', { sentence_end: true, end_time: undefined }, true],
    ['sentence_end false, end_time set', { sentence_end: false, end_time: 2980 }, false],
    ['sentence_end absent, end_time set', { sentence_end: undefined, end_time: 2980 }, true],
    ['sentence_end absent, end_time 0', { sentence_end: undefined, end_time: 0 }, true],
    ['sentence_end absent, end_time null', { sentence_end: undefined, end_time: null }, false],
    ['both absent', { sentence_end: undefined, end_time: undefined }, false],
  ])('tells whether it is final: %s', (_case, change, final) => {
    expect(resultOf({ ...FINAL, ...change }).final).toBe(final);
  });

  it.each([
    ['from the last word', FINAL.words, 2980],
    ['from the begin where there is no word', [], 640],
    ['from the begin where words come without times', [{ text: '您好' }], 640],
  ])('takes the end of a final with end_time null %s', (_case, words, endMs) => {
    expect(resultOf({ ...FINAL, end_time: null, words }).endMs).toBe(endMs);
  });

  it('drops a broken word and keeps the others', () => {
    const words = [null, { begin_time: 'x' }, FINAL.words[1], { ...FINAL.words[0], punctuation: null }];
    expect(resultOf({ ...FINAL, words }).words.map((word) => word.text)).toEqual(['我想查一下话费', '您好']);
  });

  it.each([
    ['emo_tag', 7],
    ['emo_confidence', 'high'],
    ['words', 'none'],
    ['sentence_id', 'one'],
    ['heartbeat', null],
    ['stash', { text: 'the next sentence' }],
    ['vad_pre_end', true],
  ])('lives with a %s of %j', (name, value) => {
    expect(resultOf({ ...FINAL, [name]: value })).toMatchObject({
      text: FINAL.text,
      final: true,
      endMs: 2980,
    });
  });

  it('takes a confidence from 0 to 1, and none beyond', () => {
    const confidences = [0, 0.5, 1, 1.01, -0.1, null].map(
      (emo_confidence) => resultOf({ ...FINAL, emo_confidence }).emotion,
    );
    const known = [0, 0.5, 1, undefined, undefined, undefined];
    expect(confidences).toEqual(known.map((confidence) => ({ tag: 'neutral', confidence })));
    const tags = ['positive', 'negative', 'neutral', ''];
    expect(tags.map((emo_tag) => resultOf({ ...FINAL, emo_tag }).emotion?.tag)).toEqual([
      'positive',
      'negative',
      'neutral',
      undefined,
    ]);
  });

  it('drops heartbeats', () => {
    const sentence = { sentence_id: 0, begin_time: 0, end_time: null, text: '', heartbeat: true, words: [] };
    expect(decodeServerMessage(resultMessage(sentence, null))).toEqual({
      kind: 'heartbeat',
      taskId: TASK_ID,
    });
    expect(decodeServerMessage(resultMessage({ heartbeat: true }))).toEqual({
      kind: 'heartbeat',
      taskId: TASK_ID,
    });
  });

  it.each([[{ output: {}, usage: null }], [{ output: {} }], [{}], [undefined]])(
    'takes task-finished with the payload %j',
    (payload) => {
      expect(decodeServerMessage(message('task-finished', payload))).toEqual({
        kind: 'task-finished',
        taskId: TASK_ID,
      });
    },
  );

  it('reads the error of task-failed from the header', () => {
    const header = { error_code: 'CLIENT_ERROR', error_message: 'request timeout after 23 seconds.' };
    expect(decodeServerMessage(message('task-failed', {}, header))).toEqual({
      kind: 'task-failed',
      taskId: TASK_ID,
      errorCode: 'CLIENT_ERROR',
      errorMessage: 'request timeout after 23 seconds.',
    });
    expect(decodeServerMessage(message('task-failed', {}))).toMatchObject({
      errorCode: '',
      errorMessage: '',
    });
  });

  it('knows an event that it does not know', () => {
    expect(decodeServerMessage(message('task-paused', {}))).toEqual({ kind: 'unknown', taskId: TASK_ID });
  });

  it.each([
    ['empty', ''],
    ['no JSON', '{"header":'],
    ['no object', '7'],
    ['no header', '{}'],
    ['no event', '{"header":{}}'],
    ['a result without output', message('result-generated', {})],
    ['a result without sentence', message('result-generated', { output: {} })],
    ['a sentence without text', resultMessage({ begin_time: 0 })],
    ['a sentence without begin_time', resultMessage({ text: '好' })],
    ['a negative begin_time', resultMessage({ begin_time: -1, text: '好' })],
  ])('calls malformed: %s', (_case, text) => {
    expect(decodeServerMessage(text)).toEqual({ kind: 'malformed', fault: expect.any(String) });
  });

  it('never throws, and never gives a final without an end', () => {
    const anyPayload = fc.record(
      {
        output: fc.record({
          sentence: fc.object({ values: [fc.integer(), fc.string(), fc.constant(null)] }),
        }),
      },
      { requiredKeys: [] },
    );
    const anyMessage = fc.oneof(
      fc.string(),
      fc.json(),
      anyPayload.map((payload) => message('result-generated', payload)),
      fc
        .record({
          begin_time: fc.double(),
          text: fc.string(),
          end_time: fc.double(),
          sentence_end: fc.boolean(),
        })
        .map((sentence) => resultMessage(sentence)),
    );
    fc.assert(
      fc.property(anyMessage, (text) => {
        const decoded = decodeServerMessage(text);
        if (decoded.kind !== 'result-generated') return;
        const { beginMs, endMs, final } = decoded.result;
        expect(final ? endMs! >= beginMs : endMs === undefined).toBe(true);
      }),
    );
  });
});
