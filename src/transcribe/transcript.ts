import type { Sentence } from '../dashscope/recognition-result.ts';

/** What one channel of a file gave. */
export interface LegTranscript {
  /** 0-based channel. */
  readonly legNo: number;
  /** Who is heard on it, where that is known; else channels are counted. */
  readonly speaker?: string | undefined;
  readonly model: string;
  /** The task's id. */
  readonly requestId: string;
  /** G.711 where the file has it. */
  readonly codec: 'PCMU' | 'PCMA' | undefined;
  readonly sentences: readonly Sentence[];
}

/** What one file gave; one leg, or one for each channel of a stereo file. */
export interface FileTranscript {
  readonly file: string;
  readonly legs: readonly LegTranscript[];
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

/** What stands before a sentence of each channel in plain text, by `legNo`; nothing where there is one channel. */
export function prefixesOf({ legs }: FileTranscript): ReadonlyMap<number, string> {
  if (legs.length < 2) return new Map();
  return new Map(
    legs.map(({ legNo, speaker }) => [legNo, speaker === undefined ? `[${legNo + 1}] ` : `${speaker}: `]),
  );
}
