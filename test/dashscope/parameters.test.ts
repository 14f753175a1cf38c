import { describe, expect, it } from 'vitest';

import { encodeRunTask } from '../../src/dashscope/client-messages.ts';
import { DashScopeUsageError } from '../../src/dashscope/errors.ts';
import { AUDIO_FORMATS, RECOGNITION_MODELS } from '../../src/dashscope/models.ts';
import { checkParameters, PARAMETERS, type RecognitionParameters } from '../../src/dashscope/parameters.ts';

const V2 = 'paraformer-realtime-v2';
const V2_8K = 'paraformer-realtime-8k-v2';
const V1 = 'paraformer-realtime-v1';
const V1_8K = 'paraformer-realtime-8k-v1';

const PCM_8K: RecognitionParameters = { format: 'pcm', sampleRate: 8000 };
const PCM_16K: RecognitionParameters = { format: 'pcm', sampleRate: 16_000 };

/** What a caller without types may write. */
const untyped = (more: object): RecognitionParameters => ({ ...PCM_8K, ...more });

function faultsOf(model: string, parameters: RecognitionParameters): DashScopeUsageError['faults'] {
  try {
    checkParameters(model, parameters);
  } catch (thrown) {
    if (thrown instanceof DashScopeUsageError) return thrown.faults;
    throw thrown;
  }
  return [];
}

describe('the table of parameters', () => {
  it('is the vendor’s: names, types, defaults and ranges', () => {
    expect(
      PARAMETERS.map(({ wireName, type, default: value, range }) =>
        [wireName ?? '-', type, value ?? '-', range === undefined ? '-' : `${range.min}..${range.max}`].join(
          ' ',
        ),
      ),
    ).toEqual([
      'sample_rate integer - 1..192000',
      'format string - -',
      'vocabulary_id string - -',
      '- string - -',
      'disfluency_removal_enabled boolean false -',
      'language_hints string[] - -',
      'semantic_punctuation_enabled boolean false -',
      'max_sentence_silence integer 800 200..6000',
      'multi_threshold_mode_enabled boolean false -',
      'punctuation_prediction_enabled boolean true -',
      'heartbeat boolean false -',
      'inverse_text_normalization_enabled boolean true -',
    ]);
  });
});

describe('what each model is sent', () => {
  const everything = {
    disfluencyRemovalEnabled: true,
    languageHints: ['zh', 'en'],
    semanticPunctuationEnabled: false,
    maxSentenceSilence: 1_300,
    multiThresholdModeEnabled: true,
    punctuationPredictionEnabled: false,
    heartbeat: true,
    inverseTextNormalizationEnabled: false,
  };
  const wire = {
    format: 'pcm',
    disfluency_removal_enabled: true,
    language_hints: ['zh', 'en'],
    semantic_punctuation_enabled: false,
    max_sentence_silence: 1_300,
    multi_threshold_mode_enabled: true,
    punctuation_prediction_enabled: false,
    heartbeat: true,
    inverse_text_normalization_enabled: false,
  };

  it.each([
    [V2, 44_100, { vocabularyId: 'vocab-1' }, { vocabulary_id: 'vocab-1' }, undefined],
    [V2_8K, 8_000, { vocabularyId: 'vocab-1' }, { vocabulary_id: 'vocab-1' }, undefined],
    [V1, 16_000, { phraseId: 'p-1' }, {}, [{ resource_id: 'p-1', resource_type: 'asr_phrase' }]],
    [V1_8K, 8_000, { phraseId: 'p-1' }, {}, [{ resource_id: 'p-1', resource_type: 'asr_phrase' }]],
  ])('%s', (model, sampleRate, hotWords, wireHotWords, resources) => {
    const parameters: RecognitionParameters = { format: 'pcm', sampleRate, ...everything, ...hotWords };
    checkParameters(model, parameters);
    expect(JSON.parse(encodeRunTask({ taskId: 't', model, parameters }))).toEqual({
      header: { action: 'run-task', task_id: 't', streaming: 'duplex' },
      payload: {
        task_group: 'audio',
        task: 'asr',
        function: 'recognition',
        model,
        parameters: { ...wire, sample_rate: sampleRate, ...wireHotWords },
        ...(resources === undefined ? {} : { resources }),
        input: {},
      },
    });
  });

  it.each(AUDIO_FORMATS)('takes the format %s on every model', (format) => {
    for (const { name, sampleRate } of RECOGNITION_MODELS) {
      const rate = sampleRate === 'any' || format === 'amr' ? 8_000 : sampleRate;
      if (sampleRate !== 'any' && sampleRate !== rate) continue;
      expect(checkParameters(name, { format, sampleRate: rate })).toEqual([]);
    }
  });
});

