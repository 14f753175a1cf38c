import { decodeG711, encodeG711 } from '../../src/audio/g711.ts';
import type { CaptionWord } from '../../src/caption/caption.ts';
import { embedCaption } from '../../src/caption/embed.ts';
import type { G711Law } from '../../src/rtp/payload-map.ts';

/** A sentence that the made audio holds; `text` undefined: speech without a caption. */
export interface MadeSentence {
  readonly beginMs: number;
  readonly endMs: number;
  readonly text: string | undefined;
}

export const SAMPLES_PER_MS = 8;

/** The words of a made sentence: its characters, sharing its time equally. */
export function wordsOf(text: string, durationMs: number): CaptionWord[] {
  const characters = Array.from(text);
  const at = (index: number): number => Math.round((index / characters.length) * durationMs);
  return characters.map((character, index) => ({
    text: character,
    punctuation: '',
    beginMs: at(index),
    endMs: at(index + 1),
  }));
}

/** Loud noise that swells five times a second, where there is a sentence; a quiet line everywhere else. */
export function makeCodes(law: G711Law, durationMs: number, sentences: readonly MadeSentence[]): Uint8Array {
  let seed = 1;
  const random = (): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 31 - 1;
  };
  const pcm = Int16Array.from({ length: durationMs * SAMPLES_PER_MS }, (_, sample) => {
    const ms = sample / SAMPLES_PER_MS;
    const spoken = sentences.find(({ beginMs, endMs }) => ms >= beginMs && ms < endMs);
    if (spoken === undefined) return Math.round(random() * 10);
    const swell = 0.3 + 0.7 * Math.abs(Math.cos(((ms - spoken.beginMs) * Math.PI) / 200));
    return Math.round(random() * 8_000 * swell);
  });
  const codes = encodeG711(law, pcm);
  for (const { beginMs, endMs, text } of sentences) {
    if (text === undefined) continue;
    const span = { beginCode: beginMs * SAMPLES_PER_MS, endCode: endMs * SAMPLES_PER_MS };
    embedCaption(codes, law, span, { text, words: wordsOf(text, endMs - beginMs) });
  }
  return codes;
}

export function toPcmBuffer(law: G711Law, codes: Uint8Array): Buffer {
  const pcm = decodeG711(law, codes);
  return Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);
}

/** What a leg gives to its recogniser: 100 ms of PCM at a time, the last one maybe shorter. */
export function chunksOf(pcm: Buffer, chunkBytes = 1_600): Buffer[] {
  return Array.from({ length: Math.ceil(pcm.length / chunkBytes) }, (_, index) =>
    pcm.subarray(index * chunkBytes, (index + 1) * chunkBytes),
  );
}
