import { expect, it } from 'vitest';

import * as surface from '../../src/dashscope/index.ts';

it('has exactly these values in its public surface', () => {
  expect(Object.keys(surface).sort()).toEqual([
    'AUDIO_FORMATS',
    'CallscribeError',
    'ConnectionPool',
    'DASHSCOPE_URL',
    'DashScopeAborted',
    'DashScopeAudioMismatch',
    'DashScopeConnectionLost',
    'DashScopeError',
    'DashScopeHandshakeRefused',
    'DashScopeRequestRefused',
    'DashScopeTaskFailed',
    'DashScopeTimeout',
    'DashScopeUsageError',
    'FileResult',
    'HEADER_BYTES',
    'HOT_WORD_RULES',
    'HotWordsInvalid',
    'LANGUAGES',
    'MAINLAND_HTTP_URL',
    'MAX_SENTENCE_SILENCE_DEFAULT_MS',
    'PARAMETERS',
    'PhraseManager',
    'RECOGNITION_MODELS',
    'Recognition',
    'RecognitionResult',
    'TokenProvider',
    'VocabularyService',
    'checkParameters',
    'createTemporaryToken',
    'findModel',
    'judgeFailure',
    'readAudioHeader',
  ]);
});
