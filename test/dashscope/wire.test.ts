import { describe, expect, it } from 'vitest';

import { AUDIO_FORMATS, LANGUAGES, RECOGNITION_MODELS } from '../../src/dashscope/models.ts';
import { PARAMETERS, type RecognitionParameters } from '../../src/dashscope/parameters.ts';
import type { RecognitionOptions } from '../../src/dashscope/recognition.ts';
import { FRAME, recognitionOn, serviceWith } from './recognition-probe.ts';
import type { ServiceSocket } from './scripted-service.ts';

const MODELS = [
  'paraformer-realtime-v2',
  'paraformer-realtime-8k-v2',
  'paraformer-realtime-v1',
  'paraformer-realtime-8k-v1',
] as const;
type Model = (typeof MODELS)[number];

/** A rate that the model takes, and what is sent beside what was asked for. */
const BASE: Readonly<Record<Model, { readonly sampleRate: number; readonly sent: object }>> = {
  'paraformer-realtime-v2': { sampleRate: 48_000, sent: { max_sentence_silence: 800 } },
  'paraformer-realtime-8k-v2': { sampleRate: 8_000, sent: { max_sentence_silence: 800 } },
  'paraformer-realtime-v1': { sampleRate: 16_000, sent: {} },
  'paraformer-realtime-8k-v1': { sampleRate: 8_000, sent: {} },
};
const V1: readonly Model[] = ['paraformer-realtime-v1', 'paraformer-realtime-8k-v1'];
const V2: readonly Model[] = ['paraformer-realtime-v2', 'paraformer-realtime-8k-v2'];

interface Row {
  readonly name: keyof RecognitionParameters;
  readonly wireName: string;
  readonly values: readonly unknown[];
  /** Of the models that take it at all; sent to all of them, with a warning where it does nothing. */
  readonly takenBy: readonly Model[];
  readonly worksOn: readonly Model[];
}

const SWITCH = [true, false];
/** Every parameter of the vendor's page but rate, format and v1 hot words, which have their own tests below. */
const ROWS: readonly Row[] = [
  { name: 'vocabularyId', wireName: 'vocabulary_id', values: ['vocab-1'], takenBy: V2, worksOn: V2 },
  {
    name: 'disfluencyRemovalEnabled',
    wireName: 'disfluency_removal_enabled',
    values: SWITCH,
    takenBy: MODELS,
    worksOn: MODELS,
  },
  {
    name: 'languageHints',
    wireName: 'language_hints',
    values: [['zh', 'en'], ['yue'], [...LANGUAGES], []],
    takenBy: MODELS,
    worksOn: ['paraformer-realtime-v2'],
  },
  {
    name: 'semanticPunctuationEnabled',
    wireName: 'semantic_punctuation_enabled',
    values: [false],
    takenBy: MODELS,
    worksOn: V2,
  },
  {
    name: 'maxSentenceSilence',
    wireName: 'max_sentence_silence',
    values: [200, 800, 1_300, 6_000],
    takenBy: MODELS,
    worksOn: V2,
  },
  {
    name: 'multiThresholdModeEnabled',
    wireName: 'multi_threshold_mode_enabled',
    values: SWITCH,
    takenBy: MODELS,
    worksOn: V2,
  },
  {
    name: 'punctuationPredictionEnabled',
    wireName: 'punctuation_prediction_enabled',
    values: SWITCH,
    takenBy: MODELS,
    worksOn: V2,
  },
  { name: 'heartbeat', wireName: 'heartbeat', values: SWITCH, takenBy: MODELS, worksOn: V2 },
  {
    name: 'inverseTextNormalizationEnabled',
    wireName: 'inverse_text_normalization_enabled',
    values: SWITCH,
    takenBy: MODELS,
    worksOn: V2,
  },
];

interface Sent {
  readonly frames: ServiceSocket['frames'];
  readonly taskId: string;
  readonly warned: readonly string[];
}

