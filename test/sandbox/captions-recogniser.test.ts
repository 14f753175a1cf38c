import { existsSync, readFileSync } from 'node:fs';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { isMarkedDamaged } from '../../src/caption/placeholder.ts';
import { loadSampleScript, type SampleLeg } from '../../src/sample/sample.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import type { RecognitionEvent } from '../../src/sandbox/recogniser.ts';
import { chunksOf, type MadeSentence, makeCodes, toPcmBuffer } from '../support/captioned-audio.ts';

type Final = Extract<RecognitionEvent, { kind: 'final' }>;

function recognise(pcm: Buffer, options: { chunkBytes?: number; sentenceSilenceMs?: number } = {}) {
  const { chunkBytes = 1_600, sentenceSilenceMs = 800 } = options;
  const recognition = captionsRecogniser.open({ sampleRateHz: 8_000, sentenceSilenceMs });
  const live = chunksOf(pcm, chunkBytes).flatMap((chunk) => recognition.feed(chunk));
  const events = [...live, ...recognition.flush()];
  const finals = events.filter((event): event is Final => event.kind === 'final');
  return { events, finals, live };
}

function pcmOf(
  durationMs: number,
  sentences: readonly MadeSentence[],
  law: 'PCMA' | 'PCMU' = 'PCMA',
): Buffer {
  return toPcmBuffer(law, makeCodes(law, durationMs, sentences));
}

/** A lost packet of 20 ms, filled as the leg does it. */
const lose = (pcm: Buffer, atMs: number): Buffer => pcm.fill(0, atMs * 16, (atMs + 20) * 16);

const HELLO: MadeSentence = { beginMs: 500, endMs: 2_500, text: '您好，请问有什么可以帮您？' };

