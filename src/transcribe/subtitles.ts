import type { Word } from '../dashscope/recognition-result.ts';
import { columnsOf } from './columns.ts';
import {
  endMsOf,
  entriesOf,
  type FileTranscript,
  prefixesOf,
  type SpokenSentence,
  textOfPause,
  type TranscriptPause,
} from './transcript.ts';

/** Widest line, in columns of half a CJK character: what players show without breaking a line themselves. */
const LINE_COLUMNS = 40;
const LINES_PER_CUE = 2;
/** A cue without a length is not shown. */
const CUE_MIN_MS = 500;

interface Cue {
  readonly beginMs: number;
  readonly endMs: number;
  /** Undefined: nobody speaks. */
  readonly legNo: number | undefined;
  readonly lines: readonly string[];
}

/** SubRip: numbered cues, `00:00:01,500`. Channels of a stereo file are named in the text. */
export function toSrt(transcript: FileTranscript): string {
  const prefixes = prefixesOf(transcript);
  return cuesOf(transcript)
    .map(({ beginMs, endMs, legNo, lines }, index) => {
      const text = lines.map(plain).join('\n');
      const time = `${timestamp(beginMs, ',')} --> ${timestamp(endMs, ',')}`;
      const prefix = legNo === undefined ? '' : plain(prefixes.get(legNo) ?? '');
      return `${index + 1}\n${time}\n${prefix}${text}\n`;
    })
    .join('\n');
}

/** WebVTT (W3C): `00:00:01.500`, characters of markup escaped, channels as voices. */
export function toVtt(transcript: FileTranscript): string {
  const voices = new Map(
    transcript.legs.map(({ legNo, speaker }) => [legNo, escapeVtt(speaker ?? `Channel ${legNo + 1}`)]),
  );
  const named = voices.size > 1;
  const cues = cuesOf(transcript).map(({ beginMs, endMs, legNo, lines }) => {
    const text = lines.map(escapeVtt).join('\n');
    const time = `${timestamp(beginMs, '.')} --> ${timestamp(endMs, '.')}`;
    const voice = named && legNo !== undefined ? `<v ${voices.get(legNo) ?? ''}>` : '';
    return `${time}\n${voice}${text}\n`;
  });
  return ['WEBVTT\n', ...cues].join('\n');
}

function cuesOf(transcript: FileTranscript): readonly Cue[] {
  return entriesOf(transcript).flatMap((entry) =>
    entry.kind === 'paused' ? [cueOfPause(entry)] : cuesOfSentence(entry),
  );
}

function cueOfPause(pause: TranscriptPause): Cue {
  const { beginMs, endMs = beginMs } = pause;
  const lines = [textOfPause(pause)];
  return { beginMs, endMs: Math.max(endMs, beginMs + CUE_MIN_MS), legNo: undefined, lines };
}

/** A sentence of more than two lines is shown in several cues, each with the time of its own words. */
function cuesOfSentence({ legNo, sentence }: SpokenSentence): readonly Cue[] {
  const lines = wrap(sentence.text);
  const groups: string[][] = [];
  for (let at = 0; at < lines.length; at += LINES_PER_CUE) groups.push(lines.slice(at, at + LINES_PER_CUE));
  const endMs = endMsOf(sentence);
  const total = charactersIn(sentence.text);
  let shown = 0;
  return groups.map((group, index) => {
    const beginMs = timeOfCharacter(shown, total, sentence.words, { beginMs: sentence.beginMs, endMs });
    shown += group.reduce((sum, line) => sum + charactersIn(line), 0);
    const last = index === groups.length - 1;
    const groupEndMs = last
      ? endMs
      : timeOfCharacter(shown, total, sentence.words, { beginMs: sentence.beginMs, endMs });
    return { beginMs, endMs: Math.max(groupEndMs, beginMs + CUE_MIN_MS), legNo, lines: group };
  });
}

/** When the n-th character is said: by the words' own times, else by an even share of the sentence's. */
function timeOfCharacter(
  characterNo: number,
  total: number,
  words: readonly Word[],
  span: { readonly beginMs: number; readonly endMs: number },
): number {
  let counted = 0;
  for (const { text, punctuation, beginMs } of words) {
    if (counted >= characterNo) return Math.max(span.beginMs, beginMs);
    counted += charactersIn(text) + charactersIn(punctuation);
  }
  return Math.round(span.beginMs + ((span.endMs - span.beginMs) * characterNo) / Math.max(1, total));
}

/**
 * Breaks a text into lines of at most {@link LINE_COLUMNS} columns: behind a blank or a punctuation mark where one
 * is in the second half of the line, else between two characters, as Chinese allows anywhere but before a mark. A
 * word of Latin letters stays whole if it fits in a line at all.
 */
export function wrap(text: string): readonly string[] {
  const lines: string[] = [];
  let rest = Array.from(text.replace(/\s+/gu, ' ').trim());
  while (rest.length > 0) {
    const fits = fitting(rest);
    const cut = fits === rest.length ? fits : breakBefore(rest, fits);
    lines.push(rest.slice(0, cut).join('').trim());
    rest = rest.slice(cut);
    while (rest[0] === ' ') rest.shift();
  }
  return lines;
}

function fitting(characters: readonly string[]): number {
  let columns = 0;
  let count = 0;
  for (const character of characters) {
    columns += columnsOf(character);
    if (columns > LINE_COLUMNS) break;
    count += 1;
  }
  return count;
}

/** @returns how many characters the line gets; at least one */
function breakBefore(characters: readonly string[], fits: number): number {
  for (let cut = fits; cut > fits / 2; cut -= 1) {
    if (BREAK_BEHIND.test(characters[cut - 1]!) && !NOT_AT_BEGIN.test(characters[cut]!)) return cut;
  }
  for (let cut = fits; cut > 0; cut -= 1) {
    const inWord = NARROW_WORD.test(characters[cut - 1]!) && NARROW_WORD.test(characters[cut]!);
    if (!inWord && !NOT_AT_BEGIN.test(characters[cut]!)) return cut;
  }
  return Math.max(1, fits);
}

const BREAK_BEHIND = /[\s，。！？；：、,.!?;:]/u;
const NOT_AT_BEGIN = /[，。！？；：、”’）》」』,.!?;:)\]}]/u;
const NARROW_WORD = /[\p{Script=Latin}\p{Script=Cyrillic}\p{Nd}'’-]/u;

/** A blank line would end the cue, and an arrow looks like its time. */
function plain(text: string): string {
  return text.replace(/[\r\n]+/gu, ' ').replaceAll('-->', '→');
}

/** WebVTT, "cue text": `&` and `<` must not stand for themselves, and `-->` not at all. */
function escapeVtt(text: string): string {
  return text
    .replace(/[\r\n]+/gu, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}

const charactersIn = (text: string): number => Array.from(text).length;

function timestamp(ms: number, mark: ',' | '.'): string {
  const whole = Math.max(0, Math.round(ms));
  const two = (value: number): string => String(value).padStart(2, '0');
  const hours = two(Math.floor(whole / 3_600_000));
  const minutes = two(Math.floor(whole / 60_000) % 60);
  const seconds = two(Math.floor(whole / 1_000) % 60);
  return `${hours}:${minutes}:${seconds}${mark}${String(whole % 1_000).padStart(3, '0')}`;
}
