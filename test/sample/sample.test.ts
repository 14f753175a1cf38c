import { readFile, stat } from 'node:fs/promises';

import { describe, expect, test } from 'vitest';

import { decodeG711 } from '../../src/audio/g711.ts';
import { readAudioFile } from '../../src/caller/audio-file.ts';
import { DIALOGUE } from '../../src/sample/dialogue.ts';
import { loadSampleScript, samplePaths } from '../../src/sample/sample.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';

const script = await loadSampleScript();
const SAMPLES_PER_MS = 8;

async function pcmOf(party: 'agent' | 'customer'): Promise<{ codec: string; pcm: Int16Array }> {
  const [audio] = readAudioFile(samplePaths[party], await readFile(samplePaths[party]));
  if (audio?.kind !== 'g711') throw new Error('the sample is not G.711');
  return { codec: audio.codec, pcm: decodeG711(audio.codec, audio.codes) };
}

test('the script is the dialogue, made about 40 s long', () => {
  expect(script.sentences.map(({ party, text }) => [party, text])).toEqual(
    DIALOGUE.map(({ party, words }) => [party, words.replaceAll(' ', '')]),
  );
  expect(script.durationMs).toBeGreaterThan(36_000);
  expect(script.durationMs).toBeLessThan(44_000);
});

test('both files together are smaller than 1 MB', async () => {
  const sizes = await Promise.all([stat(samplePaths.agent), stat(samplePaths.customer)]);
  expect(sizes[0].size + sizes[1].size).toBeLessThan(1_000_000);
});

test('words joined with their punctuation are the sentence, and stay within its time', () => {
  for (const { text, words, beginMs, endMs } of script.sentences) {
    expect(words.map((word) => word.text + word.punctuation).join('')).toBe(text);
    expect(words[0]?.beginMs).toBe(beginMs);
    expect(words.at(-1)?.endMs).toBe(endMs);
    for (const [index, word] of words.entries()) {
      expect(word.endMs).toBeGreaterThan(word.beginMs);
      if (index > 0) expect(word.beginMs).toBeGreaterThanOrEqual(words[index - 1]!.endMs);
    }
  }
});

describe.each(script.legs)('the leg of the $party', ({ party, codec }) => {
  const own = script.sentences.filter((sentence) => sentence.party === party);

  test('is G.711 of its law and as long as the script', async () => {
    const leg = await pcmOf(party);
    expect(leg.codec).toBe(codec);
    expect(leg.pcm.length).toBe(script.durationMs * SAMPLES_PER_MS);
  });

  test('pauses between sentences longer than the 800 ms that end one', () => {
    for (const [index, sentence] of own.entries()) {
      if (index > 0) expect(sentence.beginMs - own[index - 1]!.endMs).toBeGreaterThanOrEqual(1_100);
    }
  });

  test('is audible from begin to end of each sentence and quiet everywhere else', async () => {
    const { pcm } = await pcmOf(party);
    const rms = (beginMs: number, endMs: number): number => {
      const part = pcm.subarray(beginMs * SAMPLES_PER_MS, endMs * SAMPLES_PER_MS);
      return Math.sqrt(part.reduce((sum, sample) => sum + sample * sample, 0) / part.length);
    };
    let quietSinceMs = 0;
    for (const { beginMs, endMs } of own) {
      expect(rms(quietSinceMs, beginMs)).toBeLessThan(20);
      expect(rms(beginMs, beginMs + 5)).toBeGreaterThan(200);
      expect(rms(endMs - 5, endMs)).toBeGreaterThan(200);
      quietSinceMs = endMs;
    }
    expect(rms(quietSinceMs, script.durationMs)).toBeLessThan(20);
    // Not digital silence: a line always has some noise.
    expect(rms(quietSinceMs, script.durationMs)).toBeGreaterThan(1);
  });

  test('carries the script in its low bits, as the captions recogniser reads it', async () => {
    const { pcm } = await pcmOf(party);
    const recognition = captionsRecogniser.open({ sampleRateHz: 8_000, sentenceSilenceMs: 800 });
    const events = recognition.feed(Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength));
    events.push(...recognition.flush());
    expect(events.filter(({ kind }) => kind === 'final')).toEqual(
      own.map(({ text, beginMs, endMs, words }) => ({ kind: 'final', text, beginMs, endMs, words })),
    );
  });
});
