import { describe, expect, it } from 'vitest';

import { decodeG711 } from '../../src/audio/g711.ts';
import { LegAudio } from '../../src/audio/leg-audio.ts';
import { codes } from '../support/rtp-stream.ts';

function setUp(): { audio: LegAudio; samples: () => Int16Array; chunks: Buffer[] } {
  const chunks: Buffer[] = [];
  const audio = new LegAudio((pcm) => chunks.push(pcm));
  const samples = (): Int16Array => {
    const all = Buffer.concat(chunks);
    return new Int16Array(all.buffer, all.byteOffset, all.length / 2);
  };
  return { audio, samples, chunks };
}

const loudestOf = (samples: Int16Array): number =>
  samples.reduce((most, s) => Math.max(most, Math.abs(s)), 0);

describe('LegAudio', () => {
  it('is zero where nothing was sent, and flushes at its end', () => {
    const { audio, samples, chunks } = setUp();
    audio.audio('PCMU', codes(0, 200), 40, 200);
    audio.fill('silence', 640);
    audio.audio('PCMA', codes(800, 160), 0, 160);
    expect(chunks).toHaveLength(1);
    audio.end();
    const expected = [
      ...decodeG711('PCMU', codes(40, 160)),
      ...new Int16Array(640),
      ...decodeG711('PCMA', codes(800, 160)),
    ];
    expect([...samples()]).toEqual(expected);
  });

  it.each([40, 160, 320, 479, 480, 481, 2_000])(
    'conceals %i lost samples, no more than 60 ms, and leaves what came as it came',
    (lost) => {
      const { audio, samples } = setUp();
      audio.audio('PCMU', codes(0, 1_000), 0, 1_000);
      audio.fill('loss', lost);
      audio.audio('PCMU', codes(1_000 + lost, 320), 0, 320);
      audio.end();
      const heard = samples();
      expect(heard).toHaveLength(1_320 + lost);
      expect(heard.subarray(0, 1_000)).toEqual(decodeG711('PCMU', codes(0, 1_000)));
      expect(heard.subarray(1_000 + lost)).toEqual(decodeG711('PCMU', codes(1_000 + lost, 320)));
      expect(loudestOf(heard.subarray(1_000, 1_000 + Math.min(lost, 40)))).toBeGreaterThan(1_000);
      expect(loudestOf(heard.subarray(1_480, 1_000 + lost))).toBe(0);
    },
  );

  it('leads the last 4 ms of what it makes over to the audio behind it', () => {
    const concealed = (withNext: boolean): Int16Array => {
      const { audio, samples } = setUp();
      audio.audio('PCMU', codes(0, 800), 0, 800);
      audio.fill('loss', 160);
      if (withNext) audio.audio('PCMU', codes(5_000, 160), 0, 160);
      audio.end();
      return samples().slice(800, 960);
    };
    const [alone, leading] = [concealed(false), concealed(true)];
    expect(leading.subarray(0, 128)).toEqual(alone.subarray(0, 128));
    expect(leading.subarray(128)).not.toEqual(alone.subarray(128));
  });

  it('conceals what is lost before silence, and at the end of the leg', () => {
    const { audio, samples } = setUp();
    audio.audio('PCMA', codes(0, 480), 0, 480);
    audio.fill('loss', 160);
    audio.fill('silence', 160);
    audio.audio('PCMA', codes(800, 480), 0, 480);
    audio.fill('loss', 160);
    audio.end();
    const heard = samples();
    expect(heard).toHaveLength(1_440);
    expect(loudestOf(heard.subarray(480, 640))).toBeGreaterThan(1_000);
    expect(loudestOf(heard.subarray(640, 800))).toBe(0);
    expect(loudestOf(heard.subarray(1_280))).toBeGreaterThan(1_000);
  });

  it('is silent for what is lost before the first audio', () => {
    const { audio, samples } = setUp();
    audio.fill('silence', 10);
    audio.fill('loss', 160);
    audio.end();
    expect([...samples()]).toEqual([...new Int16Array(170)]);
  });

  it('knows how much of a stretch was lost', () => {
    const { audio } = setUp();
    audio.lost(800, 160);
    audio.lost(2_000, 320);
    expect(audio.lostSamples(880, 2_100)).toBe(180);
  });
});
