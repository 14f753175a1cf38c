import type { Sentence } from '../dashscope/recognition-result.ts';

/** What one channel of a file gave. */
export interface LegTranscript {
  /** 0-based channel. */
  readonly legNo: number;
  /** Who is heard on it, where that is known; else channels are counted. */
  readonly speaker?: string | undefined;
  readonly model: string;
  readonly vocabularyId?: string | undefined;
  /** The task's id. */
  readonly requestId: string;
  /** G.711 where the file has it. */
  readonly codec: 'PCMU' | 'PCMA' | undefined;
  /** How long it is; near, where the service decoded what nothing here could look into. Undefined: nobody measured. */
  readonly audioMs?: number | undefined;
  readonly sentences: readonly Sentence[];
}

/** What one file gave; one leg, or one for each channel of a stereo file. */
export interface FileTranscript {
  readonly file: string;
  readonly legs: readonly LegTranscript[];
  /** Stretches of which nothing was kept; of a call that somebody paused. */
  readonly pauses?: readonly TranscriptPause[];
}

/** Milliseconds on the clock of the sentences. */
export interface TranscriptPause {
  readonly beginMs: number;
  /** Undefined: it goes on. */
  readonly endMs: number | undefined;
}

/** A sentence with the channel that it was said on. */
export interface SpokenSentence {
  readonly legNo: number;
  readonly sentence: Sentence;
}

/** Milliseconds of a final; where the service did not say when it ended, it is given no length. */
export const endMsOf = ({ beginMs, endMs }: Sentence): number => Math.max(beginMs, endMs ?? beginMs);

/** All legs' sentences as one conversation, by their begin; of two at the same time the lower channel's first. */
export function inOrder(transcript: FileTranscript): readonly SpokenSentence[] {
  return transcript.legs
    .flatMap(({ legNo, sentences }) => sentences.map((sentence) => ({ legNo, sentence })))
    .sort((a, b) => a.sentence.beginMs - b.sentence.beginMs || a.legNo - b.legNo);
}

/** What a transcript shows, in order: sentences, and pauses among them. */
export type TranscriptEntry =
  ({ readonly kind: 'said' } & SpokenSentence) | ({ readonly kind: 'paused' } & TranscriptPause);

/** {@link inOrder} with the pauses, each before what was said at its begin or later. */
export function entriesOf(transcript: FileTranscript): readonly TranscriptEntry[] {
  const said = inOrder(transcript).map((spoken) => ({ kind: 'said' as const, ...spoken }));
  const paused = (transcript.pauses ?? []).map((pause) => ({ kind: 'paused' as const, ...pause }));
  return [...paused, ...said].sort((a, b) => beginOf(a) - beginOf(b));
}

const beginOf = (entry: TranscriptEntry): number =>
  entry.kind === 'said' ? entry.sentence.beginMs : entry.beginMs;

/** `[paused 00:12–00:31]`, or `[paused since 00:12]`: minutes and seconds. */
export function textOfPause({ beginMs, endMs }: TranscriptPause): string {
  return endMs === undefined
    ? `[paused since ${minutes(beginMs)}]`
    : `[paused ${minutes(beginMs)}–${minutes(endMs)}]`;
}

function minutes(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(Math.floor(seconds / 60))}:${two(seconds % 60)}`;
}

/** What stands before a sentence of each channel in plain text, by `legNo`; nothing where there is one channel. */
export function prefixesOf({ legs }: FileTranscript): ReadonlyMap<number, string> {
  if (legs.length < 2) return new Map();
  return new Map(
    legs.map(({ legNo, speaker }) => [legNo, speaker === undefined ? `[${legNo + 1}] ` : `${speaker}: `]),
  );
}
