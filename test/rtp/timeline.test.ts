import { describe, expect, it } from 'vitest';

import { Timeline } from '../../src/rtp/timeline.ts';

/** A timeline that writes down what happens: fills, and audio as `[begin, samples]`. */
function setUp(): {
  timeline: Timeline;
  log: (readonly [what: string, beginSample: number, samples: number])[];
  starts: number[];
  /** Stretches that were told to be lost, `[begin, samples]`. */
  lost: [number, number][];
  /** Places a packet of 160 samples unless told otherwise. */
  place: (timestamp: number, arrivalMs: number, more?: { samples?: number; lostBefore?: number }) => void;
} {
  const log: [string, number, number][] = [];
  const starts: number[] = [];
  let position = 0;
  const emit = (what: string, samples: number): void => {
    log.push([what, position, samples]);
    position += samples;
  };
  const lost: [number, number][] = [];
  const timeline = new Timeline({
    fill: emit,
    lost: (beginSample, samples) => lost.push([beginSample, samples]),
    started: (atMs) => starts.push(atMs),
  });
  return {
    timeline,
    log,
    lost,
    starts,
    place: (timestamp, arrivalMs, { samples = 160, lostBefore = 0 } = {}) => {
      const skipped = timeline.place(timestamp >>> 0, samples, lostBefore, arrivalMs);
      if (samples > skipped) emit('audio', samples - skipped);
      expect(timeline.positionSamples).toBe(position);
    },
  };
}