/** What the service is sent for a task with one frame of audio. */
async function send(options: Partial<RecognitionOptions>): Promise<Sent> {
  const service = await serviceWith();
  const { recognition } = recognitionOn(service, options);
  void recognition.start();
  recognition.sendAudioFrame(FRAME);
  await recognition.stop();
  return {
    frames: service.frames,
    taskId: recognition.getLastRequestId(),
    warned: recognition.warnings.map(({ subject }) => subject),
  };
}

/** The whole of the message: nothing may be there that is not named here. */
const runTask = (taskId: string, model: string, parameters: object, more: object = {}): object => ({
  kind: 'run-task',
  taskId,
  message: {
    header: { action: 'run-task', task_id: taskId, streaming: 'duplex' },
    payload: {
      task_group: 'audio',
      task: 'asr',
      function: 'recognition',
      model,
      parameters,
      ...more,
      input: {},
    },
  },
});

it('has a row for every parameter that there is', () => {
  const names = [...ROWS.map(({ name }) => name), 'sampleRate', 'format', 'phraseId'];
  expect(names.toSorted()).toEqual(PARAMETERS.map(({ name }) => name).toSorted());
  expect([...MODELS]).toEqual(RECOGNITION_MODELS.map(({ name }) => name));
});

describe.each(MODELS)('what %s is sent', (model) => {
  const { sampleRate, sent } = BASE[model];

  it('run-task with what it must have, and nothing else', async () => {
    const { frames, taskId, warned } = await send({ model, sampleRate });
    expect(frames[0]).toEqual(runTask(taskId, model, { format: 'pcm', sample_rate: sampleRate, ...sent }));
    expect(warned).toEqual([]);
  });

  it.each(
    ROWS.filter(({ takenBy }) => takenBy.includes(model)).flatMap((row) =>
      row.values.map((value) => [row.name, value, row.wireName, row] as const),
    ),
  )('run-task with %s %j as %s', async (name, value, wireName, { worksOn }) => {
    const { frames, taskId, warned } = await send({ model, sampleRate, [name]: value });
    const parameters = { format: 'pcm', sample_rate: sampleRate, ...sent, [wireName]: value };
    expect(frames[0]).toEqual(runTask(taskId, model, parameters));
    expect(warned).toEqual(worksOn.includes(model) ? [] : [name]);
  });

  it('run-task with semanticPunctuationEnabled true, and then without a silence that would do nothing', async () => {
    const { frames, taskId, warned } = await send({ model, sampleRate, semanticPunctuationEnabled: true });
    const parameters = { format: 'pcm', sample_rate: sampleRate, semantic_punctuation_enabled: true };
    expect(frames[0]).toEqual(runTask(taskId, model, parameters));
    expect(warned).toEqual(V2.includes(model) ? [] : ['semanticPunctuationEnabled']);
  });

  it.each(AUDIO_FORMATS.filter((format) => format !== 'amr'))(
    'run-task with the format %s',
    async (format) => {
      const { frames, taskId } = await send({ model, sampleRate, format });
      expect(frames[0]).toEqual(runTask(taskId, model, { format, sample_rate: sampleRate, ...sent }));
    },
  );

  it('all parameters at once', async () => {
    const rows = ROWS.filter(({ takenBy }) => takenBy.includes(model));
    const { frames, taskId } = await send({
      model,
      sampleRate,
      ...Object.fromEntries(rows.map(({ name, values }) => [name, values[0]])),
    });
    const parameters = Object.fromEntries(rows.map(({ wireName, values }) => [wireName, values[0]]));
    expect(frames[0]).toEqual(
      runTask(taskId, model, { format: 'pcm', sample_rate: sampleRate, ...parameters }),
    );
  });

  it('audio as bytes, then finish-task, and nothing else', async () => {
    const { frames, taskId } = await send({ model, sampleRate });
    expect(frames.slice(1)).toEqual([
      { kind: 'audio', bytes: FRAME },
      {
        kind: 'finish-task',
        taskId,
        message: {
          header: { action: 'finish-task', task_id: taskId, streaming: 'duplex' },
          payload: { input: {} },
        },
      },
    ]);
  });
});

