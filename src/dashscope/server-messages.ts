/** Everything that the service may say in a task; heartbeat results are told apart from results. */
export type ServerMessage =
  | { readonly kind: 'task-started'; readonly taskId: string | undefined }
  | {
      readonly kind: 'result-generated';
      readonly taskId: string | undefined;
      readonly result: SentenceResult;
    }
  | { readonly kind: 'heartbeat'; readonly taskId: string | undefined }
  | { readonly kind: 'task-finished'; readonly taskId: string | undefined }
  | {
      readonly kind: 'task-failed';
      readonly taskId: string | undefined;
      readonly errorCode: string;
      readonly errorMessage: string;
    }
  /** An event that did not exist when this was written. */
  | { readonly kind: 'unknown'; readonly taskId: string | undefined }
  /** Not JSON, or without what its event needs. `fault` is one of our own constant texts. */
  | { readonly kind: 'malformed'; readonly fault: string };

/** What is heard of one sentence; each result replaces the one before. Milliseconds of the task's audio. */
export interface SentenceResult {
  /** 1, 2, 3 … in a task; undocumented, so maybe absent. */
  readonly sentenceId: number | undefined;
  readonly beginMs: number;
  /** Undefined while the sentence is open. */
  readonly endMs: number | undefined;
  readonly text: string;
  readonly final: boolean;
  readonly words: readonly WordResult[];
  /** Only on finals of paraformer-realtime-8k-v2, and even there not promised. */
  readonly emotion: EmotionResult | undefined;
  /** Billed seconds of the task so far: cumulative, on finals. */
  readonly usageSeconds: number | undefined;
}

export interface WordResult {
  readonly beginMs: number;
  readonly endMs: number;
  readonly text: string;
  readonly punctuation: string;
}

export interface EmotionResult {
  readonly tag: string;
  /** 0 to 1. */
  readonly confidence: number | undefined;
}

/** The wire's names; what a field should not be is as if it were not there. */
interface WireSentence {
  readonly sentence_end: boolean | undefined;
  /** Null while the sentence is open. */
  readonly end_time: number | null | undefined;
}

type WireObject = Readonly<Record<string, unknown>>;

/** Reads one text frame. Never throws: what cannot be read comes back as `malformed`. */
export function decodeServerMessage(text: string): ServerMessage {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { kind: 'malformed', fault: 'text frame is not JSON' };
  }
  const message = objectOf(json);
  const header = objectOf(message?.['header']);
  const event = textOf(header?.['event']);
  if (header === undefined || event === undefined) {
    return { kind: 'malformed', fault: 'message has no header with an event' };
  }
  const taskId = textOf(header['task_id']);
  switch (event) {
    case 'task-started':
    case 'task-finished':
      // The payload of task-finished comes in three forms, {} among them; none says anything.
      return { kind: event, taskId };
    case 'task-failed':
      return {
        kind: 'task-failed',
        taskId,
        errorCode: textOf(header['error_code']) ?? '',
        errorMessage: textOf(header['error_message']) ?? '',
      };
    case 'result-generated':
      return decodeResult(taskId, objectOf(message?.['payload']));
    default:
      return { kind: 'unknown', taskId };
  }
}

// By hand, though the house parses with a schema library: this runs for every result of every leg, and a schema
// took three times as long (`npm run bench -- asr`).
function decodeResult(taskId: string | undefined, payload: WireObject | undefined): ServerMessage {
  const output = objectOf(payload?.['output']);
  if (output === undefined) return { kind: 'malformed', fault: 'result has no payload.output' };
  const wire = objectOf(output['sentence']);
  if (wire?.['heartbeat'] === true) return { kind: 'heartbeat', taskId };
  const beginMs = timeMsOf(wire?.['begin_time']);
  const text = textOf(wire?.['text']);
  if (wire === undefined || beginMs === undefined || text === undefined) {
    return { kind: 'malformed', fault: 'result has no sentence with begin_time and text' };
  }
  const words = wordsOf(wire['words']);
  const endTime = wire['end_time'] === null ? null : timeMsOf(wire['end_time']);
  const final = isFinal({ sentence_end: booleanOf(wire['sentence_end']), end_time: endTime });
  // Where the end is null, the last word's; where there is no word either, no more is known than the begin.
  const finalEndMs = Math.max(beginMs, endTime ?? words.at(-1)?.endMs ?? 0);
  const emotionTag = textOf(wire['emo_tag']);
  const result: SentenceResult = {
    sentenceId: integerOf(wire['sentence_id']),
    beginMs,
    endMs: final ? finalEndMs : undefined,
    text,
    final,
    words,
    emotion:
      emotionTag === undefined || emotionTag === ''
        ? undefined
        : { tag: emotionTag, confidence: shareOf(wire['emo_confidence']) },
    usageSeconds: notNegativeOf(objectOf(payload?.['usage'])?.['duration']),
  };
  return { kind: 'result-generated', taskId, result };
}

/**
 * The one rule. Sources disagree: "Paraformer server events" names `sentence_end`, the page before it and the
 * vendor's Python SDK a non-null `end_time`, its Java SDK takes either; and the newer page's own sample shows
 * `end_time: null` beside `sentence_end: true`. So `sentence_end` decides where it is there.
 */
export function isFinal(sentence: WireSentence): boolean {
  return sentence.sentence_end ?? sentence.end_time != null;
}

function wordsOf(value: unknown): WordResult[] {
  if (!Array.isArray(value)) return [];
  const words: WordResult[] = [];
  for (const item of value as unknown[]) {
    const word = objectOf(item);
    const beginMs = timeMsOf(word?.['begin_time']);
    const endMs = timeMsOf(word?.['end_time']);
    const text = textOf(word?.['text']);
    if (beginMs === undefined || endMs === undefined || text === undefined) continue;
    words.push({ beginMs, endMs, text, punctuation: textOf(word?.['punctuation']) ?? '' });
  }
  return words;
}

function objectOf(value: unknown): WireObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as WireObject)
    : undefined;
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
const booleanOf = (value: unknown): boolean | undefined => (typeof value === 'boolean' ? value : undefined);
const integerOf = (value: unknown): number | undefined =>
  Number.isSafeInteger(value) ? (value as number) : undefined;

function notNegativeOf(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 ? value : undefined;
}

function timeMsOf(value: unknown): number | undefined {
  const time = notNegativeOf(value);
  return time === undefined ? undefined : Math.round(time);
}

function shareOf(value: unknown): number | undefined {
  const share = notNegativeOf(value);
  return share === undefined || share > 1 ? undefined : share;
}
