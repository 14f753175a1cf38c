import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { QuietWatch } from '../../src/sip/quiet-watch.ts';

const LIMIT_MS = 1_800_000;
let watch: QuietWatch;
let signs: number;
let mediaEnded: boolean;
let answer: 'alive' | 'gone';
let probes: number;
let gone: number;

beforeEach(() => {
  vi.useFakeTimers();
  [signs, mediaEnded, answer, probes, gone] = [0, false, 'alive', 0, 0];
  watch = new QuietWatch({
    limitMs: () => LIMIT_MS,
    signsOfLife: () => signs,
    mediaEnded: () => mediaEnded,
    probe: () => {
      probes += 1;
      return Promise.resolve(answer);
    },
    onGone: () => {
      gone += 1;
    },
  });
});

afterEach(() => {
  watch.stop();
  vi.useRealTimers();
});

it('a peer is asked when the limit has passed without a sign of life, and after each further limit', async () => {
  await vi.advanceTimersByTimeAsync(LIMIT_MS - 1);
  expect(probes).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(probes).toBe(1);
  await vi.advanceTimersByTimeAsync(LIMIT_MS);
  expect(probes).toBe(2);
  expect(gone).toBe(0);
});

it('a sign of life begins the limit anew', async () => {
  await vi.advanceTimersByTimeAsync(LIMIT_MS - 60_000);
  signs += 1;
  await vi.advanceTimersByTimeAsync(LIMIT_MS - 60_000);
  expect(probes).toBe(0);
});

it('a peer that ended its media and sends no BYE is asked soon, and its dialog ends when it knows it no more', async () => {
  signs += 1;
  mediaEnded = true;
  answer = 'gone';
  await vi.advanceTimersByTimeAsync(60_000);
  expect([probes, gone]).toEqual([1, 1]);
  await vi.advanceTimersByTimeAsync(2 * LIMIT_MS);
  expect([probes, gone]).toEqual([1, 1]);
});

it('a peer that ended its media and stands by its dialog is asked soon but once', async () => {
  mediaEnded = true;
  await vi.advanceTimersByTimeAsync(LIMIT_MS - 1);
  expect(probes).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(probes).toBe(2);
  signs += 1;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(probes).toBe(3);
  expect(gone).toBe(0);
});
