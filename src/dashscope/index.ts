/**
 * DashScope realtime speech recognition (Paraformer) for Node: the public surface of `callscribe/dashscope`. What is not
 * named here may change without notice.
 *
 *     import { Recognition } from 'callscribe/dashscope';
 *
 * @module
 */

// One recognition, of a stream or of a recorded file.
export type { AudioFile, CallOptions, CallProgress } from './audio-file.ts';
export {
  DASHSCOPE_URL,
  Recognition,
  type RecognitionLimits,
  type RecognitionOptions,
} from './recognition.ts';
export type { RecognitionCallback, RecognitionWarning } from './recognition-callback.ts';
export {
  FileResult,
  RecognitionResult,
  type RecognitionUsage,
  type Sentence,
  type Word,
} from './recognition-result.ts';
export type { EmotionResult as Emotion } from './server-messages.ts';

// What may be asked for, as data.
export { type AudioFacts, HEADER_BYTES, readAudioHeader } from './audio-header.ts';
export {
  AUDIO_FORMATS,
  type AudioFormat,
  findModel,
  type Language,
  LANGUAGES,
  RECOGNITION_MODELS,
  type RecognitionModel,
} from './models.ts';
export {
  checkParameters,
  MAX_SENTENCE_SILENCE_DEFAULT_MS,
  type ParameterRule,
  PARAMETERS,
  type ParameterWarning,
  type RecognitionParameters,
} from './parameters.ts';

// Connections of many recognitions.
export type { ApiKey, ConnectionOptions } from './connection.ts';
export {
  ConnectionPool,
  type ConnectionPoolCounters,
  type ConnectionPoolOptions,
} from './connection-pool.ts';
export type { StartRate } from './start-queue.ts';
export type { TaskCounters } from './task.ts';

// Hot words, and temporary tokens (`apiKey: provider.apiKey`), over REST.
export {
  type PhraseList,
  type PhraseListPage,
  PhraseManager,
  type PhrasePage,
  type PhraseWeights,
} from './phrase-manager.ts';
export {
  MAINLAND_HTTP_URL,
  type CallOptions as RequestOptions,
  type RestClientOptions,
} from './rest-client.ts';
export { createTemporaryToken, type TemporaryToken, type TokenOptions } from './token.ts';
export { TokenProvider, type TokenProviderOptions } from './token-provider.ts';
export {
  HOT_WORD_RULES,
  type HotWordFault,
  type HotWordRule,
  HotWordsInvalid,
  type VocabularyEntry,
} from './vocabulary-rules.ts';
export {
  type NewVocabulary,
  type Vocabulary,
  type VocabularyPage,
  VocabularyService,
  type VocabularySummary,
} from './vocabulary-service.ts';

// What goes wrong.
export { CallscribeError, type ErrorCode } from '../errors.ts';
export { DashScopeAudioMismatch } from './audio-check.ts';
export {
  DashScopeAborted,
  DashScopeConnectionLost,
  DashScopeError,
  type DashScopeErrorKind,
  DashScopeHandshakeRefused,
  DashScopeTaskFailed,
  DashScopeTimeout,
  DashScopeUsageError,
  type UsageFault,
} from './errors.ts';
export { type FailureVerdict, judgeFailure, type RetryAdvice } from './failure-codes.ts';
export { DashScopeRequestRefused } from './rest-errors.ts';
