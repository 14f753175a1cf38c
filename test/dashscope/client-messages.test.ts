import { describe, expect, it } from 'vitest';

import { encodeFinishTask, encodeRunTask } from '../../src/dashscope/client-messages.ts';
import type { RecognitionParameters } from '../../src/dashscope/parameters.ts';

const TASK_ID = '5f0c6a0f6c1b4e7f9a5d3b8e2c417a90';

const PCM: RecognitionParameters = { format: 'pcm', sampleRate: 8000 };

const runTask = (
  parameters: RecognitionParameters,
  model = 'paraformer-realtime-8k-v2',
): { payload: { parameters: unknown; resources?: unknown } } =>
  JSON.parse(encodeRunTask({ taskId: TASK_ID, model, parameters })) as never;

describe('run-task', () => {
  it('is the message of the specification, field by field', () => {
    const message = runTask({
      ...PCM,
      vocabularyId: 'vocab-callctr-7d0c2f6be1a94c55b3f0',
      disfluencyRemovalEnabled: false,
      semanticPunctuationEnabled: false,
      maxSentenceSilence: 800,
      multiThresholdModeEnabled: true,
      punctuationPredictionEnabled: true,
      inverseTextNormalizationEnabled: true,
      heartbeat: true,
    });
    expect(message).toEqual({
      header: { action: 'run-task', task_id: TASK_ID, streaming: 'duplex' },
      payload: {
        task_group: 'audio',
        task: 'asr',
        function: 'recognition',
        model: 'paraformer-realtime-8k-v2',
        parameters: {
          format: 'pcm',
          sample_rate: 8000,
          vocabulary_id: 'vocab-callctr-7d0c2f6be1a94c55b3f0',
          disfluency_removal_enabled: false,
          semantic_punctuation_enabled: false,
          max_sentence_silence: 800,
          multi_threshold_mode_enabled: true,
          punctuation_prediction_enabled: true,
          inverse_text_normalization_enabled: true,
          heartbeat: true,
        },
        input: {},
      },
    });
  });

  it('leaves out what is undefined, but always sends max_sentence_silence', () => {
    const { payload } = runTask({ ...PCM, vocabularyId: undefined, heartbeat: undefined });
    expect(payload.parameters).toEqual({ format: 'pcm', sample_rate: 8000, max_sentence_silence: 800 });
    expect(payload).not.toHaveProperty('resources');
  });

  it('puts a phrase id of the v1 models beside the parameters, not into them', () => {
    const { payload } = runTask({ ...PCM, phraseId: 'phrase-1' });
    expect(payload.resources).toEqual([{ resource_id: 'phrase-1', resource_type: 'asr_phrase' }]);
    expect(payload.parameters).not.toHaveProperty('phrase_id');
  });

  it.each([
    ['a v1 model', {}, 'paraformer-realtime-v1'],
    ['sentences cut by meaning', { semanticPunctuationEnabled: true }, 'paraformer-realtime-v2'],
  ])('does not send the default of max_sentence_silence for %s', (_case, more, model) => {
    expect(runTask({ ...PCM, ...more }, model).payload.parameters).not.toHaveProperty('max_sentence_silence');
  });

  it('sends max_sentence_silence to a model that it does not know, and its parameters by their own names', () => {
    const { payload } = runTask({ ...PCM, extraParameters: { new_thing: { deep: [1] } } }, 'paraformer-v9');
    expect(payload.parameters).toEqual({
      format: 'pcm',
      sample_rate: 8000,
      max_sentence_silence: 800,
      new_thing: { deep: [1] },
    });
  });

  it.each([
    ['format', 'opus', 'format'],
    ['sampleRate', 48_000, 'sample_rate'],
    ['vocabularyId', 'vocab-1', 'vocabulary_id'],
    ['multiThresholdModeEnabled', true, 'multi_threshold_mode_enabled'],
    ['languageHints', ['zh', 'en'], 'language_hints'],
    ['disfluencyRemovalEnabled', true, 'disfluency_removal_enabled'],
    ['semanticPunctuationEnabled', true, 'semantic_punctuation_enabled'],
    ['maxSentenceSilence', 1300, 'max_sentence_silence'],
    ['punctuationPredictionEnabled', false, 'punctuation_prediction_enabled'],
    ['inverseTextNormalizationEnabled', false, 'inverse_text_normalization_enabled'],
    ['heartbeat', false, 'heartbeat'],
  ])('sends %s %j as %s', (name, value, wireName) => {
    expect(runTask({ ...PCM, [name]: value }).payload.parameters).toMatchObject({ [wireName]: value });
  });
});

it('finish-task is the message of the specification', () => {
  expect(JSON.parse(encodeFinishTask(TASK_ID))).toEqual({
    header: { action: 'finish-task', task_id: TASK_ID, streaming: 'duplex' },
    payload: { input: {} },
  });
});
