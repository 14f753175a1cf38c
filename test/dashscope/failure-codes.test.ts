import { describe, expect, it } from 'vitest';

import { DashScopeConnectionLost, DashScopeTaskFailed } from '../../src/dashscope/errors.ts';
import { judgeFailure } from '../../src/dashscope/failure-codes.ts';

describe('judgeFailure', () => {
  it.each([
    ['InvalidParameter', 'no'],
    ['CLIENT_ERROR', 'new'],
    ['ClientDisconnect', 'new'],
    ['RequestTimeOut', 'new'],
    ['Arrearage', 'no'],
    ['InvalidApiKey', 'no'],
    ['ModelNotFound', 'no'],
    ['Throttling', 'backoff'],
    ['Throttling.RateQuota', 'backoff'],
    ['Throttling.SomethingNew', 'backoff'],
    ['InternalError.SomethingNew', 'backoff'],
    ['ServiceUnavailable', 'backoff'],
    ['PostpaidBillOverdue', 'no'],
    ['NeverSeenBefore', 'no'],
  ])('%s: %s', (code, retry) => {
    expect(judgeFailure(code, '')).toMatchObject({ code, retry });
  });

  it.each([
    ['NO_VALID_AUDIO_ERROR', ''],
    ['CLIENT_ERROR', 'NO_VALID_AUDIO_ERROR: nothing decodable'],
    ['InvalidParameter', 'NO_INPUT_AUDIO_ERROR'],
    ['EmptyAudio', 'audio is empty'],
    ['CLIENT_ERROR', 'EmptyAudio'],
  ])('finds no speech in either field: %s, %s', (code, text) => {
    expect(judgeFailure(code, text)).toMatchObject({ noSpeech: true, retry: 'no' });
  });

  it.each([
    ['UNSUPPORTED_FORMAT', ''],
    ['CLIENT_ERROR', 'UNSUPPORTED_FORMAT'],
    ['InternalError', 'Failed to decode audio'],
  ])('finds audio that cannot be decoded in either field: %s, %s', (code, text) => {
    expect(judgeFailure(code, text)).toMatchObject({ code: 'UNSUPPORTED_FORMAT', retry: 'no' });
  });

  it('does not take a word that only begins alike', () => {
    expect(judgeFailure('CLIENT_ERROR', 'EmptyAudioFormat unknown')).toMatchObject({ code: 'CLIENT_ERROR' });
  });

  it.each([[''], ['please call 13800138000 now'], ['x'.repeat(65)]])(
    'keeps what is no code out of messages: %s',
    (code) => {
      expect(judgeFailure(code, '').code).toBe('unknown');
    },
  );
});

describe('DashScopeTaskFailed', () => {
  it('says the task and the code, not the vendor’s words', () => {
    const error = new DashScopeTaskFailed('t-1', 'InvalidParameter', `secret ${'x'.repeat(400)}`);
    expect(error.message).toBe('task t-1 failed with InvalidParameter');
    expect(error.dashscopeMessage).toHaveLength(300);
    expect(error).toMatchObject({ name: 'DashScopeTaskFailed', code: 'ASR_TASK_FAILED', retryable: false });
  });
});

describe('DashScopeConnectionLost', () => {
  it.each([
    [1000, true],
    [1001, true],
    [1006, true],
    [1007, false],
    [1011, true],
  ])('code %i: retryable %s', (closeCode, retryable) => {
    expect(new DashScopeConnectionLost(closeCode)).toMatchObject({ closeCode, retryable });
  });
});
