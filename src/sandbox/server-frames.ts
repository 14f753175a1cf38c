import type { TaskFailure } from './client-frames.ts';
import { emotionOf } from './emotion.ts';
import type { RecognitionEvent, RecognitionWord } from './recogniser.ts';

/** The service's text frames, in the form that the official SDKs are known to read. */

export function encodeTaskStarted(taskId: string): string {
  // The Java SDK reads `payload` unconditionally.
  return frame(taskId, 'task-started', {});
}

/** @param payload the Python SDK calls its user back only for an empty `output`; `{}` is a form to try clients with */
export function encodeTaskFinished(taskId: string, payload: 'usual' | 'empty'): string {
  return frame(taskId, 'task-finished', payload === 'usual' ? { output: {}, usage: null } : {});
}

export function encodeTaskFailed({ taskId, code, message }: TaskFailure): string {
  const header = {
    task_id: taskId,
    event: 'task-failed',
    error_code: code,
    error_message: message,
    attributes: {},
  };
  return JSON.stringify({ header, payload: {} });
}

/** An event that no client knows. */
export function encodeUnknownEvent(taskId: string): string {
  return frame(taskId, 'sandbox-unknown-event', { output: {} });
}

export function encodeHeartbeat(taskId: string): string {
  const sentence = {
    sentence_id: 0,
    begin_time: 0,
    end_time: null,
    text: '',
    heartbeat: true,
    sentence_end: false,
    words: [],
  };
  return frame(taskId, 'result-generated', { output: { sentence }, usage: null });
}

export interface ResultFacts {
  readonly sentenceId: number;
  /** Whether the sentence's first result. */
  readonly first: boolean;
  /** On finals, where the model tells emotions. */
  readonly emotion: boolean;
  /** Audio of the task so far, on finals. */
  readonly audioMs: number;
  /** `end-null`: a final without its end; `bare`: nothing but what a client must have. */
  readonly form: 'usual' | 'end-null' | 'bare';
  /** Asked for each field that a client can do without: is it left out? */
  readonly missing?: (() => boolean) | undefined;
}

/** Of a usual result; without the others a client cannot tell what it got. */
const OPTIONAL_FIELDS: ReadonlySet<string> = new Set([
  'sentence_id',
  'channel_id',
  'speaker_id',
  'sentence_begin',
  'heartbeat',
  'emo_tag',
  'emo_confidence',
  'words',
]);

export function encodeResult(taskId: string, event: RecognitionEvent, facts: ResultFacts): string {
  const final = event.kind === 'final';
  const words = event.words.map(encodeWord);
  if (facts.form === 'bare') {
    const end = final ? { end_time: event.endMs } : {};
    const sentence = { begin_time: event.beginMs, ...end, text: event.text };
    return frame(taskId, 'result-generated', { output: { sentence } });
  }
  const sentence = {
    sentence_id: facts.sentenceId,
    begin_time: event.beginMs,
    end_time: final && facts.form !== 'end-null' ? event.endMs : null,
    text: event.text,
    channel_id: 0,
    speaker_id: null,
    sentence_begin: facts.first,
    sentence_end: final,
    heartbeat: false,
    ...(final && facts.emotion ? encodeEmotion(event.text) : {}),
    words,
  };
  // Billed seconds so far, cumulative, on finals only.
  const usage = final ? { duration: Math.ceil(facts.audioMs / 1000) } : null;
  const { missing } = facts;
  if (missing === undefined) return frame(taskId, 'result-generated', { output: { sentence }, usage });
  const kept = Object.entries(sentence).filter(([name]) => !OPTIONAL_FIELDS.has(name) || !missing());
  return frame(taskId, 'result-generated', {
    output: { sentence: Object.fromEntries(kept) },
    ...(missing() ? {} : { usage }),
  });
}

function encodeEmotion(text: string): Readonly<Record<string, unknown>> {
  const { tag, confidence } = emotionOf(text);
  return { emo_tag: tag, emo_confidence: confidence };
}

function encodeWord(word: RecognitionWord): Readonly<Record<string, unknown>> {
  return { begin_time: word.beginMs, end_time: word.endMs, text: word.text, punctuation: word.punctuation };
}

function frame(taskId: string, event: string, payload: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ header: { task_id: taskId, event, attributes: {} }, payload });
}
