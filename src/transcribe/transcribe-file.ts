import { Recognition, type RecognitionOptions } from '../dashscope/recognition.ts';
import { CallscribeError } from '../errors.ts';
import { type FileLeg, openFile } from './open-file.ts';
import { endMsOf, type FileTranscript, type LegTranscript } from './transcript.ts';

export interface TranscribeOptions {
  /** Where and with which key; `url` is the sandbox's where nothing is configured. */
  readonly service: Pick<RecognitionOptions, 'url' | 'apiKey' | 'workspace'>;
  /** Undefined: the telephony model for 8,000 Hz, else the one for any rate. */
  readonly model: string | undefined;
  readonly vocabularyId: string | undefined;
  /** That the hot words are for; files of another one have none. Default: any. */
  readonly vocabularyModel?: string | undefined;
  /** Only these, from 0; default: all. */
  readonly channels?: readonly number[] | undefined;
  /** Hz, of files without a header. */
  readonly rawRateHz: number;
  /** Longer files are refused; default: none is. */
  readonly hoursMax?: number | undefined;
  /** Seconds of audio a second. */
  readonly speed: number;
  readonly signal: AbortSignal;
  /** @param share 0 to 1, of all channels; never less than before */
  readonly onProgress: (share: number, sentences: number) => void;
}

const TELEPHONY_RATE_HZ = 8_000;
const TELEPHONY_MODEL = 'paraformer-realtime-8k-v2';
const ANY_RATE_MODEL = 'paraformer-realtime-v2';

/**
 * Recognises one file, its channels side by side.
 *
 * @throws {CallscribeError} naming what is wrong with the file, or what the service said; both channels are ended
 */
export async function transcribeFile(path: string, options: TranscribeOptions): Promise<FileTranscript> {
  const { channels } = options;
  const found = await openFile(path, options);
  const legs = found.filter(({ legNo }) => channels?.includes(legNo) ?? true);
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  const progress = legs.map(() => ({ share: 0, sentences: 0 }));
  const run = legs.map((leg, index) =>
    transcribeLeg(leg, { ...options, signal }, (share, sentences) => {
      progress[index] = { share, sentences };
      options.onProgress(
        progress.reduce((sum, each) => sum + each.share, 0) / legs.length,
        progress.reduce((sum, each) => sum + each.sentences, 0),
      );
    }),
  );
  try {
    return { file: path, legs: await Promise.all(run) };
  } catch (thrown) {
    failed.abort(thrown);
    await Promise.allSettled(run);
    throw thrown;
  }
}

async function transcribeLeg(
  leg: FileLeg,
  options: TranscribeOptions,
  onProgress: (share: number, sentences: number) => void,
): Promise<LegTranscript> {
  const { legNo, codec, format, sampleRate, totalBytes } = leg;
  let sentMs = 0;
  const model = options.model ?? (sampleRate === TELEPHONY_RATE_HZ ? TELEPHONY_MODEL : ANY_RATE_MODEL);
  const { vocabularyModel = model } = options;
  const vocabularyId = vocabularyModel === model ? options.vocabularyId : undefined;
  await using recognition = new Recognition({
    ...options.service,
    model,
    format,
    sampleRate,
    vocabularyId,
    heartbeat: true,
    signal: options.signal,
  });
  const call = recognition.call(leg.audio, {
    speed: options.speed,
    onProgress: (sent) => {
      ({ sentMs } = sent);
      onProgress(totalBytes === undefined ? 0 : Math.min(1, sent.sentBytes / totalBytes), sent.sentences);
    },
  });
  const result = await call.catch((thrown: unknown) => {
    throw faultOfFile(thrown) ?? thrown;
  });
  const sentences = result.getSentence();
  // Where the service decodes it, its length is told by what was said, if not by the bytes.
  const audioMs = leg.audioMs ?? Math.max(sentMs, ...sentences.map(endMsOf));
  return { legNo, model, vocabularyId, codec, audioMs, requestId: result.getRequestId(), sentences };
}

/** What was wrong with the file itself, where that ended its recognition. */
function faultOfFile(thrown: unknown): CallscribeError | undefined {
  const cause = thrown instanceof Error ? thrown.cause : undefined;
  return cause instanceof CallscribeError && cause.code === 'AUDIO_UNSUPPORTED' ? cause : undefined;
}
