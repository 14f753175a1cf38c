import { expect, it } from 'vitest';

import { MediaWatch } from '../../src/rtp/media-watch.ts';

function setUp(): { watch: MediaWatch; told: (string | number)[] } {
  const told: (string | number)[] = [];
  const watch = new MediaWatch({
    silentAfterMs: 1_000,
    onSilent: () => told.push('silent'),
    onBack: (silentMs) => told.push(silentMs),
  });
  return { watch, told };
}

it('tells once that nothing comes, and how long it was when something comes again', () => {
  const { watch, told } = setUp();
  watch.heard(5_000);
  for (let nowMs = 5_100; nowMs <= 8_000; nowMs += 100) watch.tick(nowMs);
  expect(told).toEqual(['silent']);
  watch.heard(8_050);
  expect(told).toEqual(['silent', 3_050]);
});

it('tells of a line on which nothing ever came', () => {
  const { watch, told } = setUp();
  watch.tick(70_000);
  watch.tick(70_999);
  expect(told).toEqual([]);
  watch.tick(71_000);
  expect(told).toEqual(['silent']);
});

it('tells nothing while nothing is expected, and waits anew when it is again', () => {
  const { watch, told } = setUp();
  watch.tick(0);
  watch.expect('nothing', 500);
  watch.tick(60_000);
  watch.expect('media', 60_000);
  watch.tick(60_900);
  expect(told).toEqual([]);
  watch.tick(61_000);
  expect(told).toEqual(['silent']);
});

it('takes an announced hold for the end of a silence', () => {
  const { watch, told } = setUp();
  watch.tick(0);
  watch.tick(1_000);
  watch.expect('nothing', 3_000);
  expect(told).toEqual(['silent', 3_000]);
});