describe('captioned speech', () => {
  it('becomes its text at its place, for both laws and any chunk borders', () => {
    for (const law of ['PCMA', 'PCMU'] as const) {
      for (const chunkBytes of [1_600, 320, 1_111, 1, 100_000]) {
        const { finals } = recognise(pcmOf(4_000, [HELLO], law), { chunkBytes });
        expect(finals.map(({ beginMs, endMs, text }) => ({ beginMs, endMs, text }))).toEqual([HELLO]);
        expect(finals[0]?.words.at(-1)).toEqual({
          beginMs: 2_346,
          endMs: 2_500,
          text: '？',
          punctuation: '',
        });
      }
    }
  });

  it('grows in partials while it is spoken, about four a second', () => {
    const { events } = recognise(pcmOf(4_000, [HELLO]));
    const partials = events.flatMap((event) => (event.kind === 'partial' ? [event.text] : []));
    expect(partials.length).toBeGreaterThanOrEqual(6);
    expect(partials.every((text, index) => index === 0 || text.startsWith(partials[index - 1]!))).toBe(true);
    expect(partials.every((text) => HELLO.text!.startsWith(text))).toBe(true);
    expect(partials.at(-1)!.length).toBeGreaterThan(8);
  });

  it('is final after the silence that was asked for, not before', () => {
    const quick = recognise(pcmOf(2_500 + 790, [HELLO]));
    const late = recognise(pcmOf(2_500 + 810, [HELLO]));
    expect(quick.live.filter((event) => event.kind === 'final')).toEqual([]);
    expect(late.live.filter((event) => event.kind === 'final')).toHaveLength(1);
    expect(quick.finals).toEqual(late.finals);
  });

  it('is one sentence, however short a silence ends a sentence', () => {
    const paused = makeCodes('PCMA', 4_000, [HELLO]);
    const quiet = paused.map((code, index) =>
      index > 8_000 && index < 13_000 ? (0xd4 & 0xfe) | (code & 1) : code,
    );
    const { finals } = recognise(toPcmBuffer('PCMA', quiet), { sentenceSilenceMs: 200 });
    expect(finals.map((final) => final.text)).toEqual([HELLO.text]);
  });

  it('stays apart from the next one, even without a pause', () => {
    const next: MadeSentence = { beginMs: 2_500, endMs: 4_000, text: '好的，请稍等。' };
    const { finals } = recognise(pcmOf(5_000, [HELLO, next]));
    expect(finals.map(({ beginMs, endMs, text }) => ({ beginMs, endMs, text }))).toEqual([HELLO, next]);
  });

  it('stays apart from speech without a caption before and after it', () => {
    const other = { text: undefined };
    const pcm = pcmOf(7_000, [
      { beginMs: 200, endMs: 1_200, ...other },
      { ...HELLO, beginMs: 1_600, endMs: 3_600 },
      { beginMs: 4_000, endMs: 5_000, ...other },
    ]);
    const { finals } = recognise(pcm);
    expect(finals.map((final) => final.text)).toEqual(['[speech 1.0 s]', HELLO.text, '[speech 1.0 s]']);
  });

  it('is marked, with its text, when a packet of it was lost', () => {
    for (let atMs = 500; atMs < 2_500; atMs += 20) {
      const { finals } = recognise(lose(pcmOf(4_000, [HELLO]), atMs));
      expect({ atMs, texts: finals.map((final) => final.text) }).toEqual({
        atMs,
        texts: [`${HELLO.text} [caption damaged]`],
      });
      expect(finals[0]).toMatchObject({ beginMs: 500, endMs: 2_500 });
    }
  });

  it('is marked, without a text, when too little of it came', () => {
    let pcm = pcmOf(4_000, [HELLO]);
    for (let atMs = 560; atMs < 2_500; atMs += 100) pcm = lose(pcm, atMs);
    const { finals } = recognise(pcm);
    expect(finals.map((final) => final.text)).toEqual(['[speech 2.0 s, caption damaged]']);
  });

  it('is marked, with the words that came, when the call ends inside it', () => {
    const { finals } = recognise(pcmOf(4_000, [HELLO]).subarray(0, 1_500 * 16));
    expect(finals.map((final) => final.text)).toEqual(['您好，请问有什 [caption damaged]']);
    expect(finals[0]).toMatchObject({ beginMs: 500, endMs: 1_500 });
  });

  it('any losses: never a wrong text, and unmarked only if nothing of it was lost', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 199 }), { maxLength: 12 }), (packets) => {
        const pcm = pcmOf(4_000, [HELLO]);
        for (const packet of packets) lose(pcm, packet * 20);
        const { finals } = recognise(pcm);
        const hit = packets.some((packet) => packet >= 25 && packet < 125);
        const texts = finals.map((final) => final.text);
        if (!hit) expect(texts).toEqual([HELLO.text]);
        for (const text of texts) {
          if (hit) expect(isMarkedDamaged(text)).toBe(true);
          expect(
            [HELLO.text, `${HELLO.text} [caption damaged]`].includes(text) || text.startsWith('[speech'),
          ).toBe(true);
        }
        expect(texts).toHaveLength(1);
      }),
      { numRuns: 40 },
    );
  });
});

describe('speech without a caption', () => {
  it('becomes a placeholder with its length, at its place within 60 ms', () => {
    const { finals, events } = recognise(pcmOf(4_000, [{ beginMs: 700, endMs: 1_900, text: undefined }]));
    expect(finals.map((final) => final.text)).toEqual(['[speech 1.2 s]']);
    expect(Math.abs(finals[0]!.beginMs - 700)).toBeLessThanOrEqual(60);
    expect(Math.abs(finals[0]!.endMs - 1_900)).toBeLessThanOrEqual(60);
    expect(events.filter((event) => event.kind === 'partial').length).toBeGreaterThanOrEqual(3);
  });

  it('is cut where the silence is long enough, and only there', () => {
    const speech = (beginMs: number, endMs: number): MadeSentence => ({ beginMs, endMs, text: undefined });
    const pcm = pcmOf(6_000, [speech(300, 1_300), speech(1_900, 2_900), speech(4_000, 5_000)]);
    expect(recognise(pcm).finals.map((final) => final.text)).toEqual(['[speech 2.6 s]', '[speech 1.0 s]']);
  });

  it.each([
    ['zeros', Buffer.alloc(80_000)],
    ['a quiet line', pcmOf(5_000, [])],
    ['a constant offset', Buffer.from(new Int16Array(40_000).fill(3_000).buffer)],
    ['a click of 20 ms', pcmOf(5_000, [{ beginMs: 1_000, endMs: 1_020, text: undefined }])],
    ['nothing', Buffer.alloc(0)],
  ])('is not heard in %s', (_case, pcm) => {
    expect(recognise(pcm).events).toEqual([]);
  });

  it('is not heard for ever in a noise that goes on', () => {
    const hum = Int16Array.from({ length: 160_000 }, (_, at) => Math.round(1_500 * Math.sin(at * 0.7)));
    const { finals } = recognise(Buffer.from(hum.buffer));
    expect(finals.every((final) => final.endMs < 2_000)).toBe(true);
  });

  it('has times also where captions cannot be: at another sample rate', () => {
    const recognition = captionsRecogniser.open({ sampleRateHz: 16_000, sentenceSilenceMs: 800 });
    const pcm = pcmOf(2_000, [{ beginMs: 400, endMs: 1_600, text: undefined }]);
    const finals = [...recognition.feed(pcm), ...recognition.flush()];
    expect(finals.at(-1)).toMatchObject({ kind: 'final', text: '[speech 0.6 s]' });
    expect(recognition.audioMs).toBe(1_000);
  });
});

