/** Audio formats that the service takes; `pcm` is signed 16-bit little-endian, mono. */
export const AUDIO_FORMATS = ['pcm', 'wav', 'mp3', 'opus', 'speex', 'aac', 'amr'] as const;
export type AudioFormat = (typeof AUDIO_FORMATS)[number];

/** Codes of `languageHints`. Realtime user guide: Chinese, English, Japanese, Cantonese, Korean, German, French, Russian. */
export const LANGUAGES = ['zh', 'en', 'ja', 'yue', 'ko', 'de', 'fr', 'ru'] as const;
export type Language = (typeof LANGUAGES)[number];

/** What one model takes and gives. Paraformer realtime pages, "model list" and "request parameters". */
export interface RecognitionModel {
  readonly name: string;
  /** 2: the parameters that "take effect on v2 and later" do. */
  readonly generation: 1 | 2;
  /** Hz; `any` where the audio's own rate is declared. */
  readonly sampleRate: number | 'any';
  readonly formats: readonly AudioFormat[];
  readonly languages: readonly Language[];
  /** Whether `languageHints` takes effect. */
  readonly languageHints: boolean;
  /** The option that carries hot words: a v2 vocabulary or a v1 phrase list. */
  readonly hotWords: 'vocabularyId' | 'phraseId';
  /** Finals carry an emotion, as long as sentences are cut by voice activity. */
  readonly emotion: boolean;
}

/** The four models of the family, which exist in the China (Beijing) region only. */
export const RECOGNITION_MODELS: readonly RecognitionModel[] = [
  {
    name: 'paraformer-realtime-v2',
    generation: 2,
    sampleRate: 'any',
    formats: AUDIO_FORMATS,
    languages: LANGUAGES,
    languageHints: true,
    hotWords: 'vocabularyId',
    emotion: false,
  },
  {
    name: 'paraformer-realtime-8k-v2',
    generation: 2,
    sampleRate: 8_000,
    formats: AUDIO_FORMATS,
    languages: ['zh'],
    languageHints: false,
    hotWords: 'vocabularyId',
    emotion: true,
  },
  {
    name: 'paraformer-realtime-v1',
    generation: 1,
    sampleRate: 16_000,
    formats: AUDIO_FORMATS,
    languages: ['zh'],
    languageHints: false,
    hotWords: 'phraseId',
    emotion: false,
  },
  {
    name: 'paraformer-realtime-8k-v1',
    generation: 1,
    sampleRate: 8_000,
    formats: AUDIO_FORMATS,
    languages: ['zh'],
    languageHints: false,
    hotWords: 'phraseId',
    emotion: false,
  },
];

/** @returns undefined for a model that did not exist when this was written; it is passed through */
export function findModel(name: string): RecognitionModel | undefined {
  return RECOGNITION_MODELS.find((model) => model.name === name);
}
