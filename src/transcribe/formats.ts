import { toSrt, toVtt } from './subtitles.ts';
import { endMsOf, entriesOf, type FileTranscript, prefixesOf, textOfPause } from './transcript.ts';

export const TRANSCRIPT_FORMATS = ['json', 'txt', 'srt', 'vtt'] as const;
export type TranscriptFormat = (typeof TRANSCRIPT_FORMATS)[number];

/** The transcript as a text file of the format, with a line break at its end. */
export function writeTranscript(transcript: FileTranscript, format: TranscriptFormat): string {
  switch (format) {
    case 'json':
      return `${JSON.stringify(toJson(transcript), undefined, 2)}\n`;
    case 'txt':
      return toText(transcript);
    case 'srt':
      return toSrt(transcript);
    case 'vtt':
      return toVtt(transcript);
  }
}

/** Names as in the tables. */
function toJson({ file, legs }: FileTranscript): unknown {
  return {
    file,
    legs: legs.map(({ legNo, model, requestId, sentences }) => ({
      leg_no: legNo,
      model,
      asr_task_id: requestId,
      sentences: sentences.map((sentence) => ({
        begin_ms: sentence.beginMs,
        end_ms: endMsOf(sentence),
        text: sentence.text,
        words: sentence.words.map(({ beginMs, endMs, text, punctuation }) => ({
          text,
          begin_ms: beginMs,
          end_ms: endMs,
          punctuation,
        })),
        ...(sentence.emotion === undefined
          ? {}
          : { emo_tag: sentence.emotion.tag, emo_confidence: sentence.emotion.confidence }),
      })),
    })),
  };
}

/** A sentence or a pause a line; channels of a stereo file are named. */
function toText(transcript: FileTranscript): string {
  const prefixes = prefixesOf(transcript);
  return entriesOf(transcript)
    .map((entry) => {
      if (entry.kind === 'paused') return `${textOfPause(entry)}\n`;
      return `${prefixes.get(entry.legNo) ?? ''}${entry.sentence.text.replace(/\s+/gu, ' ')}\n`;
    })
    .join('');
}
