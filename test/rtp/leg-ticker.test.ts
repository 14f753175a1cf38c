import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { LegTicker } from '../../src/rtp/leg-ticker.ts';
import { FakeClock } from '../support/fake-clock.ts';

describe('LegTicker', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setImmediate', 'clearImmediate'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function setUp(): { ticker: LegTicker; pass: (ms: number) => void; leg: () => { ticks: number[] } & Leg } {
    const clock = new FakeClock();
    return {
      ticker: new LegTicker(clock),
      pass: (ms) => {
        clock.advance(ms);
        vi.advanceTimersToNextTimer();
      },
      leg: () => {
        const ticks: number[] = [];
        return { ticks, tick: (nowMs) => ticks.push(nowMs) };
      },
    };
  }
  interface Leg {
    readonly tick: (nowMs: number) => void;
  }

  it('ticks all legs every 100 ms with one timer, which ends with the last leg', () => {
    const { ticker, pass, leg } = setUp();
    const [one, other] = [leg(), leg()];
    ticker.add(one);
    ticker.add(other);
    expect(vi.getTimerCount()).toBe(1);
    pass(100);
    ticker.remove(one);
    pass(101);
    expect(one.ticks).toEqual([5_100]);
    expect(other.ticks).toEqual([5_100, 5_201]);
    ticker.remove(other);
    ticker.remove(other);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('begins again with the next leg', () => {
    const { ticker, pass, leg } = setUp();
    const [one, other] = [leg(), leg()];
    ticker.add(one);
    ticker.remove(one);
    pass(5_000);
    ticker.add(other);
    pass(100);
    expect(other.ticks).toEqual([10_100]);
    ticker.remove(other);
  });

  it('lets a tick that is overdue wait until the sockets were read', () => {
    const { ticker, pass, leg } = setUp();
    const one = leg();
    ticker.add(one);
    pass(400);
    expect(one.ticks).toEqual([]);
    pass(3);
    expect(one.ticks).toEqual([5_403]);
    pass(97);
    expect(one.ticks).toEqual([5_403, 5_500]);
    ticker.remove(one);
  });

  it('forgets a tick that waits when the last leg goes', () => {
    const { ticker, pass, leg } = setUp();
    const one = leg();
    ticker.add(one);
    pass(400);
    ticker.remove(one);
    expect(vi.getTimerCount()).toBe(0);
  });
});
