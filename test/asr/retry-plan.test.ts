import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { judge, retryDelayMs } from '../../src/asr/retry-plan.ts';
import {
  DashScopeConnectionLost,
  DashScopeError,
  DashScopeHandshakeRefused,
  DashScopeTaskFailed,
  DashScopeTimeout,
} from '../../src/dashscope/errors.ts';

const failed = (code: string): Error => new DashScopeTaskFailed('task', code, '');
const refused = (status: number, code: string): Error =>
  new DashScopeHandshakeRefused(status, { code, message: '' });

describe('a lost task', () => {
  it.each<[string, Error, boolean, object]>([
    ['CLIENT_ERROR', failed('CLIENT_ERROR'), true, { kind: 'passing', pace: 'soon' }],
    ['RequestTimeOut', failed('RequestTimeOut'), true, { kind: 'passing', pace: 'soon' }],
    ['Throttling', failed('Throttling.RateQuota'), false, { kind: 'passing', pace: 'slow' }],
    ['InternalError', failed('InternalError.Algo'), true, { kind: 'passing', pace: 'slow' }],
    ['arrears', failed('Arrearage'), false, { kind: 'account' }],
    ['arrears in a call', failed('Arrearage'), true, { kind: 'account' }],
    ['unknown hot words', failed('BadRequest.ResourceNotExist'), false, { kind: 'request' }],
    ['an unknown model', failed('ModelNotFound'), false, { kind: 'request' }],
    ['refused content', failed('DataInspectionFailed'), true, { kind: 'audio' }],
    ['a wrong key', refused(401, 'InvalidApiKey'), false, { kind: 'account' }],
    ['no right', refused(403, 'AccessDenied'), false, { kind: 'account' }],
    ['a throttled upgrade', refused(429, 'Throttling'), false, { kind: 'passing', pace: 'slow' }],
    ['an overloaded service', refused(503, 'ServiceUnavailable'), false, { kind: 'passing', pace: 'slow' }],
    ['a cut socket', new DashScopeConnectionLost(1006), true, { kind: 'passing', pace: 'soon' }],
    ['1007 at the start', new DashScopeConnectionLost(1007), false, { kind: 'request' }],
    ['1007 in a call', new DashScopeConnectionLost(1007), true, { kind: 'audio' }],
    ['a late answer', new DashScopeTimeout('late'), false, { kind: 'passing', pace: 'soon' }],
    [
      'nobody there',
      new DashScopeError('network', 'ASR_UNREACHABLE', '', { retryable: true }),
      false,
      { kind: 'passing', pace: 'slow' },
    ],
    ['no address', new DashScopeError('network', 'ASR_UNREACHABLE', ''), false, { kind: 'account' }],
    ['our own fault', new TypeError('bug'), true, { kind: 'passing', pace: 'slow' }],
  ])('by %s', (_case, error, started, verdict) => {
    expect(judge(error, started)).toEqual(verdict);
  });
});

it('waits between half and the whole of a time that doubles up to its bound', () => {
  const pace = { soonMs: 200, slowMs: 1_000, maxMs: 15_000 };
  fc.assert(
    fc.property(
      fc.constantFrom('soon' as const, 'slow' as const),
      fc.integer({ min: 1, max: 100_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (first, attempt, random) => {
        const wholeMs = Math.min(pace.maxMs, (first === 'soon' ? 200 : 1_000) * 2 ** (attempt - 1));
        const delayMs = retryDelayMs(pace, first, attempt, random);
        expect(delayMs).toBeGreaterThanOrEqual(Math.floor(wholeMs / 2));
        expect(delayMs).toBeLessThanOrEqual(wholeMs);
      },
    ),
    { seed: 5 },
  );
});
