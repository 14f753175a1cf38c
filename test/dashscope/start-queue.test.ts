import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { type Clock, systemClock } from '../../src/clock.ts';
import { StartQueue, type StartQueueOptions } from '../../src/dashscope/start-queue.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const clock: Clock = systemClock;

function queueOf(options: Partial<StartQueueOptions> = {}): StartQueue {
  return new StartQueue({ rate: { perSecond: 20 }, waitingMax: 1_000, waitMaxMs: 60_000, clock, ...options });
}

interface Starts {
  /** Name and time of each turn, in order. */
  readonly turns: { readonly name: string; readonly atMs: number }[];
  readonly tooLong: string[];
  enter(name: string, place?: 'back' | 'front'): string;
}

function startsOn(queue: StartQueue): Starts {
  const turns: Starts['turns'] = [];
  const tooLong: string[] = [];
  const turn = (name: string): void => void turns.push({ name, atMs: clock.monotonicMs() });
  return {
    turns,
    tooLong,
    enter: (name, place) => {
      const answer = queue.enter(
        {
          onTurn: () => {
            turn(name);
          },
          onTooLong: () => tooLong.push(name),
        },
        place,
      );
      if (answer === 'now') turn(name);
      return answer;
    },
  };
}

describe('StartQueue', () => {
  it.each([
    [20, undefined],
    [20, 5],
    [7, 1],
    [1_000, 3],
  ])('gives %i turns a second with a burst of %s, in no second more', async (perSecond, burst) => {
    const starts = startsOn(queueOf({ rate: { perSecond, burst } }));
    const names = Array.from({ length: 60 }, (_, no) => String(no));
    for (const name of names) starts.enter(name);
    await vi.advanceTimersByTimeAsync((60 / perSecond) * 1_000 + 1_000);
    expect(starts.turns.map((turn) => turn.name)).toEqual(names);
    for (const { atMs } of starts.turns) {
      const inSecond = starts.turns.filter((turn) => turn.atMs >= atMs && turn.atMs < atMs + 1_000);
      expect(inSecond.length).toBeLessThanOrEqual(perSecond + (burst ?? 1));
    }
    const evenlyMs = ((60 - (burst ?? 1)) / perSecond) * 1_000;
    expect(starts.turns.at(-1)!.atMs - starts.turns[0]!.atMs).toBeGreaterThanOrEqual(evenlyMs - 1);
  });

  it('lets nobody pass those who wait, but the one that lost its turn', async () => {
    const starts = startsOn(queueOf());
    expect([starts.enter('a'), starts.enter('b'), starts.enter('c'), starts.enter('d', 'front')]).toEqual([
      'now',
      'queued',
      'queued',
      'queued',
    ]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(starts.turns.map((turn) => turn.name).join('')).toBe('adbc');
  });

  it('takes no more than its bound, except at the front', () => {
    const starts = startsOn(queueOf({ waitingMax: 1 }));
    expect(['a', 'b', 'c'].map((name) => starts.enter(name))).toEqual(['now', 'queued', 'full']);
    expect(starts.enter('d', 'front')).toBe('queued');
  });

  it('counts who waited and how long', async () => {
    const queue = queueOf();
    const starts = startsOn(queue);
    for (const name of ['a', 'b', 'c']) starts.enter(name);
    expect(queue.waiting).toBe(2);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(queue.counters).toMatchObject({ started: 3, waited: 2 });
    expect(queue.counters.waitedMaxMs).toBeGreaterThanOrEqual(99);
    expect(queue.counters.waitedMs).toBeGreaterThanOrEqual(148);
  });

  it('tells who waited too long, and goes on with those who did not', async () => {
    const starts = startsOn(queueOf({ rate: { perSecond: 1 }, waitMaxMs: 1_500 }));
    for (const name of ['a', 'b', 'c']) starts.enter(name);
    await vi.advanceTimersByTimeAsync(1_400);
    starts.enter('d');
    await vi.advanceTimersByTimeAsync(5_000);
    expect(starts.turns.map((turn) => turn.name).join('')).toBe('abd');
    expect(starts.tooLong).toEqual(['c']);
  });

  it('has no timer when nobody waits', async () => {
    const queue = queueOf();
    const entry = { onTurn: () => undefined, onTooLong: () => undefined };
    queue.enter({ ...entry });
    queue.enter(entry);
    expect(vi.getTimerCount()).toBe(1);
    queue.leave(entry);
    expect(vi.getTimerCount()).toBe(0);
    queue.enter(entry);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(vi.getTimerCount()).toBe(0);
  });
});
