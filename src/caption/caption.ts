import { z } from 'zod';

import { CallscribeError } from '../errors.ts';

/** What is said in one sentence of a recording. Times are whole milliseconds since the sentence's first code. */
export interface Caption {
  readonly text: string;
  readonly words: readonly CaptionWord[];
}

export interface CaptionWord {
  readonly text: string;
  /** What follows the word; an empty string where nothing does. */
  readonly punctuation: string;
  readonly beginMs: number;
  readonly endMs: number;
}

/** Longest encoded caption, in bytes: about 150 words. */
export const CAPTION_MAX_BYTES = 4096;

const ms = z.number().int().min(0).max(3_600_000);
const encoded = z.tuple([z.string(), z.array(z.tuple([z.string(), z.string(), ms, ms]))]);

/**
 * The caption as bytes: UTF-8 JSON, without names because the audio carries 1,000 bytes a second.
 *
 * @throws {CallscribeError} `CAPTION_INVALID` when a time is not a whole number from 0 on, or it is too long
 */
export function encodeCaption(caption: Caption): Buffer {
  const words = caption.words.map((word) => [word.text, word.punctuation, word.beginMs, word.endMs]);
  const parsed = encoded.safeParse([caption.text, words]);
  if (!parsed.success) {
    throw new CallscribeError(
      'CAPTION_INVALID',
      `caption of ${caption.words.length} words: word times must be whole milliseconds from 0 to 3600000`,
    );
  }
  const bytes = Buffer.from(JSON.stringify(parsed.data), 'utf8');
  if (bytes.length > CAPTION_MAX_BYTES) {
    throw new CallscribeError(
      'CAPTION_INVALID',
      `caption takes ${bytes.length} bytes, at most ${CAPTION_MAX_BYTES} are allowed`,
    );
  }
  return bytes;
}

/** @returns undefined for anything that {@link encodeCaption} does not make */
export function decodeCaption(bytes: Uint8Array): Caption | undefined {
  let json: unknown;
  try {
    json = JSON.parse(utf8.decode(bytes));
  } catch {
    return undefined;
  }
  const parsed = encoded.safeParse(json);
  if (!parsed.success) return undefined;
  const [text, words] = parsed.data;
  return {
    text,
    words: words.map(([word, punctuation, beginMs, endMs]) => ({ text: word, punctuation, beginMs, endMs })),
  };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