it.each(V1)('the hot words of %s are resources beside the parameters', async (model) => {
  const { sampleRate } = BASE[model];
  const { frames, taskId } = await send({ model, sampleRate, phraseId: 'p-1' });
  const resources = [{ resource_id: 'p-1', resource_type: 'asr_phrase' }];
  expect(frames[0]).toEqual(
    runTask(taskId, model, { format: 'pcm', sample_rate: sampleRate }, { resources }),
  );
});

describe('what a model does not take is refused, and nothing is sent', () => {
  it.each<[Model, Partial<RecognitionOptions>]>([
    ...V2.map((model): [Model, object] => [model, { phraseId: 'p-1' }]),
    ...V1.map((model): [Model, object] => [model, { vocabularyId: 'vocab-1' }]),
  ])('%s with %j', async (model, options) => {
    const service = await serviceWith();
    const { sampleRate } = BASE[model];
    expect(() => recognitionOn(service, { model, sampleRate, ...options })).toThrow(
      expect.objectContaining({
        code: 'ASR_USAGE',
        faults: [expect.objectContaining({ parameter: Object.keys(options)[0] })],
      }),
    );
    expect(service.sockets).toHaveLength(0);
  });
});

describe('a sample rate', () => {
  const RATES = [3_600, 8_000, 11_025, 16_000, 22_050, 44_100, 48_000];
  const TAKEN: Readonly<Record<Model, readonly number[]>> = {
    'paraformer-realtime-v2': RATES,
    'paraformer-realtime-8k-v2': [8_000],
    'paraformer-realtime-v1': [16_000],
    'paraformer-realtime-8k-v1': [8_000],
  };

  it.each(MODELS.flatMap((model) => TAKEN[model].map((rate) => [model, rate] as const)))(
    'that fits %s is sent: %i Hz',
    async (model, sampleRate) => {
      const { frames } = await send({ model, sampleRate });
      expect(frames[0]).toMatchObject({ message: { payload: { parameters: { sample_rate: sampleRate } } } });
    },
  );

  it.each(
    MODELS.flatMap((model) =>
      [...RATES, 0, -8_000, 8_000.5, 192_001]
        .filter((rate) => !TAKEN[model].includes(rate))
        .map((rate) => [model, rate] as const),
    ),
  )('that does not fit %s is refused before anything is sent: %d Hz', async (model, sampleRate) => {
    const service = await serviceWith();
    const faults = [
      expect.objectContaining({ parameter: 'sampleRate', found: String(sampleRate) }) as unknown,
    ];
    expect(() => recognitionOn(service, { model, sampleRate })).toThrow(
      expect.objectContaining({ code: 'ASR_USAGE', kind: 'usage', retryable: false, faults }),
    );
    expect(service.sockets).toHaveLength(0);
  });

  it('of amr is 8 kHz, for only AMR-NB is taken', async () => {
    const service = await serviceWith();
    const amr = { model: 'paraformer-realtime-v2', format: 'amr' } as const;
    expect(() => recognitionOn(service, { ...amr, sampleRate: 16_000 })).toThrow(/8000 Hz for amr/);
    const { frames } = await send({ ...amr, sampleRate: 8_000 });
    expect(frames[0]).toMatchObject({ message: { payload: { parameters: { format: 'amr' } } } });
  });
});

it('the upgrade has the key, the workspace where there is one, and no offer to compress', async () => {
  const service = await serviceWith();
  for (const workspace of ['ws-1', undefined]) {
    const { recognition } = recognitionOn(service, { workspace });
    await recognition.start();
  }
  expect(service.sockets.map(({ headers }) => headers)).toEqual([
    expect.objectContaining({ authorization: 'Bearer sk-1', 'x-dashscope-workspace': 'ws-1' }),
    expect.not.objectContaining({ 'x-dashscope-workspace': expect.anything() }),
  ]);
  for (const { headers } of service.sockets) expect(headers).not.toHaveProperty('sec-websocket-extensions');
});
