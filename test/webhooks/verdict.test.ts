import { describe, expect, it } from 'vitest';

import type { SendOutcome } from '../../src/webhooks/sender.ts';
import { judge, type Standing, type Verdict, WEBHOOK_POLICY } from '../../src/webhooks/verdict.ts';

const HOUR_MS = 3_600_000;
const fresh: Standing = { attempts: 1, firstTriedMsAgo: 0, failures: 0, failingForMs: 0 };
const old: Standing = {
  attempts: 30,
  firstTriedMsAgo: 72 * HOUR_MS,
  failures: 9,
  failingForMs: 73 * HOUR_MS,
};
const failed: SendOutcome = { kind: 'failed', failure: 'status 503', retryAfterMs: undefined };
const refused: SendOutcome = { kind: 'refused', failure: 'status 400' };

const verdictOf = (outcome: SendOutcome, standing: Partial<Standing> = {}): Verdict =>
  judge(outcome, { ...fresh, ...standing }, WEBHOOK_POLICY, (failures) => failures * 1_000);

describe('an attempt', () => {
  it('that failed leaves the endpoint alone for longer each time, and the message behind others', () => {
    const failure = 'status 503';
    expect(verdictOf(failed)).toEqual({
      kind: 'hold',
      failure,
      holdMs: 1_000,
      then: { kind: 'postpone', pauseMs: 1_000 },
    });
    expect(verdictOf(failed, { attempts: 4, failures: 6 })).toEqual({
      kind: 'hold',
      failure,
      holdMs: 7_000,
      then: { kind: 'postpone', pauseMs: 4_000 },
    });
  });

  it.each([
    ['longer than ours is kept to', 90_000, 90_000],
    ['shorter than ours does not shorten it', 10, 1_000],
    ['of a week counts as a day', 7 * 24 * HOUR_MS, 24 * HOUR_MS],
  ])('with a Retry-After %s', (_, retryAfterMs, holdMs) => {
    expect(verdictOf({ ...failed, retryAfterMs })).toMatchObject({ kind: 'hold', holdMs });
  });

  it('that was refused lets the endpoint go on with other calls', () => {
    expect(verdictOf(refused, { attempts: 3 })).toEqual({
      kind: 'postpone',
      failure: 'status 400',
      pauseMs: 3_000,
    });
  });

  it('buries its message three days after the first one, and not before', () => {
    expect(verdictOf(refused, old)).toEqual({ kind: 'bury', failure: 'status 400' });
    expect(verdictOf(failed, old)).toMatchObject({ kind: 'hold', then: { kind: 'bury' } });
    const firstTriedMsAgo = old.firstTriedMsAgo - 1;
    expect(verdictOf(refused, { ...old, firstTriedMsAgo })).toMatchObject({ kind: 'postpone' });
    expect(verdictOf(failed, { ...old, firstTriedMsAgo })).toMatchObject({ then: { kind: 'postpone' } });
  });

  it('disables its endpoint after five days and five failures without a success, or at once with 410', () => {
    const disabled = { kind: 'disable', reason: 'failing', failure: 'status 503' };
    const days = (count: number): number => count * 24 * HOUR_MS;
    expect(verdictOf(failed, { failures: 4, failingForMs: days(5) })).toEqual(disabled);
    expect(verdictOf(failed, { failures: 3, failingForMs: days(5) })).toMatchObject({ kind: 'hold' });
    expect(verdictOf(failed, { failures: 99, failingForMs: days(5) - 1 })).toMatchObject({ kind: 'hold' });
    expect(verdictOf({ kind: 'gone', failure: 'status 410' })).toMatchObject({
      kind: 'disable',
      reason: 'gone',
    });
  });

  it('that we ended ourselves counts for nothing', () => {
    expect(verdictOf({ kind: 'interrupted' }, old)).toEqual({ kind: 'release' });
  });
});
