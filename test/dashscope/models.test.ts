import { expect, it } from 'vitest';

import { AUDIO_FORMATS, findModel, LANGUAGES, RECOGNITION_MODELS } from '../../src/dashscope/models.ts';

it('are the vendor’s: rates, languages, hot words, emotion', () => {
  expect(
    RECOGNITION_MODELS.map(
      ({ name, generation, sampleRate, languages, languageHints, hotWords, emotion }) => [
        name,
        `v${generation}`,
        sampleRate,
        languages.join(' '),
        languageHints ? 'hints' : 'no hints',
        hotWords,
        emotion ? 'emotion' : 'no emotion',
      ],
    ),
  ).toEqual([
    [
      'paraformer-realtime-v2',
      'v2',
      'any',
      'zh en ja yue ko de fr ru',
      'hints',
      'vocabularyId',
      'no emotion',
    ],
    ['paraformer-realtime-8k-v2', 'v2', 8_000, 'zh', 'no hints', 'vocabularyId', 'emotion'],
    ['paraformer-realtime-v1', 'v1', 16_000, 'zh', 'no hints', 'phraseId', 'no emotion'],
    ['paraformer-realtime-8k-v1', 'v1', 8_000, 'zh', 'no hints', 'phraseId', 'no emotion'],
  ]);
});

it('take the formats of the page, each of them all', () => {
  expect([...AUDIO_FORMATS]).toEqual(['pcm', 'wav', 'mp3', 'opus', 'speex', 'aac', 'amr']);
  for (const { formats } of RECOGNITION_MODELS) expect(formats).toEqual(AUDIO_FORMATS);
});

it('speak the languages of the page', () => {
  expect([...LANGUAGES].toSorted()).toEqual(['de', 'en', 'fr', 'ja', 'ko', 'ru', 'yue', 'zh']);
});

it('are found by name; one of tomorrow is not', () => {
  for (const model of RECOGNITION_MODELS) expect(findModel(model.name)).toBe(model);
  expect(findModel('paraformer-realtime-v9')).toBeUndefined();
});
