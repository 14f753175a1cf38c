import { afterEach, beforeEach, describe, expect, it, test, vi } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import { silentLogger } from '../../src/log.ts';
import { type Notify, NOTIFY_PACE, Subscription } from '../../src/sip/subscription.ts';

const NEWS = { newCount: 1, heardCount: 0 };

interface Sent extends Notify {
  answer(status: number): Promise<unknown>;
  fail(code?: string): Promise<unknown>;
}

let sent: Sent[];
let outcomes: string[];
let overs: number;
let subscription: Subscription;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  sent = [];
  outcomes = [];
  overs = 0;
  subscription = new Subscription({
    send: (notify) =>
      new Promise((resolve, reject) => {
        sent.push({
          ...notify,
          answer: (status) => {
            resolve(status);
            return vi.advanceTimersByTimeAsync(0);
          },
          fail: (code) => {
            reject(Object.assign(new Error('not sent'), { code }));
            return vi.advanceTimersByTimeAsync(0);
          },
        });
      }),
    onOutcome: (outcome) => outcomes.push(outcome),
    onOver: () => (overs += 1),
    pace: NOTIFY_PACE,
    clock: systemClock,
    logger: silentLogger,
  });
});
afterEach(() => {
  subscription.close();
  vi.useRealTimers();
});

const later = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const states = (): readonly string[] => sent.map(({ state }) => state);
const counts = (): readonly unknown[] => sent.map((notify) => notify.counts);

describe('the first NOTIFY', () => {
  it('goes out at once where the counts are known', () => {
    subscription.changed(NEWS);
    expect(sent).toHaveLength(0);
    subscription.accepted(600);
    expect(states()).toEqual(['active;expires=600']);
    expect(counts()).toEqual([NEWS]);
  });

  it('waits for the counts, but not for long; then says nothing about them until they come', async () => {
    subscription.accepted(600);
    await later(999);
    expect(sent).toHaveLength(0);
    await later(1);
    expect(counts()).toEqual([undefined]);
    await sent[0]!.answer(200);
    subscription.changed(NEWS);
    await later(1_000);
    expect(counts()).toEqual([undefined, NEWS]);
    expect(states()[1]).toBe('active;expires=598');
  });

  it('is the last where the counts are asked for once', async () => {
    subscription.accepted(0);
    expect(sent).toHaveLength(0);
    subscription.changed(NEWS);
    expect(states()).toEqual(['terminated;reason=timeout']);
    expect(counts()).toEqual([NEWS]);
    await sent[0]!.answer(200);
    expect(overs).toBe(1);
  });
});

describe('changes', () => {
  it('are a second apart, one NOTIFY at a time, and what came between is told once', async () => {
    subscription.changed(NEWS);
    subscription.accepted(600);
    for (let newCount = 2; newCount <= 5; newCount += 1) subscription.changed({ newCount, heardCount: 0 });
    await later(5_000);
    expect(sent).toHaveLength(1);
    await sent[0]!.answer(200);
    await later(999);
    expect(sent).toHaveLength(1);
    await later(1);
    expect(counts()).toEqual([NEWS, { newCount: 5, heardCount: 0 }]);
    await sent[1]!.answer(200);
    await later(60_000);
    expect(sent).toHaveLength(2);
  });

  it('are told again later where the peer could not take them', async () => {
    subscription.changed(NEWS);
    subscription.accepted(600);
    await sent[0]!.answer(503);
    await later(29_999);
    expect(sent).toHaveLength(1);
    await later(1);
    expect(sent).toHaveLength(2);
    await sent[1]!.fail();
    await later(30_000);
    expect(sent).toHaveLength(3);
    expect(outcomes).toEqual(['failed', 'failed']);
    expect(overs).toBe(0);
  });
});

describe('the end', () => {
  it.each([
    [481, 'refused'],
    [408, 'unanswered'],
    [489, 'refused'],
  ])('comes without another word where the peer answers %d', async (status, outcome) => {
    subscription.changed(NEWS);
    subscription.accepted(600);
    await sent[0]!.answer(status);
    subscription.changed({ newCount: 2, heardCount: 0 });
    await later(700_000);
    expect(sent).toHaveLength(1);
    expect(outcomes).toEqual([outcome]);
    expect(overs).toBe(1);
  });

  test('comes where the edge does not know the dialog', async () => {
    subscription.changed(NEWS);
    subscription.accepted(600);
    await sent[0]!.fail('ENODIALOG');
    expect(outcomes).toEqual(['refused']);
    expect(overs).toBe(1);
  });

  it('is told when the time is up, and a refresh puts it off', async () => {
    subscription.changed(NEWS);
    subscription.accepted(60);
    await sent[0]!.answer(200);
    await later(59_000);
    subscription.accepted(60);
    await sent[1]!.answer(200);
    await later(59_999);
    expect(states()).toEqual(['active;expires=60', 'active;expires=60']);
    await later(1);
    expect(states()[2]).toBe('terminated;reason=timeout');
    expect(counts()[2]).toEqual(NEWS);
    expect(subscription.isActive).toBe(false);
  });

  it('waits for the NOTIFY that is on its way, whose successor it is', async () => {
    subscription.changed(NEWS);
    subscription.accepted(600);
    const ended = subscription.end('deactivated');
    expect(sent).toHaveLength(1);
    await sent[0]!.answer(200);
    expect(states()[1]).toBe('terminated;reason=deactivated');
    await sent[1]!.answer(481);
    await ended;
    expect(overs).toBe(1);
  });

  it('does not wait for counts', () => {
    subscription.accepted(600);
    void subscription.end('deactivated');
    expect(states()).toEqual(['terminated;reason=deactivated']);
  });
});