describe('Timeline', () => {
  it('begins at 0 with the first packet, whatever its timestamp; sample 0 was taken a packet before its arrival', () => {
    const { place, log, starts } = setUp();
    place(0xffff_ff60, 1_000);
    place(0, 1_020);
    expect(starts).toEqual([980]);
    expect(log).toEqual([
      ['audio', 0, 160],
      ['audio', 160, 160],
    ]);
  });

  it('lets no sender claim hours in a minute: leaps are filled up to 10 s, and as fast as time passes', () => {
    const { place, timeline, log } = setUp();
    for (let packet = 0; packet < 500; packet += 1) place(packet * 9_000 * 8, packet * 20);
    const filled = log.reduce((total, [what, , samples]) => total + (what === 'audio' ? 0 : samples), 0);
    // 10 s passed: 10 s of credit at the beginning, 10 s that came back, and what really passed.
    expect(filled / 8).toBeGreaterThanOrEqual(9_000);
    expect(filled / 8).toBeLessThanOrEqual(30_000);
    expect(timeline.counters.timestampResets).toBeGreaterThan(400);
  });

  it('believes silence suppression that lasts as long as it says, however often', () => {
    const { place, timeline } = setUp();
    for (let burst = 0; burst < 100; burst += 1) place(burst * 5_000 * 8, burst * 5_000);
    expect(timeline.counters.timestampResets).toBe(0);
    expect(timeline.positionSamples).toBe(99 * 5_000 * 8 + 160);
  });

  it('fills a 3-packet gap with 480 samples as loss', () => {
    const { place, log } = setUp();
    place(0, 0);
    place(640, 80, { lostBefore: 3 });
    expect(log).toEqual([
      ['audio', 0, 160],
      ['loss', 160, 480],
      ['audio', 640, 160],
    ]);
  });

  it('fills a timestamp gap with contiguous sequence numbers as silence, across the timestamp wrap', () => {
    const { place, log } = setUp();
    place(-160, 0);
    place(8_000, 1_020);
    expect(log).toEqual([
      ['audio', 0, 160],
      ['silence', 160, 8_000],
      ['audio', 8_160, 160],
    ]);
  });

  it('lays no more than the lost packets to loss when silence was suppressed as well', () => {
    const { place, log } = setUp();
    place(0, 0);
    place(4_000, 500, { lostBefore: 2 });
    expect(log.slice(1, 3)).toEqual([
      ['loss', 160, 320],
      ['silence', 480, 3_520],
    ]);
  });

  it('goes by timestamps when packet times change from 5 to 60 ms', () => {
    const { place, log } = setUp();
    let timestamp = 77;
    for (const samples of [40, 80, 160, 240, 320, 480, 40]) {
      place(timestamp, 0, { samples });
      timestamp += samples;
    }
    expect(log.map(([what]) => what)).toEqual(Array(7).fill('audio'));
    expect(log.at(-1)).toEqual(['audio', 1_320, 40]);
  });

  it('drops what overlaps the packet before', () => {
    const { place, log, timeline } = setUp();
    place(0, 0, { samples: 240 });
    place(160, 20, { samples: 240 });
    expect(log).toEqual([
      ['audio', 0, 240],
      ['audio', 240, 160],
    ]);
    expect(timeline.counters).toMatchObject({ overlapSamples: 80, timestampResets: 0 });
  });

  it('places comfort noise without samples of its own', () => {
    const { place, log } = setUp();
    place(0, 0);
    place(160, 20, { samples: 0 });
    place(1_600, 200);
    expect(log).toEqual([
      ['audio', 0, 160],
      ['silence', 160, 1_440],
      ['audio', 1_600, 160],
    ]);
  });

  it('lays a loss behind comfort noise to as much audio as packets had before', () => {
    const { place, log } = setUp();
    place(0, 0);
    place(160, 20, { samples: 0 });
    place(1_600, 200, { lostBefore: 2 });
    expect(log[1]).toEqual(['loss', 160, 320]);
  });

  it('takes an empty packet, and the one of the same timestamp after it', () => {
    const { place, log } = setUp();
    place(0, 0);
    place(160, 20, { samples: 0 });
    place(160, 20);
    expect(log.at(-1)).toEqual(['audio', 160, 160]);
  });

  describe('without packets', () => {
    it('lets nothing flow before the first one', () => {
      const { timeline, log } = setUp();
      timeline.tick(100_000);
      expect(log).toEqual([]);
    });

    it('lets silence flow after 400 ms, 400 ms behind the wall clock', () => {
      const { timeline, place, log } = setUp();
      place(0, 1_000);
      for (let nowMs = 1_050; nowMs < 1_700; nowMs += 100) timeline.tick(nowMs);
      expect(log.slice(1)).toEqual([
        ['silence', 160, 400],
        ['silence', 560, 800],
        ['silence', 1_360, 800],
      ]);
      expect(timeline.isPaused).toBe(true);
    });

    it('waits for three packets where packets are long', () => {
      const { timeline, place, log } = setUp();
      place(0, 0, { samples: 1_600 });
      timeline.tick(599);
      expect(log).toHaveLength(1);
      timeline.tick(700);
      expect(log.at(-1)).toEqual(['silence', 1_600, 800]);
    });

    it('fills only what is still missing when packets come again', () => {
      const { timeline, place, log } = setUp();
      place(0, 0);
      timeline.tick(600);
      place(8_000, 1_000);
      expect(timeline.isPaused).toBe(false);
      expect(log).toEqual([
        ['audio', 0, 160],
        ['silence', 160, 1_600],
        ['silence', 1_760, 6_240],
        ['audio', 8_000, 160],
      ]);
    });

    it('counts as loss what was filled while packets were lost, once that is known', () => {
      const { timeline, place, lost } = setUp();
      place(0, 0);
      timeline.tick(700);
      expect(timeline.positionSamples).toBe(160 + 2_400);
      place(160 * 31, 820, { lostBefore: 20 });
      expect(timeline.counters).toMatchObject({ lossSamples: 20 * 160, silenceSamples: 10 * 160 });
      // The gap that was left is 2,400 samples; 800 of those that ticks filled before it were lost, too.
      expect(lost).toEqual([[1_760, 3_200]]);
    });

    it('fills at most a second in one tick, after the process stood still', () => {
      const { timeline, place, log } = setUp();
      place(0, 0);
      timeline.tick(60_000);
      timeline.tick(60_100);
      expect(log.slice(1)).toEqual([
        ['silence', 160, 8_000],
        ['silence', 8_160, 8_000],
      ]);
    });

    it('drops of a late burst what was filled meanwhile', () => {
      const { timeline, place, log } = setUp();
      place(0, 0);
      timeline.tick(500);
      for (let i = 1; i <= 6; i++) place(160 * i, 510);
      expect(log).toEqual([
        ['audio', 0, 160],
        ['silence', 160, 800],
        ['audio', 960, 160],
      ]);
      expect(timeline.counters.overlapSamples).toBe(800);
    });
  });

  describe('sets a new anchor by the wall clock', () => {
    it.each([
      ['goes back', 50_000],
      ['repeats', 100_000],
      ['leaps ahead by more than 10 s', 100_160 + 80_001],
    ])('when the timestamp %s', (_, timestamp) => {
      const { place, log, timeline } = setUp();
      place(100_000, 0);
      place(timestamp, 520);
      place(timestamp + 160, 540);
      expect(log).toEqual([
        ['audio', 0, 160],
        ['silence', 160, 4_000],
        ['audio', 4_160, 160],
        ['audio', 4_320, 160],
      ]);
      expect(timeline.counters.timestampResets).toBe(1);
    });

    it('but takes a leap of 10 s for a gap', () => {
      const { place, log, timeline } = setUp();
      place(0, 0);
      place(160 + 80_000, 10_020);
      expect(log[1]).toEqual(['silence', 160, 80_000]);
      expect(timeline.counters.timestampResets).toBe(0);
    });

    it('when told so, and goes on without a gap where it is only jitter', () => {
      const { place, log, timeline } = setUp();
      place(0, 0);
      timeline.reanchor();
      place(5_000_000, 45);
      expect(log.at(-1)).toEqual(['audio', 160, 160]);
    });

    it('and never goes back, when the packet comes before its time', () => {
      const { place, log, timeline } = setUp();
      place(0, 0);
      place(160, 0);
      place(320, 0);
      timeline.reanchor();
      place(9, 0);
      expect(log.at(-1)).toEqual(['audio', 480, 160]);
    });

    it('filling no more than 10 s', () => {
      const { place, log, timeline } = setUp();
      place(0, 0);
      timeline.reanchor();
      place(1, 3_600_000);
      expect(log[1]).toEqual(['silence', 160, 80_000]);
    });

    it('has no effect before the first packet', () => {
      const { place, timeline } = setUp();
      timeline.reanchor();
      place(1, 0);
      expect(timeline.counters.timestampResets).toBe(0);
    });
  });

  it.each([-200, 200, -25_000])(
    'fills nothing while packets flow, two hours long, from a sender whose clock is off by %i ppm',
    (ppm) => {
      const { timeline } = setUp();
      const packetMs = 20 / (1 + ppm / 1e6);
      let tickMs = 0;
      for (let i = 0; i < 360_000; i++) {
        const arrivalMs = i * packetMs;
        for (; tickMs <= arrivalMs; tickMs += 100) timeline.tick(tickMs);
        timeline.place((160 * i) >>> 0, 160, 0, arrivalMs);
      }
      expect(timeline.counters).toEqual({
        lossSamples: 0,
        silenceSamples: 0,
        overlapSamples: 0,
        timestampResets: 0,
      });
      expect(timeline.positionSamples).toBe(160 * 360_000);
    },
  );

  it('says where lost packets were', () => {
    const { place, lost } = setUp();
    place(0, 0);
    place(640, 80, { lostBefore: 3 });
    place(4_000, 500, { lostBefore: 2 });
    place(4_160, 520);
    expect(lost).toEqual([
      [160, 480],
      [800, 320],
    ]);
  });

  it('says where a timestamp is that is not that of audio, such as an event’s', () => {
    const { timeline, place } = setUp();
    expect(timeline.sampleAt(1_000, 0)).toBeUndefined();
    place(1_000, 0);
    expect([1_000, 1_160, 3_000].map((t) => timeline.sampleAt(t, 20))).toEqual([0, 160, 2_000]);
    // Counted apart, by its own clock: here and now, also where no tick has filled up to now.
    expect(timeline.sampleAt(0, 20)).toBe(160);
    expect(timeline.sampleAt(3_000_000_000, 2_000)).toBe(16_160);
    timeline.reanchor();
    expect(timeline.sampleAt(1_160, 1_000)).toBe(8_160);
  });

  it('says which timestamps fall into a stretch that was filled', () => {
    const { timeline, place } = setUp();
    place(1_000, 0);
    timeline.tick(600);
    const overlaps = [1_000, 1_160, 1_160 + 1_599, 1_160 + 1_600, 900].map((t) => timeline.overlaps(t));
    expect(overlaps).toEqual([false, true, true, false, false]);
  });
});
