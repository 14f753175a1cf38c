/** Audio formats that the service takes; `pcm` is signed 16-bit little-endian, mono. */
export const AUDIO_FORMATS = ['pcm', 'wav', 'mp3', 'opus', 'speex', 'aac', 'amr'] as const;
export type AudioFormat = (typeof AUDIO_FORMATS)[number];

/**
 * What `run-task` asks for. Names are the wire's in camelCase; what is undefined is left out, so that the service's
 * default holds.
 */
export interface RecognitionParameters {
  readonly format: AudioFormat;
  /** Hz. */
  readonly sampleRate: number;
  /** Hot words; made for the same model. v2 models only. */
  readonly vocabularyId?: string | undefined;
  /** Hot words of the v1 models. Not a parameter on the wire but an entry of `payload.resources`. */
  readonly phraseId?: string | undefined;
  readonly disfluencyRemovalEnabled?: boolean | undefined;
  readonly languageHints?: readonly string[] | undefined;
  /** True: cut sentences by meaning; no emotion then. False (the service's default): by voice activity. */
  readonly semanticPunctuationEnabled?: boolean | undefined;
  /** Milliseconds, 200 to 6000. Always sent: the vendor's pages disagree on the default (800, 1300). */
  readonly maxSentenceSilence?: number | undefined;
  readonly multiThresholdModeEnabled?: boolean | undefined;
  readonly punctuationPredictionEnabled?: boolean | undefined;
  /** True: a task of nothing but silence lives on; false: it ends after 60 s. */
  readonly heartbeat?: boolean | undefined;
  readonly inverseTextNormalizationEnabled?: boolean | undefined;
}

export const MAX_SENTENCE_SILENCE_DEFAULT_MS = 800;

export interface RunTask {
  readonly taskId: string;
  readonly model: string;
  readonly parameters: RecognitionParameters;
}

/** The first message of a task. Model Studio, "Paraformer client events", run-task. */
export function encodeRunTask({ taskId, model, parameters }: RunTask): string {
  const { phraseId } = parameters;
  return JSON.stringify({
    header: { action: 'run-task', task_id: taskId, streaming: 'duplex' },
    payload: {
      task_group: 'audio',
      task: 'asr',
      function: 'recognition',
      model,
      parameters: {
        format: parameters.format,
        sample_rate: parameters.sampleRate,
        vocabulary_id: parameters.vocabularyId,
        disfluency_removal_enabled: parameters.disfluencyRemovalEnabled,
        language_hints: parameters.languageHints,
        semantic_punctuation_enabled: parameters.semanticPunctuationEnabled,
        max_sentence_silence: parameters.maxSentenceSilence ?? MAX_SENTENCE_SILENCE_DEFAULT_MS,
        multi_threshold_mode_enabled: parameters.multiThresholdModeEnabled,
        punctuation_prediction_enabled: parameters.punctuationPredictionEnabled,
        heartbeat: parameters.heartbeat,
        inverse_text_normalization_enabled: parameters.inverseTextNormalizationEnabled,
      },
      resources:
        phraseId === undefined ? undefined : [{ resource_id: phraseId, resource_type: 'asr_phrase' }],
      // Leaving it out fails the task ("task can not be null").
      input: {},
    },
  });
}

/** No audio follows. Without it the service keeps the words that its voice detection still holds. */
export function encodeFinishTask(taskId: string): string {
  return JSON.stringify({
    header: { action: 'finish-task', task_id: taskId, streaming: 'duplex' },
    payload: { input: {} },
  });
}