describe('what is refused before anything is sent', () => {
  it.each<[string, string, RecognitionParameters, string, string, string]>([
    [
      'a silence that is too short',
      V2_8K,
      untyped({ maxSentenceSilence: 199 }),
      'maxSentenceSilence',
      '199',
      '200 to 6000',
    ],
    [
      'a silence that is too long',
      V2_8K,
      untyped({ maxSentenceSilence: 6001 }),
      'maxSentenceSilence',
      '6001',
      '200 to 6000',
    ],
    [
      'a silence in fractions',
      V2_8K,
      untyped({ maxSentenceSilence: 800.5 }),
      'maxSentenceSilence',
      '800.5',
      'integer',
    ],
    ['a rate as text', V2_8K, untyped({ sampleRate: '8000' }), 'sampleRate', '"8000"', 'integer'],
    ['no rate', V2, { format: 'pcm' } as RecognitionParameters, 'sampleRate', 'nothing', 'integer'],
    ['no format', V2, { sampleRate: 8000 } as RecognitionParameters, 'format', 'nothing', 'pcm, wav'],
    ['a format that is none', V2_8K, untyped({ format: 'g711' }), 'format', '"g711"', 'pcm, wav'],
    ['a switch as text', V2_8K, untyped({ heartbeat: 'true' }), 'heartbeat', '"true"', 'boolean'],
    ['a switch that is null', V2_8K, untyped({ heartbeat: null }), 'heartbeat', 'null', 'boolean'],
    [
      'a language that is none',
      V2,
      untyped({ languageHints: ['zh', 'es'] }),
      'languageHints',
      '["zh","es"]',
      'zh, en',
    ],
    ['a language alone', V2, untyped({ languageHints: 'zh' }), 'languageHints', '"zh"', 'list'],
    ['an empty vocabulary id', V2_8K, untyped({ vocabularyId: '' }), 'vocabularyId', '""', 'not empty'],
    ['16 kHz on an 8 kHz model', V2_8K, PCM_16K, 'sampleRate', '16000', '8000 Hz'],
    ['16 kHz on the old 8 kHz model', V1_8K, PCM_16K, 'sampleRate', '16000', '8000 Hz'],
    ['8 kHz on the old 16 kHz model', V1, PCM_8K, 'sampleRate', '8000', '16000 Hz'],
    ['wide-band AMR', V2, { format: 'amr', sampleRate: 16_000 }, 'sampleRate', '16000', 'AMR-NB'],
    ['v1 hot words on v2', V2_8K, untyped({ phraseId: 'p-1' }), 'phraseId', '"p-1"', 'vocabularyId'],
    ['v2 hot words on v1', V1_8K, untyped({ vocabularyId: 'v' }), 'vocabularyId', '"v"', 'phraseId'],
    [
      'the wire’s name',
      V2_8K,
      untyped({ max_sentence_silence: 900 }),
      'max_sentence_silence',
      '900',
      'maxSentenceSilence',
    ],
    [
      'a known parameter among the extra ones',
      V2_8K,
      untyped({ extraParameters: { sample_rate: 8000 } }),
      'extraParameters.sample_rate',
      'a known parameter',
      'sampleRate',
    ],
    [
      'extra parameters that are no object',
      V2_8K,
      untyped({ extraParameters: [1] }),
      'extraParameters',
      '[1]',
      'an object',
    ],
    [
      'no rate on an 8 kHz model',
      V2_8K,
      { format: 'pcm' } as RecognitionParameters,
      'sampleRate',
      'nothing',
      'integer',
    ],
    ['no rate with AMR', V2, { format: 'amr' } as RecognitionParameters, 'sampleRate', 'nothing', 'integer'],
    ['a rate of 0 on an 8 kHz model', V2_8K, untyped({ sampleRate: 0 }), 'sampleRate', '0', 'integer'],
    ['an empty phrase id on v2', V2_8K, untyped({ phraseId: '' }), 'phraseId', '""', 'not empty'],
    ['no model', '', PCM_8K, 'model', '""', 'name of a model'],
  ])('%s', (_case, model, parameters, parameter, found, allowed) => {
    expect(faultsOf(model, parameters)).toEqual([
      { parameter, found, allowed: expect.stringContaining(allowed) as string },
    ]);
  });

  it('names all faults at once, in one message', () => {
    const parameters = untyped({ format: 'flac', sampleRate: 0, maxSentenceSilence: 1 });
    expect(faultsOf(V2, parameters).map((fault) => fault.parameter)).toEqual([
      'sampleRate',
      'format',
      'maxSentenceSilence',
    ]);
    expect(() => checkParameters(V2, parameters)).toThrow(
      /sampleRate: found 0, allowed .*format: found "flac", allowed .*maxSentenceSilence: found 1, allowed/,
    );
  });
});

