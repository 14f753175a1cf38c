import { setTimeout as sleep } from 'node:timers/promises';

import { toError } from '../errors.ts';
import { checkAudio } from './audio-check.ts';
import { type AudioFacts, readAudioHeader } from './audio-header.ts';
import { FRAME_MAX_BYTES, usualBytesPerSecond } from './audio-rates.ts';
import { type AudioFile, type AudioSource, openAudioSource } from './audio-source.ts';
import { DashScopeAborted, DashScopeError, DashScopeUsageError } from './errors.ts';
import type { AudioFormat } from './models.ts';
import type { RecognitionWarning } from './recognition-callback.ts';
import { FileResult, type RecognitionResult, type Sentence } from './recognition-result.ts';
import type { RecognitionRun } from './recognition-run.ts';

export type { AudioFile } from './audio-source.ts';

/** How a recorded file is sent. */
export interface CallOptions {
  /**
   * Seconds of audio a second, at most; exact for pcm and wav, near for compressed audio, whose rate the first frame
   * says or is guessed. Above 0, up to 1000. Default: 8.
   */
  readonly speed?: number | undefined;
  readonly onProgress?: ((progress: CallProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Told after each piece of about a second that was handed over, and at the end. */
export interface CallProgress {
  readonly sentBytes: number;
  /** Undefined for a stream. */
  readonly totalBytes: number | undefined;
  /** Audio that was sent, in ms; an estimate for compressed audio. */
  readonly sentMs: number;
  readonly sentences: number;
}

/** What {@link sendAudioFile} needs of its recognition. */
export interface FileRecognition {
  readonly model: string;
  readonly format: AudioFormat;
  readonly sampleRate: number;
  readonly stopTimeoutMs: number;
  readonly warn: (warning: RecognitionWarning) => void;
  readonly begin: (onResult: (result: RecognitionResult) => void) => RecognitionRun;
}

const SPEED = 8;
const SPEED_MAX = 1_000;
/** Audio that is sent at once, before the pace counts. */
const HEAD_START_MS = 1_000;

/** Checks, sends at a bounded rate, and waits for the last words. See `Recognition.call`. */
export async function sendAudioFile(
  file: AudioFile,
  options: CallOptions,
  recognition: FileRecognition,
): Promise<FileResult> {
  const speed = checkSpeed(options.speed ?? SPEED);
  if (options.signal?.aborted === true) {
    throw new DashScopeAborted('the recognition was aborted by its signal', options.signal.reason);
  }
  const source = await openAudioSource(file);
  try {
    const facts = checkHeader(source, recognition);
    return await sendSource(source, facts, speed, options, recognition);
  } finally {
    // A stream that was looked at and not sent is let go.
    await source.close();
  }
}

function checkSpeed(speed: number): number {
  if (speed > 0 && speed <= SPEED_MAX) return speed;
  const allowed = `a number above 0, up to ${SPEED_MAX}`;
  throw new DashScopeUsageError('the file cannot be sent', [
    { parameter: 'speed', found: String(speed), allowed },
  ]);
}

function checkHeader(source: AudioSource, { format, sampleRate, warn }: FileRecognition): AudioFacts {
  const facts = readAudioHeader(source.head);
  const message = checkAudio(facts, { format, sampleRate, totalBytes: source.totalBytes });
  if (message !== undefined) warn({ kind: 'audio', subject: 'sampleRate', message });
  return facts;
}

async function sendSource(
  source: AudioSource,
  facts: AudioFacts,
  speed: number,
  options: CallOptions,
  recognition: FileRecognition,
): Promise<FileResult> {
  const sentences: Sentence[] = [];
  const run = recognition.begin((result) => {
    if (result.isSentenceEnd()) addSentence(sentences, result.getSentence());
  });
  const bytesPerMs =
    (facts.bytesPerSecond ?? usualBytesPerSecond(recognition.format, recognition.sampleRate)) / 1_000;
  const pace = new Pace(bytesPerMs * speed, bytesPerMs * HEAD_START_MS);
  let sentBytes = 0;
  const tellProgress = (): void => {
    const { totalBytes } = source;
    options.onProgress?.({
      sentBytes,
      totalBytes,
      sentMs: Math.round(sentBytes / bytesPerMs),
      sentences: sentences.length,
    });
  };
  try {
    for await (const piece of source.pieces) {
      const audio = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
      for (let at = 0; at < audio.length; at += FRAME_MAX_BYTES) {
        const part = audio.subarray(at, at + FRAME_MAX_BYTES);
        await pace.wait(part.length, run.overSignal);
        await run.send(part);
        sentBytes += part.length;
        tellProgress();
      }
    }
    await run.stop({ timeoutMs: recognition.stopTimeoutMs, since: 'last-result' });
    tellProgress();
    return new FileResult(run.taskId, sentences);
  } catch (thrown) {
    const error = run.error ?? fileBroken(thrown);
    run.abort(error);
    await run.done.catch(() => undefined);
    error.sentences = sentences;
    throw error;
  }
}

/** The same final is never taken twice: no two sentences begin at the same time. */
function addSentence(sentences: Sentence[], sentence: Sentence): void {
  if (sentence.text === '' || sentences.at(-1)?.beginMs === sentence.beginMs) return;
  sentences.push(sentence);
}

/** The file, or the caller's progress event, failed while it was sent. */
function fileBroken(thrown: unknown): DashScopeError {
  if (thrown instanceof DashScopeError) return thrown;
  return new DashScopeAborted('the audio file could not be read to its end', toError(thrown));
}

/** Holds a sender to a rate, with a head start; time in which nothing was sent is not made up for. */
class Pace {
  readonly #bytesPerMs: number;
  readonly #headStartMs: number;
  /** When all that went would have gone, had it gone evenly. */
  #evenAtMs = 0;

  constructor(bytesPerMs: number, headStartBytes: number) {
    this.#bytesPerMs = bytesPerMs;
    this.#headStartMs = headStartBytes / bytesPerMs;
  }

  /** Resolves when so many bytes may go, or at once when `over` says that there is no more sense in it. */
  async wait(bytes: number, over: AbortSignal): Promise<void> {
    const nowMs = performance.now();
    this.#evenAtMs = Math.max(this.#evenAtMs, nowMs);
    const waitMs = this.#evenAtMs - this.#headStartMs - nowMs;
    this.#evenAtMs += bytes / this.#bytesPerMs;
    if (waitMs < 1 || over.aborted) return;
    await sleep(waitMs, undefined, { signal: over }).catch(() => undefined);
  }
}
