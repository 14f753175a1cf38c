import { expect, test } from 'vitest';

import { systemClock } from '../src/clock.ts';
import { Pacer } from '../src/pacer.ts';

const never = new AbortController().signal;

test('ticks each stream so many times, in order, and never before its time', async () => {
  using pacer = new Pacer(systemClock);
  const startMs = systemClock.monotonicMs();
  const early: number[] = [];
  const ticked: number[][] = [[], []];
  const streams = [10, 20].map((intervalMs, streamNo) => ({
    intervalMs,
    ticks: 200 / intervalMs,
    tick: (tickNo: number) => {
      ticked[streamNo]!.push(tickNo);
      if (systemClock.monotonicMs() < startMs + tickNo * intervalMs - 0.5) early.push(tickNo);
    },
  }));
  await Promise.all(streams.map((stream) => pacer.run(stream, startMs, never)));
  expect(systemClock.monotonicMs() - startMs).toBeGreaterThanOrEqual(199.5);
  expect(ticked).toEqual([[...Array(20).keys()], [...Array(10).keys()]]);
  expect(early).toEqual([]);
});

test('what a stall made late follows at once, so that lateness never adds up', async () => {
  const clock = { now: 0, monotonicMs: () => clock.now, wallTime: () => new Date(0) };
  using pacer = new Pacer(clock);
  const ticked: number[] = [];
  const stream = { intervalMs: 20, ticks: 5, tick: (tickNo: number) => ticked.push(tickNo) };
  const running = pacer.run(stream, 0, never);
  clock.now = 1_000;
  await running;
  expect(ticked).toEqual([0, 1, 2, 3, 4]);
  expect(pacer.worstLateMs).toBe(1_000);
});

test('a stream that wants no more gets the last of the ticks that a stall made late, and none twice', async () => {
  const clock = { now: 0, monotonicMs: () => clock.now, wallTime: () => new Date(0) };
  using pacer = new Pacer(clock);
  const ticked: number[] = [];
  const tick = (tickNo: number): void => {
    ticked.push(tickNo);
    if (tickNo === 0) clock.now = 1_010;
  };
  await pacer.run({ intervalMs: 20, ticks: 50, catchUpTicks: 3, tick }, 0, never);
  expect(ticked).toEqual([0, 48, 49]);
});

test('an aborted stream stops, the other goes on', async () => {
  using pacer = new Pacer(systemClock);
  const aborting = new AbortController();
  const ticked = [0, 0];
  const stream = (streamNo: number): Parameters<Pacer['run']>[0] => ({
    intervalMs: 10,
    ticks: 5,
    tick: () => {
      ticked[streamNo]! += 1;
      if (streamNo === 0) aborting.abort();
    },
  });
  const startMs = systemClock.monotonicMs();
  await Promise.all([pacer.run(stream(0), startMs, aborting.signal), pacer.run(stream(1), startMs, never)]);
  expect(ticked).toEqual([1, 5]);
});

test('disposing ends every stream', async () => {
  const pacer = new Pacer(systemClock);
  const running = pacer.run({ intervalMs: 1_000, ticks: 5, tick: () => undefined }, 1e9, never);
  pacer[Symbol.dispose]();
  await running;
});