describe('what is sent with a warning', () => {
  it.each<[string, RecognitionParameters, string]>([
    [V2_8K, untyped({ languageHints: ['zh'] }), 'languageHints'],
    [V1_8K, untyped({ languageHints: ['zh'] }), 'languageHints'],
    [V1_8K, untyped({ semanticPunctuationEnabled: true }), 'semanticPunctuationEnabled'],
    [V1_8K, untyped({ maxSentenceSilence: 500 }), 'maxSentenceSilence'],
    [V1_8K, untyped({ multiThresholdModeEnabled: true }), 'multiThresholdModeEnabled'],
    [V1_8K, untyped({ punctuationPredictionEnabled: false }), 'punctuationPredictionEnabled'],
    [V1_8K, untyped({ heartbeat: true }), 'heartbeat'],
    [V1_8K, untyped({ inverseTextNormalizationEnabled: false }), 'inverseTextNormalizationEnabled'],
    [V2_8K, untyped({ semanticPunctuationEnabled: true, maxSentenceSilence: 500 }), 'maxSentenceSilence'],
    [
      V2_8K,
      untyped({ semanticPunctuationEnabled: true, multiThresholdModeEnabled: true }),
      'multiThresholdModeEnabled',
    ],
  ])('%s ignores it', (model, parameters, parameter) => {
    expect(checkParameters(model, parameters)).toEqual([
      { parameter, message: expect.stringContaining(`${parameter} is ignored by ${model}`) },
    ]);
  });

  it('an unknown model, with whatever it may take', () => {
    const parameters = untyped({ format: 'flac', maxSentenceSilence: 60_000, phraseId: 'p' });
    expect(checkParameters('paraformer-realtime-v9', parameters)).toEqual([
      { parameter: 'model', message: expect.stringContaining('not known') },
    ]);
  });

  it('but not what takes effect', () => {
    expect(checkParameters(V2, { ...PCM_16K, languageHints: ['zh', 'en'], heartbeat: true })).toEqual([]);
    expect(checkParameters(V1, { ...PCM_16K, disfluencyRemovalEnabled: true, phraseId: 'p' })).toEqual([]);
  });
});
