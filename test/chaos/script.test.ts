import { expect, it } from 'vitest';

import { CaptionReader } from '../../src/caption/reader.ts';
import { callScript } from '../../src/chaos/script.ts';
import { legCodes } from '../../src/chaos/voice.ts';
import { toPcmBuffer } from '../support/captioned-audio.ts';

it('says the same by the same seed, other things by another, and no text twice in a run', () => {
  const run = Array.from({ length: 50 }, (_, callNo) => callScript(7, callNo, 8));
  expect(run).toEqual(Array.from({ length: 50 }, (_, callNo) => callScript(7, callNo, 8)));
  expect(callScript(8, 0, 8)).not.toEqual(run[0]);
  const texts = run.flatMap(({ legs }) => legs.flatMap(({ sentences }) => sentences.map(({ text }) => text)));
  expect(new Set(texts).size).toBe(50 * 2 * 8);
});

it('leaves silence that ends a sentence between two of one party', () => {
  for (const { sentences } of callScript(3, 1, 30).legs) {
    for (const [index, { beginMs }] of sentences.entries()) {
      const before = sentences[index - 1];
      if (before !== undefined) expect(beginMs - before.endMs).toBeGreaterThanOrEqual(900);
    }
  }
});

it('has every sentence in its audio, with its times', () => {
  const { legs, durationMs } = callScript(5, 123, 6);
  for (const leg of legs) {
    const reader = new CaptionReader();
    const pcm = toPcmBuffer(leg.codec, legCodes(leg, durationMs));
    const events = [
      ...reader.feed(new Int16Array(pcm.buffer, pcm.byteOffset, pcm.length / 2)),
      ...reader.finish(),
    ];
    const heard = events.flatMap((event) =>
      event.kind === 'caption' ? [[event.caption.text, event.beginCode / 8, event.endCode / 8]] : [],
    );
    expect(heard).toEqual(leg.sentences.map(({ text, beginMs, endMs }) => [text, beginMs, endMs]));
  }
});