it('gives the sample call’s script, sentence by sentence, times to the millisecond', async () => {
  const script = await loadSampleScript();
  for (const leg of script.legs) {
    const { finals } = recognise(sampleLegPcm(leg));
    const own = script.sentences.filter((sentence) => sentence.party === leg.party);
    expect(finals.map(({ beginMs, endMs, text }) => ({ beginMs, endMs, text }))).toEqual(
      own.map(({ beginMs, endMs, text }) => ({ beginMs, endMs, text })),
    );
    expect(finals.map((final) => final.words)).toEqual(own.map((sentence) => sentence.words));
  }
});

function sampleLegPcm(leg: SampleLeg): Buffer {
  const wav = readFileSync(new URL(`../../src/sample/${leg.file}`, import.meta.url));
  const dataAt = wav.indexOf('data') + 8;
  const codes = new Uint8Array(wav.subarray(dataAt, dataAt + wav.readUInt32LE(dataAt - 4)));
  return toPcmBuffer(leg.codec, codes);
}

/** Real speech; not part of the repository. */
const MATERIAL = new URL('../../../shared/material/speech/', import.meta.url);

describe.skipIf(!existsSync(MATERIAL))('real recordings (skipped where ../shared/material is absent)', () => {
  it('hears the three answers of a caller in 27 s of a real phone call', () => {
    const { finals } = recognise(wavPcm8k('zh/activecall_1843344-user.wav'));
    const heard = finals.map(({ beginMs, endMs }) => [beginMs / 1000, endMs / 1000] as const);
    for (const [begin, end] of [
      [9.3, 9.8],
      [14.7, 15.2],
      [19.2, 19.7],
    ] as const) {
      const near = heard.find((span) => Math.abs(span[0] - begin) < 0.15);
      expect(near, `speech at ${begin} s among ${JSON.stringify(heard)}`).toBeDefined();
      expect(Math.abs(near![1] - end)).toBeLessThan(0.25);
    }
    expect(
      heard.filter(
        ([begin]) =>
          begin > 10.2 && begin < 23 && (begin < 14.5 || begin > 15.5) && (begin < 19 || begin > 20),
      ),
    ).toEqual([]);
  });

  it('tells most of a read sentence as one, with the silence around it left out', () => {
    const { finals } = recognise(wavPcm8k('zh-synthetic/aishell3_8k_liubei-21.wav'));
    expect(finals).toHaveLength(2);
    expect(finals.every((final) => /^\[speech \d\.\d s\]$/.test(final.text))).toBe(true);
  });
});

/** 16-bit mono WAV of 8 or 16 kHz; the latter loses every other sample, which is good enough to hear energy. */
function wavPcm8k(file: string): Buffer {
  const wav = readFileSync(new URL(file, MATERIAL));
  const rateHz = wav.readUInt32LE(24);
  const pcm = wav.subarray(wav.indexOf('data') + 8);
  if (rateHz === 8_000) return pcm;
  const samples = Int16Array.from({ length: pcm.length >> 2 }, (_, index) => pcm.readInt16LE(index * 4));
  return Buffer.from(samples.buffer);
}
